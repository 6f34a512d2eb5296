"""Finds out what is wrong with a set of images or texts, more closely than every run does, and makes clean splits."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tl_keras.advice.candidates import Candidate
from tl_keras.advice.data_table import can_be_written, write_table
from tl_keras.advice.exemplars import Exemplars, find_exemplars
from tl_keras.advice.image_problems import ImageChecks
from tl_keras.advice.label_checks import LabelCheck, check_labels
from tl_keras.advice.leak import Leak, find_leak, with_groups
from tl_keras.advice.problems import Checks, Problem, single
from tl_keras.advice.suspects import members_of_each, unlike_all_others
from tl_keras.advice.teacher_scores import pooled_rows
from tl_keras.config import TransferConfig
from tl_keras.console import number_of, printable
from tl_keras.data.groups import units
from tl_keras.data.inspection import Inspection, inspect_as
from tl_keras.data.sources import Source
from tl_keras.data.splits import Splits, split_source
from tl_keras.data.text_lines import text_of
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import DataError
from tl_keras.probes.vectors import Vectors, in_memory

# Number of images below which a class is too small for five folds to judge its labels, and for a split.
_FEW_IMAGES = 10

# Number of characters of a text that a line shows.
_BEGINNING = 60

# Largest number of cases of a kind in the JSON file.
_MOST_CASES = 1000


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
      exemplars: Images to compare others with; None for none.
    """

    source: Source
    inspection: Inspection
    teacher: str
    probe_accuracy: float
    probe_says: str
    problems: tuple[Problem, ...]
    copies: np.ndarray
    leak: Leak | None = None
    exemplars: Exemplars | None = None

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
    """Inspects every image or text of all splits: its pixels or letters, and its features from a teacher.

    Args:
      source: The images.
      candidate: Teacher whose features judge labels and outliers.
      config: Config whose cache and seed are used.

    Raises:
      DataError: Fewer than two classes have an image that can be decoded.
      BackboneError: The teacher's weights cannot be loaded.
    """
    inspection = inspect_as(source, config)
    known, indices = inspection.known(source), np.flatnonzero(inspection.decodable)
    checks = _checks(known, inspection, indices, candidate, config)
    groups = checks.near_copies()
    copies = np.arange(len(source))
    copies[indices] = indices[groups]
    features = pooled_rows(candidate, checks.config, known, inspection, indices)
    table = in_memory(features)
    leak = find_leak(source, indices, table, inspection.sha256[indices], near=groups, seed=config.seed)
    together = units(groups.astype(str), leak.names[indices] if leak else None)
    check = check_labels(source, indices, table, groups=together, seed=config.seed)
    problems = (
        _undecodable(inspection, source.noun),
        *_copies(source, copies),
        suspect_labels(source, indices, check),
        _outliers(source, indices, features, seed=config.seed),
        _few(source, indices),
        *checks.problems(together),
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
        exemplars=find_exemplars(
            source, indices, table, suspects=[row for row, _ in check.suspects], copies=copies[indices]
        ),
    )


def _checks(
    source: Source, inspection: Inspection, indices: np.ndarray, candidate: Candidate, config: TransferConfig
) -> Checks:
    """Returns the checks for images or for texts."""
    if source.noun == "text":
        from tl_keras.advice.text_problems import TextChecks

        return TextChecks(source, indices, candidate, config)
    return ImageChecks(source, inspection, indices, config)


def clean_splits(report: DataReport, config: TransferConfig) -> Splits:
    """Returns splits without undecodable files and with one image of each set of copies.

    Of several copies, the one in test is kept, else the one in validation, else the first; if their labels contradict each other,
    none is kept. Splits declared by the source are kept; otherwise they are drawn class by class. Suspect labels are left to a
    person.

    Raises:
      DataError: No image remains for training or for validation.
    """
    source, kept = report.source, report.inspection.decodable.copy()
    order = {"test": 0, "validation": 1}
    for copies in members_of_each(report.copies):
        members = copies[kept[copies]].tolist()
        kept[members] = False
        if not source.labelling.contradict(source.labels[members]):
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
    if not can_be_written(source):
        raise DataError(
            f"write_splits: expected texts or image files, such as a directory or csv:FILE. Received: {source.name}. "
            "Leave --write_splits out."
        )
    names: np.ndarray = np.full(len(source), "", "U10")
    for split in ("train", "validation", "test"):
        names[getattr(splits, split)] = split
    order = np.concatenate([splits.train, splits.validation, splits.test])
    groups = {} if report.leak is None else {"group": report.leak.names}
    write_table(source, path, order, {"split": names, **groups}, option="write_splits")


