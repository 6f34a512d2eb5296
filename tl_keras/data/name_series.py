"""Finds series in the names of images, such as `object7_03.jpg`: groups that nobody has declared."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

import numpy as np

from tl_keras.console import printable
from tl_keras.data.groups import Groups, groups_by_name, names_found

# What parts of a name are divided by. A dot is not among them, because it comes before the suffix.
_BETWEEN = r"[_ ()-]+"
_PART = r"[^/_ ()-]*"

# Parts of names that may tell groups: what Roboflow writes for each changed copy of an image, NAME_jpg.rf.HASH.jpg; all but the
# last part, all but the last two, the first two, the first.
_PATTERNS = (
    r"([^/]+)\.rf\.[0-9a-fA-F]+\.[a-z]+$",
    rf"([^/]+?){_BETWEEN}{_PART}$",
    rf"([^/]+?)(?:{_BETWEEN}{_PART}){{2}}$",
    rf"(?:^|/)([^/_ ()-]+{_BETWEEN}[^/_ ()-]+){_BETWEEN}[^/]*$",
    rf"(?:^|/)([^/_ ()-]+){_BETWEEN}[^/]*$",
)

# Part of the images that must be in groups of at least two for these to be groups, and such groups of the median class.
_FEWEST_IN_GROUPS = 0.2
_FEWEST_GROUPS_OF_A_CLASS = 3

# Part of the images from which on a group is what names begin with, such as IMG, not a patient. With more in one of five folds, its
# images are judged by a model of less than two thirds of the others, and nothing can be measured. Of batches of boards one is 0.28.
_LARGEST_GROUP = 1 / 3

# The same for a warning, for which nothing is measured: most images, in groups of three on average.
_MOST_IN_GROUPS = 0.8
_FEWEST_OF_A_SERIES = 3

# Number of names that are looked at, in so many runs of neighbours, whose series are whole: 100,000 take as long as 5,000.
_NAMES, _RUNS = 5_000, 20

# A date in a name, as phones write it, says no more than that photos are of one day.
_DATE = re.compile(r"(?:19|20)\d{2}[01]\d[0-3]\d|(?:19|20)\d{2}-[01]\d-[0-3]\d")


def are_groups(group: np.ndarray, strata: np.ndarray) -> bool:
    """Returns whether a partition of images can be one into patients, objects or videos.

    It cannot if there is a group for each class, or for nearly each image, or if most images are in one group.

    Args:
      group: Group of each image, int64 (n,).
      strata: Stratum of each image, int64 (n,), such as its class.
    """
    sizes = np.bincount(group)[group]
    several = sizes > 1
    if several.mean() < _FEWEST_IN_GROUPS or sizes.max() > _LARGEST_GROUP * len(group):
        return False
    classes = np.unique(np.stack([strata[several], group[several]]), axis=1)[0]
    of_each_class = np.bincount(classes, minlength=strata.max() + 1)[np.unique(strata)]
    return bool(np.median(of_each_class) >= _FEWEST_GROUPS_OF_A_CLASS)


def series_in_names(ids: Sequence[str], strata: np.ndarray, class_names: Sequence[str] = ()) -> list[Groups]:
    """Returns the ways in which names may tell groups, each with its `--group_by`, from the smallest groups to the largest.

    Args:
      ids: Names of the images.
      strata: Stratum of each image, int64 (n,), such as its class.
      class_names: Names of the classes, whose folders are no groups.
    """
    rows = _neighbours(len(ids))
    some = [ids[row] for row in rows.tolist()]
    found: list[tuple[int, str]] = []
    partitions: list[np.ndarray] = []
    for expression in (*_PATTERNS, "folder"):
        names = np.array(names_found(some, expression, class_names))
        partition = partition_of(names)
        known = any(np.array_equal(partition, each) for each in partitions)
        if not known and are_groups(partition, strata[rows]):
            found.append((int(partition.max()), _simplest(some, expression, names, partition)))
            partitions.append(partition)
    return [groups_by_name("names", ids, expression, class_names) for _, expression in sorted(found, reverse=True)]


def _neighbours(number: int) -> np.ndarray:
    """Returns the positions of names to look at, int64, ascending."""
    if number <= _NAMES:
        return np.arange(number)
    starts = np.linspace(0, number - _NAMES // _RUNS, _RUNS).astype(np.int64)
    return (starts[:, None] + np.arange(_NAMES // _RUNS)).ravel()


def partition_of(names: np.ndarray) -> np.ndarray:
    """Returns a number for each image, int64 (n,), in the order of their first image; an image without a name is alone."""
    keys = np.where(names == "", [f"/{position}" for position in range(len(names))], names)
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group]


def warning_of_series(ids: Sequence[str], strata: np.ndarray, class_names: Sequence[str] = ()) -> list[str]:
    """Returns a sentence if most names belong to series that should stay in one split, found in the names alone.

    Args:
      ids: Names of the images.
      strata: Stratum of each image, int64 (n,), such as its class.
      class_names: Names of the classes, whose folders are no series.
    """
    for groups in reversed(series_in_names(ids, strata, class_names)):
        sizes = np.unique(groups.names[groups.names != ""], return_counts=True)[1]
        in_series = sizes[sizes >= _FEWEST_OF_A_SERIES]
        dated = np.mean([bool(_DATE.search(name)) for name in groups.names.tolist()])
        if in_series.sum() >= _MOST_IN_GROUPS * len(ids) and dated < 0.5:
            return [
                f"names look like {len(sizes)} series, such as {example_of(groups)}. If each shows one object, patient or video, "
                f"the accuracy is too high unless {quoted(groups.by)} keeps it in one split; python -m tl_keras.inspect measures "
                "by how much"
            ]
    return []


def example_of(groups: Groups) -> str:
    """Returns the name of the largest group, as a terminal may show it."""
    names, sizes = np.unique(groups.names[groups.names != ""], return_counts=True)
    return printable(names[sizes.argmax()])


def quoted(flag: str) -> str:
    """Returns a flag, such as `--group_by=object[0-9]+`, as a shell takes it."""
    name, _, value = flag.partition("=")
    return f"{name}={shlex.quote(value)}"


def _simplest(ids: Sequence[str], expression: str, names: np.ndarray, partition: np.ndarray) -> str:
    """Returns `object[0-9]+` for names such as object7 where it finds the same groups, otherwise the expression."""
    shapes = {re.sub(r"[0-9]+", "[0-9]+", re.escape(name)) for name in names.tolist() if name}
    shape = shapes.pop().replace(r"\ ", " ").replace(r"\-", "-") if len(shapes) == 1 else ""
    same = "[0-9]+" in shape and np.array_equal(partition_of(np.array(names_found(ids, shape))), partition)
    return shape if same else expression
