"""Finds out what is wrong with a set of images, more closely than every run does, and makes clean splits."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from tl_keras.advice.candidates import Candidate
from tl_keras.advice.data_table import write_table
from tl_keras.advice.label_checks import LabelCheck, check_labels
from tl_keras.advice.leak import Leak, find_leak, with_groups
from tl_keras.advice.suspects import far_away, members_of_each, near_copies
from tl_keras.advice.teacher_scores import pooled_rows
from tl_keras.advice.thumbnails import THUMBNAIL, thumbnails
from tl_keras.advice.transferability import FOLDS, fold_of_each
from tl_keras.advice.vectors import Vectors, blocks, in_memory
from tl_keras.config import TransferConfig
from tl_keras.console import number_of
from tl_keras.data.base import FileSource, require_images
from tl_keras.data.file_kinds import CONVERTED_SUFFIXES, SUFFIXES, kind_of_file, suffix_of
from tl_keras.data.groups import units
from tl_keras.data.inspection import Inspection, Reading, inspect_source
from tl_keras.data.sources import Source
from tl_keras.data.splits import Splits, split_source
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import DataError
from tl_keras.serving.outlier import fit_outlier_model
from tl_keras.user_folders import cache_folder

# Ratio of sides above which a teacher's centre crop keeps less than a third of the image.
_ELONGATED = 3.0

# Side in pixels below which an image shows less than the smallest network takes.
_TINY = 32

# Number of images below which a class is too small for five folds to judge its labels, and for a split.
_FEW_IMAGES = 10

# Number of standard errors above the commonest class's share from which on height and width alone tell the classes apart.
_CLEARLY_ABOVE_CHANCE = 4.0

# Largest number of images that outliers are measured from; a mean and 32 directions are known well from so many.
_OUTLIER_IMAGES = 10_000

# Largest number of cases of a kind in the JSON file.
_MOST_CASES = 1000

# Number of leaves of the tree that tests this: a few thresholds, not one size per image.
_LEAVES = 16


@dataclasses.dataclass(frozen=True)
class Problem:
    """One kind of problem, with its cases.

    Attributes:
      kind: Name in one or two words, such as `label`.
      meaning: Explanation and remedy, in a sentence.
      rows: Tuples of ids, one per case, the worst first; a case is one image or several that belong together.
      remarks: Remarks, one per case, such as the class that the features suggest.
    """

    kind: str
    meaning: str
    rows: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class DataReport:
    """The findings on a set of images.

    Attributes:
      source: The images.
      inspection: Facts that every run reads from them.
      teacher: Name of the teacher whose features were used.
      probe_accuracy: Accuracy of the out-of-fold predictions against the given labels, 0 to 1; of numbers R².
      probe_says: The same in words.
      problems: Problems, one for each kind that was found.
      copies: int64 (n,), the same number for images that are copies of each other, a unique one for the others.
      leak: Groups that the accuracy depends on, declared or found; None for none.
    """

    source: Source
    inspection: Inspection
    teacher: str
    probe_accuracy: float
    probe_says: str
    problems: tuple[Problem, ...]
    copies: np.ndarray
    leak: Leak | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """Returns sentences on the images, what groups do first."""
        groups = (self.leak.says,) if self.leak else ()
        return (*groups, *self.source.notes, *self.inspection.findings)

    def to_json(self) -> dict[str, Any]:
        """Returns the report as JSON values, of each kind of problem the number of cases and the worst thousand."""
        return {
            "source": self.source.name,
            "teacher": self.teacher,
            "probe_accuracy": self.probe_accuracy,
            **self.inspection.to_json(),
            "notes": list(self.source.notes),
            "groups": self.leak.to_json() if self.leak else None,
            "problems": [
                {
                    "kind": problem.kind,
                    "meaning": problem.meaning,
                    "count": len(problem.rows),
                    "cases": [
                        {"images": list(ids[:_MOST_CASES]), "remark": remark}
                        for ids, remark in zip(problem.rows[:_MOST_CASES], problem.remarks, strict=False)
                    ],
                }
                for problem in self.problems
            ],
        }


@with_own_keras_settings
def inspect_closely(source: Source, candidate: Candidate, config: TransferConfig) -> DataReport:
    """Inspects every image of all splits: its pixels, and its features from a teacher.

    Args:
      source: The images.
      candidate: Teacher whose features judge labels and outliers.
      config: Config whose cache and seed are used.

    Raises:
      DataError: Fewer than two classes have an image that can be decoded.
      BackboneError: The teacher's weights cannot be loaded.
    """
    require_images(source.noun, command="inspect")
    inspection = inspect_source(
        source, Reading.of(config), remembered_in=cache_folder(config.cache.folder), show_progress=True
    )
    indices = np.flatnonzero(inspection.decodable)
    sides = np.minimum(inspection.heights, inspection.widths)
    copies = np.arange(len(source))
    pictures = thumbnails(source, inspection, indices, config)
    groups = near_copies(pictures, inspection.sha256[indices], comparable=sides[indices] >= THUMBNAIL)
    copies[indices] = indices[groups]
    features = pooled_rows(candidate, config, source, inspection, indices)
    table = in_memory(features)
    leak = find_leak(source, indices, table, inspection.sha256[indices], near=groups, seed=config.seed)
    together = units(groups.astype(str), leak.names[indices] if leak else None)
    check = check_labels(source, indices, table, groups=together, seed=config.seed)
    problems = (
        _undecodable(inspection),
        _wrong_extensions(source, indices),
        *_copies(source, copies),
        _labels(source, indices, check),
        _outliers(source, indices, features, seed=config.seed),
        _few(source, indices),
        _odd_shapes(source, inspection, indices),
        _size_tells_class(source, inspection, indices, copies, seed=config.seed),
        _series_in_two_splits(source, indices),
    )
    return DataReport(
        source=source,
        inspection=inspection,
        teacher=candidate.name,
        probe_accuracy=check.score,
        probe_says=check.says,
        problems=tuple(problem for problem in problems if problem.rows),
        copies=copies,
        leak=leak,
    )


def clean_splits(report: DataReport, config: TransferConfig) -> Splits:
    """Returns splits without undecodable files and with one image of each set of copies.

    Of several copies, the one in test is kept, else the one in validation, else the first; if they have two labels, none is
    kept. Splits declared by the source are kept; otherwise they are drawn class by class. Suspect labels are left to a person.

    Raises:
      DataError: No image remains for training or for validation.
    """
    source, kept = report.source, report.inspection.decodable.copy()
    order = {"test": 0, "validation": 1}
    for copies in members_of_each(report.copies):
        members = copies[kept[copies]].tolist()
        kept[members] = False
        if len(np.unique(source.labels[members], axis=0)) == 1:
            kept[min(members, key=lambda index: (order.get(str(source.declared_splits[index]), 2), index))] = True
    # Declared splits stay, whatever they divide: the report says so.
    return split_source(
        source if np.any(source.declared_splits != "") else with_groups(source, report.leak),
        dataclasses.replace(report.inspection, decodable=kept),
        validation_fraction=config.data.validation_fraction,
        test_fraction=config.data.test_fraction,
        seed=config.seed,
    )


def write_splits(report: DataReport, splits: Splits, path: pathlib.Path) -> None:
    """Writes the splits as a CSV file that `--data=csv:PATH` reads; paths are relative to it.

    Raises:
      DataError: The images of the source are not separate files.
      WorkdirError: The place is not writable.
    """
    source = report.source
    if not isinstance(source, FileSource):
        raise DataError(
            f"write_splits: expected a source of image files, a directory or csv:FILE. Received: {source.name}. "
            "Leave --write_splits out."
        )
    names: np.ndarray = np.full(len(source), "", "U10")
    for split in ("train", "validation", "test"):
        names[getattr(splits, split)] = split
    order = np.concatenate([splits.train, splits.validation, splits.test])
    groups = {} if report.leak is None else {"group": report.leak.names}
    write_table(source, path, order, {"split": names, **groups})


def describe(report: DataReport, *, shown: int = 30) -> str:
    """Returns the report as lines, with at most `shown` cases of a kind."""
    lines = [
        f"{len(report.source)} images of {report.source.labelling.count(report.source.class_names)}; features of {report.teacher}, "
        f"on which {report.probe_says}"
    ]
    lines += [f"- {remark}" for remark in report.remarks]
    for problem in report.problems:
        lines += ["", f"{problem.kind}, {len(problem.rows)}: {problem.meaning}"]
        cases = [
            f"  {_listed(ids, shown)}{f'  {remark}' if remark else ''}"
            for ids, remark in zip(problem.rows[:shown], problem.remarks, strict=False)
        ]
        lines += cases
        if len(problem.rows) > shown:
            lines.append(f"  and {len(problem.rows) - shown} more")
    if not report.problems:
        lines.append("nothing else was found")
    return "\n".join(lines)


def _listed(ids: Sequence[str], shown: int) -> str:
    return " = ".join(ids[:shown]) + (f" and {len(ids) - shown} more" if len(ids) > shown else "")


def _single(kind: str, meaning: str, ids: Sequence[str], remarks: Sequence[str] = ()) -> Problem:
    return Problem(kind, meaning, tuple((each,) for each in ids), tuple(remarks) or ("",) * len(ids))


def _undecodable(inspection: Inspection) -> Problem:
    return _single(
        "undecodable",
        "damaged, cut short, too large or no image; training leaves them out",
        inspection.undecodable,
        inspection.reasons,
    )


def _wrong_extensions(source: Source, indices: np.ndarray) -> Problem:
    """Returns the files whose suffix names another kind of image than they are; one without suffix names none."""
    ids, remarks = [], []
    all_suffixes = {**SUFFIXES, **CONVERTED_SUFFIXES}
    said = {suffix: kind for kind, suffixes in all_suffixes.items() for suffix in suffixes}
    if not isinstance(source, FileSource):
        return _single("extension", "", ())
    for index in indices.tolist():
        path = source.path(index)
        kind, named = kind_of_file(path), said.get(suffix_of(path), "")
        if named and kind in all_suffixes and named != kind:
            ids.append(source.ids[index])
            remarks.append(f"is a {all_suffixes[kind][0]}")
    return _single(
        "extension", "the content is of another kind than the name says; training reads the content", ids, remarks
    )


def _copies(source: Source, copies: np.ndarray) -> Iterator[Problem]:
    """Yields the problems of copies in two splits, copies with two labels, and other copies."""
    cases: dict[str, list[tuple[str, ...]]] = {"across": [], "labels": [], "within": []}
    for members in members_of_each(copies):
        ids = tuple(source.ids[index] for index in members.tolist())
        across = len(np.unique(source.declared_splits[members])) > 1
        disagree = len(np.unique(source.labels[members], axis=0)) > 1
        if disagree:
            cases["labels"].append(ids)
        if across:
            cases["across"].append(ids)
        elif not disagree:
            cases["within"].append(ids)
    meanings = {
        "across": ("copies across splits", "exact or nearly the same in two splits: the measured accuracy is too high"),
        "labels": ("copies with two labels", "exact or nearly the same under two labels: one of them is wrong"),
        "within": ("copies", "exact or nearly the same: they count twice"),
    }
    for name, (kind, meaning) in meanings.items():
        yield Problem(kind, meaning, tuple(cases[name]), ("",) * len(cases[name]))


def _labels(source: Source, indices: np.ndarray, check: LabelCheck) -> Problem:
    expected = "many are hard images with a right one"
    if check.expected_errors is not None:
        expected = (
            f"about {check.expected_errors} are expected to be errors, the likeliest first, the others hard images"
        )
    return _single(
        "label",
        f"likely a wrong label, by a model that has not seen the image; {expected}: look",
        [source.ids[indices[row]] for row, _ in check.suspects],
        [remark for _, remark in check.suspects],
    )


def _outliers(source: Source, indices: np.ndarray, features: Vectors, *, seed: int) -> Problem:
    known = np.asarray(features[np.sort(np.random.default_rng(seed).permutation(len(features))[:_OUTLIER_IMAGES])])
    model = fit_outlier_model(known, known)
    distances = np.concatenate([model.score(block).numpy() for block in blocks(features)])
    far, median = far_away(distances), np.median(distances)
    return _single(
        "outlier",
        "unlike all other images",
        [source.ids[index] for index in indices[far].tolist()],
        [f"distance {distances[row] / median:.1f} times the median" for row in far.tolist()],
    )


def _few(source: Source, indices: np.ndarray) -> Problem:
    members = source.labelling.members(source.labels[indices], source.class_names)
    few = {name: rows for name, rows in members.items() if len(rows) < _FEW_IMAGES}
    return Problem(
        "small class",
        f"fewer than {_FEW_IMAGES} images: too few to split and to judge labels by",
        tuple(tuple(source.ids[i] for i in indices[rows].tolist()) for rows in few.values()),
        tuple(f"class {name}: {number_of(len(rows), 'image')}" for name, rows in few.items()),
    )


def _odd_shapes(source: Source, inspection: Inspection, indices: np.ndarray) -> Problem:
    heights, widths = inspection.heights[indices], inspection.widths[indices]
    elongated = np.maximum(heights / widths, widths / heights) > _ELONGATED
    tiny = np.minimum(heights, widths) < _TINY
    # If most images are small, a small image is normal.
    odd = np.flatnonzero(elongated | (tiny & (tiny.mean() < 0.5)))
    return _single(
        "shape",
        f"a side of less than {_TINY} pixels, or {_ELONGATED:g} times the other",
        [source.ids[index] for index in indices[odd].tolist()],
        [f"{widths[row]} by {heights[row]}" for row in odd.tolist()],
    )


def _size_tells_class(
    source: Source, inspection: Inspection, indices: np.ndarray, copies: np.ndarray, *, seed: int
) -> Problem:
    """Returns a problem if height and width alone tell the classes apart, which a network can learn instead of the content."""
    labels = source.labelling.strata(source.labels[indices])
    sizes = np.stack([inspection.heights[indices], inspection.widths[indices]], axis=1)
    folds = fold_of_each(labels, copies[indices], seed=seed)
    right: np.ndarray = np.zeros(len(labels), bool)
    for fold in range(FOLDS):
        asked = folds == fold
        if asked.any() and not asked.all():
            tree = DecisionTreeClassifier(max_leaf_nodes=_LEAVES, random_state=seed).fit(sizes[~asked], labels[~asked])
            right[asked] = tree.predict(sizes[asked]) == labels[asked]
    chance = np.bincount(labels).max() / len(labels)
    leaks = right.mean() - chance > _CLEARLY_ABOVE_CHANCE * np.sqrt(chance * (1 - chance) / len(labels))
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
