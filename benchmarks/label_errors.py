"""Wrong labels planted among flowers: how many are among the first thirty suspects, and how many are expected.

python -m benchmarks.label_errors          ten draws of 15 swapped labels, on features from the cache: a minute
"""

from __future__ import annotations

import sys

import numpy as np

import tl_keras as tl
from benchmarks.measuring import TEST_DATA
from tl_keras.advice.suspects import expected_errors, label_suspects
from tl_keras.probes.transferability import linear_probe

SWAPPED, LOOKED_AT, DRAWS = 15, 30, 10


def measure(features: np.ndarray, labels: np.ndarray, *, draw: int) -> tuple[int, int, int]:
    """Returns how many of the swapped labels are among the first suspects, how many are expected, and how many are suspects."""
    random, classes = np.random.default_rng(draw), int(labels.max()) + 1
    wrong = labels.copy()
    swapped = random.choice(len(labels), SWAPPED, replace=False)
    for index in swapped:
        wrong[index] = (wrong[index] + random.integers(1, classes)) % classes
    probe = linear_probe(features, wrong, classes=classes, groups=np.arange(len(labels)), seed=0)
    suspects = label_suspects(probe)
    return int(np.isin(swapped, suspects[:LOOKED_AT]).sum()), expected_errors(probe), len(suspects)


def main() -> None:
    """Prints a line per draw, and the means."""
    teacher = tl.build("MobileNetV2", classes=5)
    pooled = teacher.get_layer("features").output
    found = tl.features(type(teacher)(teacher.input, pooled), f"{TEST_DATA}/flowers5")
    rows = [measure(found.values, found.labels, draw=draw) for draw in range(DRAWS)]
    for draw, (among, expected, suspects) in enumerate(rows):
        print(
            f"draw {draw}: {among} of {SWAPPED} among the first {LOOKED_AT}; {expected} expected, {suspects} suspects"
        )
    means = np.mean(rows, axis=0)
    print(
        f"mean: {means[0]:.1f} among the first {LOOKED_AT}; {means[1]:.1f} expected, {means[2]:.1f} suspects",
        file=sys.stdout,
    )


if __name__ == "__main__":
    main()
