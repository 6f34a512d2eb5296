"""(h) Whole processes on five flowers against the Keras guide's script, each method by its own defaults.

Both have the real MobileNetV2, 224 pixels, batches of 32; both validate every epoch and measure the test photos at the end;
neither exports. A repetition is a seed. Ours runs both methods on one cache, as a person does who tries both.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time
from typing import Any

from benchmarks.measuring import TEST_DATA, Options, Row, environment, interleave
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import RunResult

_FLOWERS = TEST_DATA / "flowers5"
_EPOCHS = 10
# What the guide's script reaches on validation, if barely.
_VALIDATION_ACCURACY = 0.8


class Processes:
    """Starts the guide's script and ours, a repetition a seed, and keeps what they found.

    Args:
      options: Options of the benchmark.
      fine_tune: Whether the guide goes on to fine-tune.
    """

    def __init__(self, options: Options, *, fine_tune: bool):
        self.guides: list[dict[str, Any]] = []
        self.ours: dict[str, list[RunResult]] = {}
        self._options = options
        self._fine_tune = ["--fine_tune"] if fine_tune else []

    def guide(self) -> float:
        """Runs the guide's script; returns the seconds of the whole process."""
        seed = self._options.first_seed + len(self.guides)
        seconds, out = _run([sys.executable, "benchmarks/keras_guide.py", _FLOWERS, *self._fine_tune, f"--seed={seed}"])
        self.guides.append(json.loads(out.splitlines()[-1]))
        print(f"the guide: {self.guides[-1]}", file=sys.stderr)
        return seconds

    def run(self, kind: str, *how: str) -> float:
        """Runs our command; returns the seconds of the whole process."""
        results = self.ours.setdefault(kind, [])
        seed = self._options.first_seed + len(results)
        workdir = self._options.folder / f"{kind}_{seed}"
        shared = "defaults" if kind in ("feature extraction", "fine-tuning") else "ten"
        flags = [f"--data={_FLOWERS}", f"--workdir={workdir}", f"--seed={seed}", "--export=none", "--noreport"]
        cache = f"--cache_dir={self._options.folder / shared / str(seed)}"
        seconds, _ = _run([sys.executable, "-m", "tl_keras.train", *flags, *how, cache])
        results.append(RunDirectory(workdir).require_result())
        print(f"ours, {kind}: test accuracy {results[-1].test_accuracy:.4f}", file=sys.stderr)
        return seconds

    def accuracies(self, kind: str) -> list[float]:
        """Returns our test accuracies, one per repetition."""
        return [result.accuracy for result in self.ours[kind]]

    def seconds_to_accuracy(self) -> tuple[list[float], list[float]]:
        """Returns the seconds after the imports at which the guide, and ours cold, reach a validation accuracy."""
        guides = [_first(each["history"], _VALIDATION_ACCURACY) for each in self.guides]
        return guides, [_first(each.time_to_accuracy, _VALIDATION_ACCURACY) for each in self.ours["cold"]]


TEN_FROZEN = ("--method=feature_extraction", f"--epochs={_EPOCHS}")


def measure(options: Options) -> list[Row]:
    """Returns the ratios of seconds, guide to ours, and of accuracies, ours to the guide's."""
    processes = Processes(options, fine_tune=True)
    seconds = interleave(
        {
            "guide": processes.guide,
            "feature extraction": lambda: processes.run("feature extraction", "--method=feature_extraction"),
            "fine-tuning": lambda: processes.run("fine-tuning", "--method=fine_tune"),
        },
        repetitions=options.repetitions,
    )
    frozen, fine_tuned = ([each[f"{name}_accuracy"] for each in processes.guides] for name in ("frozen", "fine_tuned"))
    better = "three points more is 1.035"
    return [
        Row(
            f"test accuracy, feature extraction by default ({better}): ours against the guide's frozen",
            processes.accuracies("feature extraction"),
            frozen,
            "",
            1.035,
        ),
        Row(
            f"test accuracy, fine-tuning by default ({better}): ours against the guide's fine-tuned",
            processes.accuracies("fine-tuning"),
            fine_tuned,
            "",
            1.035,
        ),
        Row("fine-tuning by default, the guide against ours", seconds["guide"], seconds["fine-tuning"], "s", 1),
    ]


def _run(command: list[str | pathlib.Path]) -> tuple[float, str]:
    """Returns wall seconds and stdout of a process."""
    start = time.perf_counter()
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment())
    return time.perf_counter() - start, process.stdout


def _first(reached: list[dict[str, float]], accuracy: float) -> float:
    """Returns the seconds at which a validation accuracy was reached first; endless where it never was."""
    return next((each["seconds"] for each in reached if each["validation_accuracy"] >= accuracy), float("inf"))
