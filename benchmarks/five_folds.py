"""(l) Five folds against a run of the same data, each a whole process with a cache of its own.

The real MobileNetV2 on five flowers by feature extraction, with its page and its proven export: the folds measure every labelled
image once, and then train the final model on all of them.
"""

from __future__ import annotations

import sys

from benchmarks.measuring import TEST_DATA, Options, Row, environment, interleave, seconds_of


def measure(options: Options) -> list[Row]:
    """Returns the ratio of seconds, folds to a run."""
    turns = 0

    def train(*how: str) -> float:
        nonlocal turns
        turns += 1
        workdir = options.folder / f"folds_{turns}"
        flags = [f"--data={TEST_DATA / 'flowers5'}", f"--workdir={workdir}", f"--cache_dir={workdir}_cache"]
        command = [sys.executable, "-m", "tl_keras.train", "--method=feature_extraction", *flags, *how]
        return seconds_of(command, environment())

    seconds = interleave({"folds": lambda: train("--folds=5"), "run": train}, repetitions=options.repetitions)
    return [Row("five folds against a run", seconds["folds"], seconds["run"], "s", 2.5, at_most=True)]
