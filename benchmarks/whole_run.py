"""(a) Whole processes on five flowers against the Keras guide's script, frozen and fine-tuned; (h) seconds to an accuracy.

Both have the real MobileNetV2, 224 pixels, batches of 32; both validate every epoch and measure the test photos at the end;
neither exports. A repetition is a seed. Ours is run with the guide's ten frozen epochs, cold (nothing is cached) and warm
(another run has left its features), and with each method's own defaults, on one cache, as a person does who tries both.
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


def measure(options: Options) -> list[Row]:
    """Returns the ratios of seconds, guide to ours, and of accuracies, ours to the guide's."""
    guides: list[dict[str, Any]] = []
    ours: dict[str, list[RunResult]] = {"cold": [], "warm": [], "feature extraction": [], "fine-tuning": []}

    def guide() -> float:
        command = [
            sys.executable,
            "benchmarks/keras_guide.py",
            _FLOWERS,
            "--fine_tune",
            f"--seed={options.first_seed + len(guides)}",
        ]
        guides.append(json.loads(_run(command)[1].splitlines()[-1]))
        print(f"the guide: {guides[-1]}", file=sys.stderr)
        return guides[-1]["fine_tuned_seconds"]

    def run(kind: str, *how: str) -> float:
        seed = options.first_seed + len(ours[kind])
        workdir = options.folder / f"{kind}_{seed}"
        cache = options.folder / ("defaults" if kind in ("feature extraction", "fine-tuning") else "ten") / str(seed)
        command = [
            sys.executable,
            "-m",
            "tl_keras.train",
            f"--data={_FLOWERS}",
            f"--workdir={workdir}",
            f"--seed={seed}",
        ]
        seconds, _ = _run([*command, *how, "--export=none", "--noreport", f"--cache_dir={cache}"])
        ours[kind].append(RunDirectory(workdir).require_result())
        print(f"ours, {kind}: test accuracy {ours[kind][-1].test_accuracy:.4f}", file=sys.stderr)
        return seconds

    ten_frozen = ("--method=feature_extraction", f"--epochs={_EPOCHS}")
    seconds = interleave(
        {
            "guide": guide,
            "cold": lambda: run("cold", *ten_frozen),
            "warm": lambda: run("warm", *ten_frozen),
            "feature extraction": lambda: run("feature extraction", "--method=feature_extraction"),
            "fine-tuning": lambda: run("fine-tuning", "--method=fine_tune"),
        },
        repetitions=options.repetitions,
    )
    frozen_seconds = [each["frozen_seconds"] for each in guides]
    frozen, fine_tuned = ([each[f"{name}_accuracy"] for each in guides] for name in ("frozen", "fine_tuned"))
    accuracy = {kind: [each.test_accuracy for each in results] for kind, results in ours.items()}
    reached = {
        "guide": [_first(each["history"], _VALIDATION_ACCURACY) for each in guides],
        "ours": [_first(each.time_to_accuracy, _VALIDATION_ACCURACY) for each in ours["cold"]],
    }
    three_points = "three points more is 1.035"
    return [
        Row("ten frozen epochs, cold: the guide against ours", frozen_seconds, seconds["cold"], "s", 5),
        Row("the same, warm", frozen_seconds, seconds["warm"], "s", 10),
        Row("test accuracy, ten frozen epochs: ours against the guide's", accuracy["cold"], frozen, "", 0.99),
        Row(
            f"test accuracy, feature extraction by default ({three_points}): ours against the guide's frozen",
            accuracy["feature extraction"],
            frozen,
            "",
            1.035,
        ),
        Row(
            f"test accuracy, fine-tuning by default ({three_points}): ours against the guide's fine-tuned",
            accuracy["fine-tuning"],
            fine_tuned,
            "",
            1.035,
        ),
        Row("fine-tuning by default, the guide against ours", seconds["guide"], seconds["fine-tuning"], "s", 1),
        Row(
            f"seconds after the imports to validation accuracy {_VALIDATION_ACCURACY}: the guide against ours, cold",
            reached["guide"],
            reached["ours"],
            "s",
            5,
        ),
    ]


def _run(command: list[str | pathlib.Path]) -> tuple[float, str]:
    """Returns wall seconds and stdout of a process."""
    start = time.perf_counter()
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment())
    return time.perf_counter() - start, process.stdout


def _first(reached: list[dict[str, float]], accuracy: float) -> float:
    """Returns the seconds at which a validation accuracy was reached first; endless where it never was."""
    return next((each["seconds"] for each in reached if each["validation_accuracy"] >= accuracy), float("inf"))