def describe(report: DataReport, *, shown: int = 30) -> str:
    """Returns the report as lines, with at most `shown` cases of a kind."""
    source = report.source
    positions = {name: index for index, name in enumerate(source.ids)}
    lines = [
        f"{number_of(len(source), source.noun)} of {source.labelling.count(source.class_names)}; features of {report.teacher}, "
        f"on which {report.probe_says}"
    ]
    lines += [f"- {remark}" for remark in report.remarks]
    for problem in report.problems:
        lines += ["", f"{problem.kind}, {len(problem.rows)}: {problem.meaning}"]
        for ids, remark in zip(problem.rows[:shown], problem.remarks, strict=False):
            named = [_named(source, positions, each) for each in ids[:shown]]
            lines.append(f"  {_listed(named, len(ids))}{f'  {remark}' if remark else ''}")
        if len(problem.rows) > shown:
            lines.append(f"  and {len(problem.rows) - shown} more")
    if not report.problems:
        lines.append("nothing else was found")
    return "\n".join(lines)


def _listed(names: Sequence[str], count: int) -> str:
    return " = ".join(names) + (f" and {count - len(names)} more" if count > len(names) else "")


def _named(source: Source, positions: dict[str, int], name: str) -> str:
    """Returns the id of an image, or of a text with its beginning."""
    if source.noun == "image":
        return name
    text = text_of(source, positions[name])
    return f"{name} {printable(text[:_BEGINNING])!r}{'…' if len(text) > _BEGINNING else ''}"


def _undecodable(inspection: Inspection, noun: str) -> Problem:
    meaning = {"text": "without a letter or figure"}.get(noun, "damaged, cut short, too large or no image")
    return single("undecodable", f"{meaning}; training leaves them out", inspection.undecodable, inspection.reasons)


def _copies(source: Source, copies: np.ndarray) -> Iterator[Problem]:
    """Yields the problems of copies in two splits, copies with two labels, and other copies."""
    cases: dict[str, list[tuple[str, ...]]] = {"across": [], "labels": [], "within": []}
    for members in members_of_each(copies):
        ids = tuple(source.ids[index] for index in members.tolist())
        across = len(np.unique(source.declared_splits[members])) > 1
        disagree = source.labelling.contradict(source.labels[members])
        if disagree:
            cases["labels"].append(ids)
        if across:
            cases["across"].append(ids)
        elif not disagree:
            cases["within"].append(ids)
    of_classes = source.labelling.kind == "class" and source.noun == "image"
    several = ", or several are right: --task=multi_label" if of_classes else ""
    meanings = {
        "across": ("copies across splits", "exact or nearly the same in two splits: the measured accuracy is too high"),
        "labels": (
            "copies with two labels",
            f"exact or nearly the same under two labels: one of them is wrong{several}",
        ),
        "within": ("copies", "exact or nearly the same: each counts as one more"),
    }
    for name, (kind, meaning) in meanings.items():
        yield Problem(kind, meaning, tuple(cases[name]), ("",) * len(cases[name]))


def suspect_labels(source: Source, indices: np.ndarray, check: LabelCheck) -> Problem:
    """Returns the labels that a check doubts, and how many of them are wrong at most.

    Args:
      source: The images.
      indices: Images that were checked, int64 (n,).
      check: Doubts that simple models have about the labels.
    """
    # The estimate counts hard images too where the model is weak, and others than the suspects, see `expected_errors`.
    wrong, hard = check.expected_errors, f"hard {source.noun}s"
    if wrong == 0:
        expected = f"worth a look, though probably none is mislabelled: they are {hard}"
    elif wrong is None:
        expected = f"many are {hard} with a right one: look"
    elif wrong < len(check.suspects):
        expected = f"about {wrong} of them at most are errors, the likeliest first, the others {hard}: look"
    else:
        expected = f"each may be an error, the likeliest first, or a {hard[:-1]}: look"
    return single(
        "label",
        f"{'perhaps' if wrong == 0 else 'likely'} a wrong label, by a model that has not seen the {source.noun}; {expected}",
        [source.ids[indices[row]] for row, _ in check.suspects],
        [remark for _, remark in check.suspects],
    )


def _outliers(source: Source, indices: np.ndarray, features: Vectors, *, seed: int) -> Problem:
    far, ratios = unlike_all_others(features, seed=seed)
    return single(
        "outlier",
        f"unlike all other {source.noun}s",
        [source.ids[index] for index in indices[far].tolist()],
        [f"distance {ratio:.1f} times the median" for ratio in ratios.tolist()],
    )


def _few(source: Source, indices: np.ndarray) -> Problem:
    members = source.labelling.members(source.labels[indices], source.class_names)
    few = {name: rows for name, rows in members.items() if len(rows) < _FEW_IMAGES}
    return Problem(
        "small class",
        f"fewer than {_FEW_IMAGES} {source.noun}s: too few to split and to judge labels by",
        tuple(tuple(source.ids[i] for i in indices[rows].tolist()) for rows in few.values()),
        tuple(f"class {name}: {number_of(len(rows), source.noun)}" for name, rows in few.items()),
    )
