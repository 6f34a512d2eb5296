"""(a) A whole process, ten frozen epochs on five flowers, against the Keras guide's script; (h) seconds to an accuracy.

Both have the real MobileNetV2, 224 pixels, batches of 32; both validate every epoch and measure the test photos at the end;
neither exports. Cold: nothing is cached. Warm: the run before has left its features.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time
from typing import Any

from benchmarks.measuring import Options, Row, environment, interleave
from benchmarks.sets import write_set

_EPOCHS = 10
# What the guide's script reaches on validation, if barely.
_VALIDATION_ACCURACY = 0.8


def measure(options: Options) -> list[Row]:
    """Returns the ratios of seconds, guide to ours, and the difference of the accuracies."""
    flowers = write_set("flowers", options.folder)
    found: dict[str, list[dict[str, Any]]] = {"guide": [], "cold": [], "warm": []}

    def guide() -> float:
        command = [sys.executable, "benchmarks/keras_guide.py", flowers, f"--seed={len(found['guide'])}"]
        seconds, output = _run(command, environment())
        found["guide"].append(json.loads(output.splitlines()[-1]))
        return seconds

    def ours(kind: str) -> float:
        seed = len(found[kind])
        workdir, cache = options.folder / f"{kind}_{seed}", options.folder / f"cache_{seed}"
        command = [
            sys.executable,
            "-m",
            "tl_keras.train",
            f"--data={flowers}",
            f"--workdir={workdir}",
            f"--seed={seed}",
        ]
        method = ["--method=feature_extraction", f"--epochs={_EPOCHS}", "--export=none", f"--cache_dir={cache}"]
        seconds, _ = _run([*command, *method], environment())
        found[kind].append(json.loads((workdir / "result.json").read_text()))
        return seconds

    seconds = interleave(
        {"guide": guide, "cold": lambda: ours("cold"), "warm": lambda: ours("warm")}, repetitions=options.repetitions
    )
    accuracies = {
        "guide": [each["frozen_accuracy"] for each in found["guide"]],
        "ours": [each["test_accuracy"] for each in found["cold"]],
    }
    reached = {
        "guide": [_first(each["history"], _VALIDATION_ACCURACY) for each in found["guide"]],
        "ours": [_first(each["time_to_accuracy"], _VALIDATION_ACCURACY) for each in found["cold"]],
    }
    return [
        Row("ten frozen epochs, whole process, cold: guide against ours", seconds["guide"], seconds["cold"], "s", 5),
        Row("the same, warm", seconds["guide"], seconds["warm"], "s", 10),
        Row("test accuracy: ours against the guide's", accuracies["ours"], accuracies["guide"], "", 0.99),
        Row(
            f"seconds after the imports to validation accuracy {_VALIDATION_ACCURACY}: guide against ours",
            reached["guide"],
            reached["ours"],
            "s",
            5,
        ),
    ]


def _run(command: list[str | pathlib.Path], variables: dict[str, str]) -> tuple[float, str]:
    """Returns wall seconds and stdout of a process."""
    start = time.perf_counter()
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables)
    return time.perf_counter() - start, process.stdout


def _first(reached: list[dict[str, float]], accuracy: float) -> float:
    """Returns the seconds at which a validation accuracy was reached first; endless where it never was."""
    return next((each["seconds"] for each in reached if each["validation_accuracy"] >= accuracy), float("inf"))
