"""Keeps images that belong together (of one patient, house or video) in one split: who belongs to whom, and a fair deal."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tl_keras.console import number_of, printable
from tl_keras.data.class_names import as_missing, is_missing
from tl_keras.errors import DataError

# Rounds in which every unit may move once; it takes two or three until none wants to.
_MOST_ROUNDS = 20

# Cost of a class that is missing from a split, in images of that class. A missing class of the first split outweighs any balance.
_MISSING_FROM_FIRST, _MISSING = 1000.0, 1.0


@dataclasses.dataclass(frozen=True)
class Groups:
    """The group of each image.

    Attributes:
      by: Origin of the groups, such as `the column patient` or `--group_by=folder`.
      names: str (n,), name of each image's group; empty for an image that is alone.
    """

    by: str
    names: np.ndarray

    @classmethod
    def of_column(cls, by: str, names: Iterable[Any]) -> Groups | None:
        """Returns the groups of a column, or None if no group has two images; what is empty or missing is no group."""
        column = np.array(["" if is_missing(name) else str(name) for name in names], dtype=str)
        _, counts = np.unique(column[column != ""], return_counts=True)
        return cls(by, column) if np.any(counts > 1) else None

    def __len__(self) -> int:
        return len(np.unique(self.names[self.names != ""])) + int(np.sum(self.names == ""))

    def describe(self) -> str:
        """Returns a sentence for the user."""
        alone = int(np.sum(self.names == ""))
        beside = f"; {number_of(alone, 'image')} of no group, each taken as one of its own" if alone else ""
        for name in as_missing(np.unique(self.names[self.names != ""]).tolist()):
            images = number_of(int(np.sum(self.names == name)), "image")
            beside += f"; one of them is named {name}, as programs write a missing group, with {images}"
        return f"groups from {self.by}: {len(self)}, each in one split as a whole{beside}"


def groups_of_column(source: str, column: str, names: Iterable[Any], *, group_by: str) -> Groups | None:
    """Returns the groups in a column of a source, or None if no two images share one.

    Args:
      source: Name of the source, for the message.
      column: Name of the column.
      names: Its content, one for each image.
      group_by: Value of `--group_by`, which may name the column.

    Raises:
      DataError: No two images share a group, and the user names the column: it would otherwise be looked for in the images' names.
    """
    groups = Groups.of_column(f"the column {column}", names)
    if groups is None and group_by == column:
        raise DataError(
            f"{source}: expected groups of images by --group_by={column}, a column. Received none with two images. Leave "
            "--group_by out, or name another column."
        )
    return groups


def groups_by_name(source: str, ids: Sequence[str], group_by: str, class_names: Sequence[str] = ()) -> Groups:
    """Returns the groups that the names of images tell.

    Args:
      source: Name of the source, for the message.
      ids: Names of the images.
      group_by: `folder` for the name of the folder that an image is in, or a regular expression that is searched for in each
        name: its bracketed parts, or else the whole match, name the group.
      class_names: Names of the classes; an image directly in a folder of such a name is alone.

    Raises:
      DataError: No two images share a group.
    """
    found = Groups.of_column(f"--group_by={group_by}", names_found(ids, group_by, class_names))
    if found is None:
        raise DataError(
            f"{source}: expected groups of images by --group_by={group_by}. Received none with two images; the first name is "
            f"{printable(ids[0])}. Write an expression that finds the group in such names, as in --group_by='patient[0-9]+'."
        )
    return found


def names_found(ids: Sequence[str], group_by: str, class_names: Sequence[str] = ()) -> list[str]:
    """Returns what `--group_by` finds in each name, empty where it finds nothing; see `groups_by_name`."""
    if group_by == "folder":
        classes = set(class_names)
        return [_folder_of(posixpath.dirname(image_id).split("/"), classes) for image_id in ids]
    matches = [re.search(group_by, image_id) for image_id in ids]
    return ["/".join(filter(None, match.groups())) or match[0] if match else "" for match in matches]


def _folder_of(folders: list[str], classes: set[str]) -> str:
    """Returns the last of an image's folders, or nothing if it is that of the class: the first that is named as a class is."""
    of_class = next((at for at, folder in enumerate(folders) if folder in classes), -1)
    return "" if of_class == len(folders) - 1 else folders[-1]


