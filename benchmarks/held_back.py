"""What validation images cost a small set: `python -m benchmarks.held_back FOLDER`.

For each set of `benchmarks.sets`, draws of about 150 labelled images as in `benchmarks.views`, whose FOLDER with features of the
frozen MobileNetV2 it takes: test accuracy of a linear classifier fitted to all of them, and to six sevenths of each class.
"""

from __future__ import annotations

import pathlib

import numpy as np

from benchmarks.views import accuracy, features, folder_and_sets, images_of_draw

_DRAWS, _VIEW = 20, "squash"


def measure(name: str, folder: pathlib.Path) -> tuple[list[float], list[float]]:
    """Returns the test accuracies of each draw of a set, with all images and with six sevenths of them."""
    found = features(name, folder)
    labels, values = found["labels"], found[_VIEW]
    train, test = (np.flatnonzero(found["splits"] == split) for split in ("train", "test"))
    figures: tuple[list[float], list[float]] = ([], [])
    for draw in range(_DRAWS):
        drawn = images_of_draw(labels, train, draw)
        most = [members[: max(round(len(members) * 6 / 7), 1)] for members in drawn]
        for shown, scores in zip((np.concatenate(drawn), np.concatenate(most)), figures, strict=True):
            scores.append(accuracy(values[shown], labels[shown], values[test], labels[test]))
    return figures


def main() -> None:
    """Prints a row a set, and the mean difference."""
    arguments = folder_and_sets(__doc__)
    print("| set | all images | six sevenths | points |\n|---|---|---|---|")
    gains = []
    for name in arguments.sets:
        whole, most = (float(np.mean(scores)) for scores in measure(name, arguments.folder))
        gains.append(100 * (whole - most))
        print(f"| {name.replace('_', ' ')} | {whole:.3f} | {most:.3f} | {gains[-1]:+.1f} |", flush=True)
    error = np.std(gains, ddof=1) / np.sqrt(len(gains))
    print(f"| mean, ± its standard error over the sets | | | {np.mean(gains):+.1f} ± {error:.1f} |")


if __name__ == "__main__":
    main()
