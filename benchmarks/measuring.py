"""How the benchmarks measure: in turns, in processes of their own, reported as ratios beside their targets.

Nothing but Python's standard library is imported, so that a peer's interpreter can run `answer_requests` as well.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

# What decides the figures; each that is installed is written down.
_PACKAGES = ("tl_keras", "keras", "tensorflow", "tensorflow-cpu", "openvino", "torch", "timm", "numpy")


# Real weights and photos; shared/data/README says what.
TEST_DATA = pathlib.Path(
    os.environ.get("TL_KERAS_TEST_DATA", pathlib.Path(__file__).resolve().parents[2] / "shared" / "data")
)


@dataclasses.dataclass(frozen=True)
class Options:
    """What every part is told.

    Attributes:
      folder: An empty one, for data sets, runs and caches; removed at the end.
      repetitions: Figures of each measurement.
      torch_python: An interpreter with torch and timm; None: PyTorch's rows are left out.
      first_seed: Seed of the first repetition, if each has its own; the next has the next.
    """

    folder: pathlib.Path
    repetitions: int
    torch_python: str | None
    first_seed: int = 0


@dataclasses.dataclass(frozen=True)
class Row:
    """A ratio of two series that were measured in turns.

    Attributes:
      name: Comparison, for example "MobileNetV2 224 px, TensorFlow alone, against Keras predict".
      numerator: One figure a repetition.
      denominator: The same; its figure of a repetition was taken next to the numerator's.
      unit: Unit of both, for example "images/s".
      target: Target for the ratio.
      at_most: Whether the ratio must not exceed the target. Otherwise it must reach it.
    """

    name: str
    numerator: Sequence[float]
    denominator: Sequence[float]
    unit: str
    target: float
    at_most: bool = False

    @property
    def ratios(self) -> list[float]:
        """One a repetition: what slows the whole machine for a while cancels out."""
        return [above / below for above, below in zip(self.numerator, self.denominator, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of `ratios`."""
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    def to_json(self) -> dict[str, Any]:
        """Returns the fields, the ratio with its spread, and whether the target is met."""
        spread = [min(self.ratios), max(self.ratios)]
        return {**dataclasses.asdict(self), "ratio": self.ratio, "ratio_spread": spread, "met": self.met}


def interleave(measurements: Mapping[str, Callable[[], float]], *, repetitions: int) -> dict[str, list[float]]:
    """Takes every measurement once, then every one again, so that a drift of the machine meets all alike.

    Args:
      measurements: Each returns one figure.
      repetitions: How often.

    Returns:
      `repetitions` figures of each.
    """
    figures: dict[str, list[float]] = {name: [] for name in measurements}
    for repetition in range(repetitions):
        for name, measure in measurements.items():
            figures[name].append(measure())
            _say(f"{repetition + 1}/{repetitions} {name}: {figures[name][-1]:.4g}")
    return figures


def environment() -> dict[str, str]:
    """Returns the variables of a process that is measured: ours, and where the real weights are; bytecode is kept."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**ours, "KERAS_HOME": str(TEST_DATA / "keras_home")}


def seconds_of(command: Sequence[str | os.PathLike[str]], variables: Mapping[str, str]) -> float:
    """Returns the wall seconds of a whole process, start-up included; its stdout goes to stderr."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=sys.stderr, env=variables)
    return time.perf_counter() - start


@contextlib.contextmanager
def answering(command: Sequence[str | os.PathLike[str]]) -> Iterator[Callable[[], float]]:
    """Starts a process that ends in `answer_requests`; calling what is yielded has it measure once.

    The process sets up and warms up once, before this returns, and then sleeps between its turns.
    """
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def answer() -> str:
            if not (line := answers.readline()):
                raise RuntimeError(f"expected an answer from {command}. Received: exit status {process.wait()}.")
            return line

        def measure() -> float:
            requests.write("measure\n")
            requests.flush()
            return json.loads(answer())

        try:
            answer()  # it is ready
            yield measure
        finally:
            requests.close()


def answer_requests(measure: Callable[[], float]) -> None:
    """Measures once for each line on stdin, until it closes; the other end is `answering`."""
    answers, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure()), file=answers, flush=True)


def per_second(work: Callable[[], object], *, amount: int, seconds: float) -> float:
    """Returns how much is done in a second, over at least `seconds`.

    Args:
      work: Does `amount` of it, for example the images of one batch. It has been warmed up.
      amount: Quantity that is counted.
      seconds: The work is repeated until they are over.
    """
    done, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        work()
        done += amount
    return done / elapsed


def report(rows: Sequence[Row], path: pathlib.Path, *, peers: Sequence[str | os.PathLike[str]] = ()) -> None:
    """Prints the figures beside their targets on stdout and writes them as JSON.

    Args:
      rows: Measurements.
      path: The JSON file: commit, machine, versions, rows with every single figure.
      peers: Interpreters of the peers, whose versions are written down too.
    """
    interpreters = {"ours": pathlib.Path(sys.executable)} | {f"peer {i}": pathlib.Path(p) for i, p in enumerate(peers)}
    document = {
        "commit": _commit(),
        "machine": machine(),
        "versions": {name: _versions(interpreter) for name, interpreter in interpreters.items()},
        "rows": [row.to_json() for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{json.dumps(document, indent=2)}\n", encoding="utf-8")
    print(as_table(rows))


def as_table(rows: Sequence[Row]) -> str:
    """Returns the figures beside their targets, in Markdown."""
    lines = ["| | median | against | ratio (spread) | target | met |", "|---|---|---|---|---|---|"]
    for row in rows:
        lines.append(
            f"| {row.name} | {_figure(row.numerator)} {row.unit} | {_figure(row.denominator)} {row.unit} | "
            f"{row.ratio:.2f} ({min(row.ratios):.2f} to {max(row.ratios):.2f}) | "
            f"{'at most' if row.at_most else 'at least'} {row.target:g} | {'yes' if row.met else '**no**'} |"
        )
    return "\n".join(lines)


def _commit() -> str:
    """Returns what is measured, `git describe`; "unknown" outside of a repository."""
    command = ["git", "describe", "--always", "--dirty"]
    process = subprocess.run(command, capture_output=True, text=True, check=False, cwd=pathlib.Path(__file__).parent)
    return process.stdout.strip() or "unknown"


def machine() -> dict[str, Any]:
    """Returns the processor's name, its cores and what it can do with bfloat16, the memory in GiB and the system."""
    cpu_info = pathlib.Path("/proc/cpuinfo")
    lines = cpu_info.read_text(encoding="utf-8").splitlines() if cpu_info.exists() else []
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {
        "processor": fields.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "bfloat16": sorted({"amx_bf16", "avx512_bf16"} & set(fields.get("flags", "").split())),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
    }


def _versions(interpreter: pathlib.Path) -> dict[str, str]:
    if interpreter != pathlib.Path(sys.executable):
        process = subprocess.run([interpreter, "-m", __spec__.name], check=True, capture_output=True, text=True)
        return json.loads(process.stdout)
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _figure(figures: Sequence[float]) -> str:
    spread = f" ({min(figures):.4g} to {max(figures):.4g})" if len(figures) > 1 else ""
    return f"{statistics.median(figures):.4g}{spread}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    print(json.dumps(_versions(pathlib.Path(sys.executable))))
