"""Does the interval of folds cover the accuracy on a large test set: `python -m benchmarks.fold_interval FOLDER`.

A hundred draws of so many labelled images, from MNIST and from CIFAR-10: a linear classifier on a teacher's features is trained
by five folds, as `--folds=5` does, and once more on all of them, which the test images then measure. A row has how many of the
hundred intervals cover that accuracy, the mean width of the interval, and both for an interval as if the answers were
independent. FOLDER keeps the features.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks.feature_sets import SETS, FeatureSet, feature_set
from tl_keras.evaluation.folds import fold_interval
from tl_keras.evaluation.metrics import accuracy_interval
from tl_keras.probes.transferability import FOLDS, fold_of_each

_DRAWS = 100
_SIZES = (50, 100, 200, 400)
_STRENGTH = 10.0


def draw(features: FeatureSet, *, images: int, seed: int) -> tuple[float, float]:
    """Returns the accuracy out of fold of a draw, and that of the model of all its images on the test images."""
    rows = features.draw(seed, images=images)
    labels = features.drawn_labels[rows]
    fold = fold_of_each(labels, np.arange(images), seed=seed)
    right = [_right(features.drawn[rows], labels, fold != each, fold == each) for each in range(FOLDS)]
    everything = np.concatenate([features.drawn[rows], features.test])
    answers = np.concatenate([labels, features.test_labels])
    shown = np.arange(len(answers)) < images
    return float(np.concatenate(right).mean()), float(_right(everything, answers, shown, ~shown).mean())


def _right(features: np.ndarray, labels: np.ndarray, shown: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Returns which of the images asked a classifier gets right that was shown the others, bool."""
    mean = features[shown].mean(axis=0)
    centred = features[shown] - mean
    scale = np.sqrt((centred**2).sum(axis=1).mean())
    # The images span so many directions and no more; along them the classifier is the same, and fitted in a tenth of the time.
    along = np.linalg.svd(centred / scale, full_matrices=False)[2].T
    classifier = LogisticRegression(C=_STRENGTH, max_iter=200, tol=1e-3).fit(centred / scale @ along, labels[shown])
    return classifier.predict((features[asked] - mean) / scale @ along) == labels[asked]


def main() -> None:
    """Prints a row for each set and number of images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--draws", type=int, default=_DRAWS)
    arguments = parser.parse_args()
    print(
        "| set | images | accuracy out of fold | on the test images | covers, of 100 | width | covers, as if independent | width |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for name in SETS:
            features = feature_set(name, arguments.folder)
            for images in _SIZES:
                found = [draw(features, images=images, seed=seed) for seed in range(arguments.draws)]
                independent = [accuracy_interval(out_of_fold, images) for out_of_fold, _ in found]
                wider = [
                    fold_interval(out_of_fold, each, folds=FOLDS)
                    for (out_of_fold, _), each in zip(found, independent, strict=True)
                ]
                means = [f"{mean:.3f}" for mean in np.mean(found, axis=0)]
                cells = []
                for intervals in (wider, independent):
                    covered = [low <= test <= high for (low, high), (_, test) in zip(intervals, found, strict=True)]
                    cells += [
                        f"{100 * np.mean(covered):.0f}",
                        f"{np.mean([high - low for low, high in intervals]):.3f}",
                    ]
                print(f"| {name} | {images} | {' | '.join([*means, *cells])} |", flush=True)


if __name__ == "__main__":
    main()
