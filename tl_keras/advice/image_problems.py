"""Finds what is wrong with image files: their suffix, their shape, sizes and names that give the class away."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from tl_keras.advice.problems import Problem, single
from tl_keras.advice.thumbnails import copies_by_thumbnails
from tl_keras.config import TransferConfig
from tl_keras.data.base import FileSource
from tl_keras.data.file_kinds import CONVERTED_SUFFIXES, SUFFIXES, kind_of_file, suffix_of
from tl_keras.data.inspection import Inspection
from tl_keras.data.sources import Source
from tl_keras.probes.probe import error_of_mean
from tl_keras.probes.transferability import FOLDS, fold_of_each

# Ratio of sides above which a teacher's centre crop keeps less than a third of the image.
_ELONGATED = 3.0

# Side in pixels below which an image shows less than the smallest network takes.
_TINY = 32

# Number of standard errors above the commonest class's share from which on height and width alone tell the classes apart.
_CLEARLY_ABOVE_CHANCE = 4.0

# Number of leaves of the tree that tests this: a few thresholds, not one size per image.
_LEAVES = 16


class ImageChecks:
    """Looks at images: copies by their pixels, and what their files give away.

    Args:
      source: The images.
      inspection: Facts that every run reads from them.
      indices: int64 (n,), those that can be decoded, ascending.
      config: Config whose cache and seed are used.
    """

    def __init__(self, source: Source, inspection: Inspection, indices: np.ndarray, config: TransferConfig):
        self._source, self._inspection, self._indices = source, inspection, indices
        self.config = config

    def near_copies(self) -> np.ndarray:
        """Implements `Checks.near_copies`: images whose small grey pictures correlate."""
        return copies_by_thumbnails([(self._source, self._inspection, self._indices)], self.config)

    def problems(self, together: np.ndarray) -> Iterator[Problem]:
        """Implements `Checks.problems`."""
        source, indices, seed = self._source, self._indices, self.config.seed
        yield _wrong_extensions(source, indices)
        yield _odd_shapes(source, self._inspection, indices)
        yield _size_tells_class(source, self._inspection, indices, together, seed=seed)
        yield _series_in_two_splits(source, indices)


def _wrong_extensions(source: Source, indices: np.ndarray) -> Problem:
    """Returns the files whose suffix names another kind of image than they are; one without suffix names none."""
    ids, remarks = [], []
    all_suffixes = {**SUFFIXES, **CONVERTED_SUFFIXES}
    said = {suffix: kind for kind, suffixes in all_suffixes.items() for suffix in suffixes}
    if not isinstance(source, FileSource):
        return single("extension", "", ())
    for index in indices.tolist():
        path = source.path(index)
        kind, named = kind_of_file(path), said.get(suffix_of(path), "")
        if named and kind in all_suffixes and named != kind:
            ids.append(source.ids[index])
            remarks.append(f"is a {all_suffixes[kind][0]}")
    return single(
        "extension", "the content is of another kind than the name says; training reads the content", ids, remarks
    )


def _odd_shapes(source: Source, inspection: Inspection, indices: np.ndarray) -> Problem:
    heights, widths = inspection.heights[indices], inspection.widths[indices]
    elongated = np.maximum(heights / widths, widths / heights) > _ELONGATED
    tiny = np.minimum(heights, widths) < _TINY
    # If most images are small, a small image is normal.
    odd = np.flatnonzero(elongated | (tiny & (tiny.mean() < 0.5)))
    return single(
        "shape",
        f"a side of less than {_TINY} pixels, or {_ELONGATED:g} times the other",
        [source.ids[index] for index in indices[odd].tolist()],
        [f"{widths[row]} by {heights[row]}" for row in odd.tolist()],
    )


def _size_tells_class(
    source: Source, inspection: Inspection, indices: np.ndarray, together: np.ndarray, *, seed: int
) -> Problem:
    """Returns a problem if height and width alone tell the classes apart, which a network can learn instead of the content.

    Groups and copies are asked about as a whole: a camera has one size, and tells the class of its own photos.
    """
    labels = source.labelling.strata(source.labels[indices])
    sizes = np.stack([inspection.heights[indices], inspection.widths[indices]], axis=1)
    folds = fold_of_each(labels, together, seed=seed)
    right: np.ndarray = np.zeros(len(labels), bool)
    for fold in range(FOLDS):
        asked = folds == fold
        if asked.any() and not asked.all():
            tree = DecisionTreeClassifier(max_leaf_nodes=_LEAVES, random_state=seed).fit(sizes[~asked], labels[~asked])
            right[asked] = tree.predict(sizes[asked]) == labels[asked]
    chance = np.bincount(labels).max() / len(labels)
    error = max(np.sqrt(chance * (1 - chance) / len(labels)), error_of_mean(right, together))
    leaks = right.mean() - chance > _CLEARLY_ABOVE_CHANCE * error
    remark = f"height and width alone get {right.mean():.2f} right, the commonest class {chance:.2f}"
    meaning = "the size of an image gives its class away: resize them alike before the network learns it"
    return Problem("leak by size", meaning, ((),) if leaks else (), (remark,) if leaks else ())


def _series_in_two_splits(source: Source, indices: np.ndarray) -> Problem:
    """Returns the series of file names, such as `video12_0001`, that declared splits divide."""
    if len(np.unique(source.declared_splits[indices])) < 2 or not isinstance(source, FileSource):
        return Problem("leak by name", "", (), ())
    series: dict[str, list[int]] = {}
    for index in indices.tolist():
        stem = pathlib.Path(source.ids[index]).stem
        if match := re.fullmatch(r"(.*\d.*?)[^0-9a-zA-Z]+\d+", stem):
            series.setdefault(match[1], []).append(index)
    torn = [
        tuple(source.ids[index] for index in members)
        for members in series.values()
        if len(np.unique(source.declared_splits[members])) > 1
    ]
    return Problem(
        "leak by name",
        "names of one series in two splits: frames of a video, or photos of one object, should be in one",
        tuple(torn),
        ("",) * len(torn),
    )
