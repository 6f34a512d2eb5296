"""(j) The start: the first word, and a warm run of feature extraction against a process that evaluates the test photos once.

Whole processes on five flowers with MobileNetV2 at 224 pixels: `tl_keras.evaluate` imports TensorFlow, loads the run and measures
its test photos; the run trains as many epochs as it does by default, from features that an earlier one has left, and measures too.
Neither exports.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from benchmarks.measuring import TEST_DATA, Options, Row, environment, interleave, seconds_of

_FLOWERS = TEST_DATA / "flowers5"
# Within which a person sees that something happens.
_SECONDS_TO_FIRST_WORD = 1.0


def measure(options: Options) -> list[Row]:
    """Returns the ratios of seconds: the first word to a second, and the run to the evaluation."""
    runs = 0
    variables = environment() | {"XDG_CACHE_HOME": str(options.folder / "cache")}

    def train() -> list[str]:
        nonlocal runs
        runs += 1
        flags = [
            f"--data={_FLOWERS}",
            "--method=feature_extraction",
            "--backbone=MobileNetV2",
            "--export=none",
            "--noreport",
        ]
        return [sys.executable, "-m", "tl_keras.train", *flags, f"--workdir={options.folder}/run{runs}"]

    def first_word() -> float:
        began = time.perf_counter()
        with subprocess.Popen(train(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=variables) as process:
            assert process.stderr is not None
            process.stderr.readline()
            seconds = time.perf_counter() - began
            process.terminate()
            process.stderr.read()
        return seconds

    def warm() -> float:
        seconds = seconds_of(train(), variables)
        result = json.loads((options.folder / f"run{runs}" / "result.json").read_text())
        print(f"where the time went: {result['seconds']}", file=sys.stderr)
        return seconds

    warm()  # leaves the features
    evaluate = [sys.executable, "-m", "tl_keras.evaluate", f"--model={options.folder}/run1", f"--data={_FLOWERS}"]
    seconds = interleave(
        {"first word": first_word, "warm": warm, "evaluate": lambda: seconds_of(evaluate, variables)},
        repetitions=options.repetitions,
    )
    second = [_SECONDS_TO_FIRST_WORD] * options.repetitions
    return [
        Row("the first word of `train`, against a second", seconds["first word"], second, "s", 1, at_most=True),
        Row("warm feature extraction, against `evaluate`", seconds["warm"], seconds["evaluate"], "s", 2, at_most=True),
    ]
