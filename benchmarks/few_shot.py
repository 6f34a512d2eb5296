"""What learns best from 1 to 16 labelled images per class: `python -m benchmarks.few_shot FOLDER`.

Fifty draws of so many images of each class, from MNIST and from CIFAR-10, and the accuracy on test images, mean and its standard
error over the draws: prototypes (the nearest class mean by cosine: Snell et al. 2017, Chen et al. 2019), a linear classifier of
the probe's strength, and one whose strength is chosen by leave-one-out (closed form: ridge regression on the classes). FOLDER
keeps the features.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from threadpoolctl import threadpool_limits

from benchmarks.feature_sets import SETS, feature_set

_DRAWS, _TEST = 50, 2_000
_SHOTS = (1, 2, 4, 8, 16)
_STRENGTHS = np.logspace(-3, 3, 13)


def prototypes(shown: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Returns the class whose mean direction is nearest."""
    means = np.stack(
        [_unit(_unit(shown[labels == label]).mean(axis=0, keepdims=True))[0] for label in np.unique(labels)]
    )
    return np.unique(labels)[(_unit(asked) @ means.T).argmax(axis=1)]


def linear(strength: float) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Returns a linear classifier by cross-entropy with a fixed strength of its penalty."""

    def answers(shown: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
        along = np.linalg.svd(shown, full_matrices=False)[
            2
        ].T  # the images span no more, and the classifier is the same
        fitted = LogisticRegression(C=strength, max_iter=200, tol=1e-3).fit(shown @ along, labels)
        return fitted.predict(asked @ along)

    return answers


def ridge(shown: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Returns the answers of a ridge regression on the classes, with the strength that leave-one-out finds best."""
    return RidgeClassifierCV(alphas=_STRENGTHS).fit(shown, labels).predict(asked)


METHODS = {
    "prototypes": prototypes,
    "linear, C = 1": linear(1.0),
    "linear, C = 10 (the probe)": linear(10.0),
    "linear, C = 100": linear(100.0),
    "ridge, by leave-one-out": ridge,
}


def main() -> None:
    """Prints a row for each set and number of images per class."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--draws", type=int, default=_DRAWS)
    arguments = parser.parse_args()
    print(f"| set | images per class | {' | '.join(METHODS)} |\n|---|---|{'---|' * len(METHODS)}")
    with threadpool_limits(1):
        for name in SETS:
            features = feature_set(name, arguments.folder)
            asked, right = features.test[:_TEST], features.test_labels[:_TEST]
            for shots in _SHOTS:
                found = np.zeros((arguments.draws, len(METHODS)))
                for seed in range(arguments.draws):
                    rows = features.draw(seed, of_each_class=shots)
                    shown, labels = features.drawn[rows], features.drawn_labels[rows]
                    mean = shown.mean(axis=0)
                    scale = np.sqrt(((shown - mean) ** 2).sum(axis=1).mean())
                    for column, answers in enumerate(METHODS.values()):
                        guessed = answers((shown - mean) / scale, labels, (asked - mean) / scale)
                        found[seed, column] = np.mean(guessed == right)
                errors = found.std(axis=0, ddof=1) / np.sqrt(arguments.draws)
                cells = [f"{each:.3f} ± {error:.3f}" for each, error in zip(found.mean(axis=0), errors, strict=True)]
                print(f"| {name} | {shots} | {' | '.join(cells)} |", flush=True)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)


if __name__ == "__main__":
    main()