def units(contents: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Returns a number for each image, int64 (n,), the same for images that must stay together.

    Args:
      contents: str (n,), hash of each image; copies stay together.
      groups: str (n,), name of each image's group, empty for none; None if there are no groups.
    """
    content = np.unique(contents, return_inverse=True)[1]
    if groups is None:
        return content
    names, group = np.unique(groups, return_inverse=True)
    rows = np.flatnonzero(groups != "")
    nodes = content.max(initial=0) + 1 + len(names)
    edges = coo_array(
        (np.ones(len(rows)), (content[rows], content.max(initial=0) + 1 + group[rows])), shape=(nodes, nodes)
    )
    connected = connected_components(edges, directed=False)[1]
    return np.unique(connected[content], return_inverse=True)[1].astype(np.int64)


def deal(
    unit: np.ndarray, labels: np.ndarray, fractions: Sequence[float], *, seed: int, first_has_all: bool = False
) -> np.ndarray:
    """Deals units to splits, so that each split has its fraction of every class as nearly as whole units allow.

    The units, the larger ones first, each go where the counts of their classes then fit best, of splits that fit alike to the one
    that lacks most images; then units move while that helps. So splits of equal fractions, where there are as many units, all get
    one. Units of about the same size come in an order that the seed decides. scikit-learn's `StratifiedGroupKFold` deals in the
    same way but knows splits of equal size only, and moves nothing afterwards.

    Args:
      unit: int64 (n,), from `units`.
      labels: int64 (n,), class of each image.
      fractions: Fraction of the images for each split; they add up to 1.
      seed: Seed of the order.
      first_has_all: Whether every class must be in the first split, and should be in all.

    Returns:
      int64 (n,), position of each image's split.
    """
    number, classes = int(unit.max()) + 1, int(labels.max()) + 1
    # Python's numbers in lists: a unit has few classes, for which NumPy's calls take twenty times as long.
    contents = _contents(unit, labels, number, classes)
    total = np.bincount(labels, minlength=classes).tolist()
    size = np.bincount(unit, minlength=number)
    order = np.lexsort((np.random.default_rng(seed).permutation(number), -np.floor(np.log2(size)))).tolist()
    splits = [
        _Split(
            images=0,
            target=fraction * len(labels),
            filled=[0] * classes,
            targets=[fraction * images for images in total],
            missing=(_MISSING if position else _MISSING_FROM_FIRST) if first_has_all else 0.0,
        )
        for position, fraction in enumerate(fractions)
    ]
    split_of: list[int] = [-1] * number
    for _ in range(_MOST_ROUNDS):
        moved = False
        for one in order:
            before, content = split_of[one], contents[one]
            if before >= 0:
                splits[before].add(content, -1)
            costs = [(split.cost_of(content, total), split.images - split.target) for split in splits]
            best = costs.index(min(costs))
            splits[best].add(content, 1)
            split_of[one] = best
            moved |= best != before
        if not moved:
            break
    return np.array(split_of, np.int64)[unit]


# The classes of a unit, each with the number of its images.
_Content = list[tuple[int, int]]


def _contents(unit: np.ndarray, labels: np.ndarray, number: int, classes: int) -> list[_Content]:
    """Returns the content of each unit."""
    pairs, counts = np.unique(unit * classes + labels, return_counts=True)
    rows = list(zip((pairs % classes).tolist(), counts.tolist(), strict=True))
    ends = np.searchsorted(pairs, np.arange(number + 1) * classes).tolist()
    return [rows[start:end] for start, end in itertools.pairwise(ends)]


@dataclasses.dataclass
class _Split:
    """What a split has and should have, in all and of each class, and what a missing class costs, in images of that class."""

    images: int
    target: float
    filled: list[int]
    targets: list[float]
    missing: float

    def add(self, content: _Content, sign: int) -> None:
        """Puts a unit into the split, or with -1 takes it out."""
        for label, count in content:
            self.filled[label] += sign * count
            self.images += sign * count

    def cost_of(self, content: _Content, total: list[int]) -> float:
        """Returns by how much a unit more would change the cost: squares of what is missing, relative to what there should be."""
        cost, filled, targets, missing = 0.0, self.filled, self.targets, self.missing
        for label, count in content:
            cost += count * (2 * (filled[label] - targets[label]) + count) / (targets[label] or 1e-9)
            if missing and not filled[label]:
                cost -= missing * total[label]
        return cost


def seed_of(contents: np.ndarray, seed: int) -> int:
    """Returns a seed that follows from a seed and the images, whatever their order."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{','.join(sorted(contents))}".encode()).digest()[:4], "big")
