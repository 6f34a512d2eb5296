"""Finds groups of images that nobody has declared, and measures by how much they make an accuracy too high.

```
names, EXIF time and camera, near-copies ─► groups that may be ─► a probe with and without each ─► Leak: those that matter
```
"""

from __future__ import annotations

import copy
import dataclasses
import pathlib
from typing import Any

import numpy as np
import scipy.stats

from tl_keras.advice.data_table import can_be_written, write_table
from tl_keras.advice.near_copies import copies_by_features
from tl_keras.advice.photo_times import photos_of_one_moment
from tl_keras.console import number_of
from tl_keras.data.base import FileSource
from tl_keras.data.groups import Groups, units
from tl_keras.data.labelling import UNKNOWN
from tl_keras.data.name_series import are_groups, example_of, partition_of, quoted, series_in_names
from tl_keras.data.sources import Source
from tl_keras.evaluation.folds import design_effect, fold_interval
from tl_keras.evaluation.metrics import accuracy_interval
from tl_keras.probes.transferability import FOLDS, along_components, fold_of_each, linear_probe, ridge_probe

# Number of images that are measured, whole groups of them; more make the measure surer than the decision needs.
_MOST_IMAGES = 2_000

# Standard errors of the difference of many groups, and the difference itself, from which on groups are said to matter.
_CLEARLY, _MUCH = 3.0, 0.02

# Part of the images in a fold from which on its images are judged by a model of clearly fewer than those of even folds are.
_LARGE_FOLD = 0.25

# What the table of groups is called in the directory of the report.
TABLE = "groups.csv"


@dataclasses.dataclass(frozen=True)
class Leak:
    """Groups of images, and what a probe gets right with and without them.

    Attributes:
      by: Origin of the groups, such as `names` or `names and near-copies`.
      flag: Flag of `train` that tells these groups, as a shell takes it; empty where only a table can.
      names: str (n,), name of each image's group, of all images of the source; empty for an image that is alone.
      number: Number of groups of two images and more.
      ungrouped: Score out of fold where only exact copies stay together, and both ends of its 95% interval.
      grouped: The same where groups stay together.
      score_name: Words for the score.
      declared: Whether the source declares the groups.
      of_files: Whether the images are files, which a table can name.
      noun: Word for what is grouped, `image` or `text`.
      table: Path of the table of groups, where one is written.
    """

    by: str
    flag: str
    names: np.ndarray
    number: int
    ungrouped: tuple[float, float, float]
    grouped: tuple[float, float, float]
    score_name: str
    declared: bool
    of_files: bool
    noun: str = "image"
    table: str = ""

    @property
    def says(self) -> str:
        """Returns what a user should know and do, in a sentence or two."""
        of = f"{number_of(self.number, 'group')} of {self.noun}s belong together by {self.by}"
        before, after = (
            f"{score:.3f} ({low:.3f} to {high:.3f})" for score, low, high in (self.ungrouped, self.grouped)
        )
        if self.declared:
            return f"{of}: a linear probe's {self.score_name} out of fold is {after} with groups kept whole, {before} without"
        remedy = "give them to training as tl_keras.ArraySource(groups=...) does; inspection.json has the group of each"
        if self.of_files:
            table = (
                quoted(f"--data=csv:{self.table}") if self.table else f"--data=csv:DIR/{TABLE}, which --out=DIR writes"
            )
            remedy = f"train with {self.flag or table}"
        is_too_high = (
            "is too high"
            if self.grouped[0] < self.ungrouped[1] or self.ungrouped[0] > self.grouped[2]
            else "may be too high, and these are too few to tell by how much"
        )
        return (
            f"{of}: a linear probe's {self.score_name} out of fold is {before} if they are spread over the folds, and {after} on "
            f"groups that it has not seen. What is measured without them {is_too_high}: {remedy}"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the entry `groups` of the JSON report."""
        keys = ("score", "low", "high")
        return {
            "by": self.by,
            "flag": self.flag,
            "number": self.number,
            "score_name": self.score_name,
            "ungrouped": dict(zip(keys, self.ungrouped, strict=True)),
            "grouped": dict(zip(keys, self.grouped, strict=True)),
            "says": self.says,
            **({} if self.of_files else {"of_each_image": self.names.tolist()}),
        }


def find_leak(
    source: Source, indices: np.ndarray, features: np.ndarray, contents: np.ndarray, *, near: np.ndarray, seed: int
) -> Leak | None:
    """Returns groups that make an accuracy too high if they are not kept whole, or what declared groups do; None for none.

    Groups of names come before those of times, and these before near-copies, because a flag tells them; each is taken if a linear
    probe's score falls clearly once they are kept whole too: by three standard errors of the paired difference, and two points. Of
    few groups it takes more standard errors; and where groups make the folds uneven, both scores are measured on such folds.

    Args:
      source: The images.
      indices: Images that can be decoded, int64 (n,), ascending.
      features: Features of a teacher, float32 (n, d).
      contents: str (n,), hash of each image.
      near: Number of each image's set of near copies by its pixels, int64 (n,).
      seed: Seed of the folds.
    """
    strata = source.labelling.strata(source.labels[indices])
    measure = _Measure(source, indices, features, seed)
    alone = units(contents, None)
    if source.groups is not None:
        declared = units(contents, source.groups.names[indices])
        rows = measure.drawn(declared)
        return measure.leak(
            rows, alone, declared, by=source.groups.by, flag="", names=source.groups.names, declared=True
        )
    taken: list[tuple[str, str]] = []
    group = alone
    for by, flag, proposed in _proposals(source, indices, features, strata, near):
        joined = _joined(group, proposed)
        if joined.max() == group.max() or not are_groups(joined, strata):
            continue
        rows = measure.drawn(joined)
        before, after = measure.qualities(rows, group, joined)
        if _clearly_lower(before, after, joined[rows]):
            by_itself = joined.max() == _joined(alone, proposed).max()  # it tells all that was taken before as well
            taken = [(by, flag)] if by_itself else [*taken, (by, "")]
            group = joined
    if not taken:
        return None
    names: np.ndarray = np.full(len(source), "", "U24")
    names[indices] = np.where(np.bincount(group)[group] > 1, np.char.add("group", group.astype(str)), "")
    return measure.leak(
        measure.drawn(group),
        alone,
        group,
        by=" and ".join(dict.fromkeys(by for by, _ in taken)),
        flag=quoted(taken[0][1]) if len(taken) == 1 and taken[0][1] else "",
        names=names,
    )


def with_groups(source: Source, leak: Leak | None) -> Source:
    """Returns the source with the groups of a leak, where it declares none."""
    if leak is None or source.groups is not None:
        return source
    grouped = copy.copy(source)
    grouped.groups = Groups(leak.by, leak.names)
    return grouped


def write_groups(source: Source, leak: Leak, path: pathlib.Path) -> None:
    """Writes the images with their labels and groups as a CSV file that `--data=csv:PATH` reads.

    Splits that the source declares are written too, unless they divide a group: training then makes others.

    Raises:
      WorkdirError: The place is not writable.
    """
    rows = np.flatnonzero(leak.names != "")
    splits = source.declared_splits
    pairs = np.unique(np.stack([leak.names[rows], splits[rows]], axis=1), axis=0)
    whole = len(np.unique(pairs[:, 0])) == len(pairs)
    columns = {"group": leak.names, **({"split": splits} if whole and np.any(splits != "") else {})}
    write_table(source, path, np.arange(len(source)), columns, option="out")


# Part of the images in each fold, or None for folds of about one size.
_Parts = tuple[float, ...] | None


@dataclasses.dataclass(frozen=True)
class _Measure:
    """Out-of-fold scores of images by a linear probe, each partition measured once."""

    source: Source
    indices: np.ndarray
    features: np.ndarray
    seed: int
    measured: dict[tuple[bytes, bytes, _Parts], np.ndarray] = dataclasses.field(default_factory=dict)

    def drawn(self, group: np.ndarray) -> np.ndarray:
        """Returns images of which something is known, of whole groups drawn at random, at most some 2,000, int64, ascending."""
        known = np.flatnonzero(self._told(self.source.labels[self.indices]).reshape(len(self.indices), -1).any(axis=1))
        return known[_some_whole_groups(np.unique(group[known], return_inverse=True)[1], self.seed)]

    def qualities(self, rows: np.ndarray, finer: np.ndarray, coarser: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns how well each image is predicted with two partitions, float64 (k,), by models of about equally many images."""
        strata = self.source.labelling.strata(self.source.labels[self.indices[rows]])
        sizes = np.bincount(fold_of_each(strata, coarser[rows], seed=self.seed), minlength=FOLDS) / len(rows)
        parts = tuple(sizes.tolist()) if sizes.max() > _LARGE_FOLD else None
        return self._quality(rows, finer, parts), self._quality(rows, coarser, None)

    def _quality(self, rows: np.ndarray, group: np.ndarray, parts: _Parts) -> np.ndarray:
        """Returns how well each image is predicted, float64 (k,); the mean is the score."""
        key = rows.tobytes(), group[rows].tobytes(), parts
        if key not in self.measured:
            self.measured[key] = self._measure(rows, group, parts)
        return self.measured[key]

    def _measure(self, rows: np.ndarray, group: np.ndarray, parts: _Parts) -> np.ndarray:
        labels = self.source.labels[self.indices[rows]]
        kind, classes = self.source.labelling.kind, len(self.source.class_names)
        features, groups = self.features[rows], group[rows]
        if kind == "class":
            probe = linear_probe(features, labels, classes=classes, groups=groups, seed=self.seed, parts=parts)
            return probe.right.astype(float)
        strata = self.source.labelling.strata(labels)
        if kind == "labels":
            return self._of_labels(along_components(features), labels, strata, groups, parts)
        predicted = ridge_probe(features, labels, strata=strata, groups=groups, seed=self.seed, parts=parts)
        return 1 - ((predicted - labels) ** 2 / np.maximum(labels.var(axis=0), 1e-12)).mean(axis=1)

    def _of_labels(
        self, features: np.ndarray, labels: np.ndarray, strata: np.ndarray, groups: np.ndarray, parts: _Parts
    ) -> np.ndarray:
        """Returns the part of each image's known labels that is told rightly, float64 (k,), by regressions on known labels."""
        known = self._told(labels)
        predicted = np.broadcast_to((labels == 1).sum(axis=0) / np.maximum(known.sum(axis=0), 1), labels.shape).copy()
        patterns, pattern = np.unique(known, axis=1, return_inverse=True)
        for each, rows in enumerate(patterns.T):  # labels that are known of the same images are told together
            columns = np.flatnonzero(pattern == each)
            if len(np.unique(groups[rows])) > 1:
                predicted[np.ix_(rows, columns)] = ridge_probe(
                    features[rows],
                    labels[np.ix_(rows, columns)].astype(np.float64),
                    strata=strata[rows],
                    groups=groups[rows],
                    seed=self.seed,
                    parts=parts,
                )
        return ((predicted > 0.5) == (labels == 1)).mean(axis=1, where=known)

    def _told(self, labels: np.ndarray) -> np.ndarray:
        """Returns which labels or numbers are known, in the shape of the labels."""
        return np.isfinite(labels) if self.source.labelling.kind == "numbers" else labels != UNKNOWN

    def leak(
        self,
        rows: np.ndarray,
        alone: np.ndarray,
        group: np.ndarray,
        *,
        by: str,
        flag: str,
        names: np.ndarray,
        declared: bool = False,
    ) -> Leak:
        """Returns the leak of a partition."""
        counts = np.bincount(group)
        before, after = self.qualities(rows, alone, group)
        return Leak(
            by=by,
            flag=flag,
            names=names,
            number=int(np.sum(counts > 1)),
            ungrouped=_with_interval(before, alone[rows]),
            grouped=_with_interval(after, group[rows]),
            score_name={"class": "accuracy", "labels": "part of right answers", "numbers": "R²"}[
                self.source.labelling.kind
            ],
            declared=declared,
            of_files=can_be_written(self.source),
            noun=self.source.noun,
        )


def _proposals(
    source: Source, indices: np.ndarray, features: np.ndarray, strata: np.ndarray, near: np.ndarray
) -> list[tuple[str, str, np.ndarray]]:
    """Returns groups that may be: their origin, their flag or nothing, and the group of each image, int64 (n,)."""
    found: list[tuple[str, str, np.ndarray]] = []
    if isinstance(source, FileSource):
        ids = [source.ids[index] for index in indices.tolist()]
        found += [
            (f"names such as {example_of(each)}", each.by, partition_of(each.names))
            for each in series_in_names(ids, strata, source.class_names)
        ]
        moments = photos_of_one_moment([source.path(index) for index in indices.tolist()])
        found += [("time and camera", "", each) for each in moments]
    if source.noun == "image":  # two sentences may mean nearly the same and still be two
        near = _joined(copies_by_features(features, strata), near)
    return [*found, ("near-copies", "", near)]


def _joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the finest partition of which both are finer, int64 (n,)."""
    return units(one.astype(str), other.astype(str))


def _some_whole_groups(group: np.ndarray, seed: int) -> np.ndarray:
    """Returns the images of whole groups drawn at random, at most some 2,000, int64, ascending."""
    order = np.random.default_rng(seed).permutation(group.max() + 1)
    sizes = np.bincount(group)[order]
    few = order[: max(int(np.searchsorted(np.cumsum(sizes), _MOST_IMAGES)), FOLDS)]
    return np.flatnonzero(np.isin(group, few))


def _clearly_lower(before: np.ndarray, after: np.ndarray, group: np.ndarray) -> bool:
    """Returns whether a score falls clearly, the images of a group taken as one answer.

    As clearly as by three standard errors that are known: those of few groups are not, as Student's distribution says.
    """
    difference = before - after
    mean = float(difference.mean())
    sums = np.bincount(np.unique(group, return_inverse=True)[1], difference - mean)
    # As many groups of one size would have as large a standard error (Kish 1965, "Survey Sampling").
    groups = len(difference) ** 2 / (np.unique(group, return_counts=True)[1] ** 2).sum()
    if groups <= 1:
        return False
    error = float(np.sqrt((sums**2).sum())) / len(difference)
    clearly = float(scipy.stats.t.isf(scipy.stats.norm.sf(_CLEARLY), groups - 1))
    return mean > max(_MUCH, clearly * error)


def _with_interval(quality: np.ndarray, group: np.ndarray) -> tuple[float, float, float]:
    """Returns the score and both ends of its 95% interval."""
    score = float(quality.mean())
    alike = design_effect(lambda rows: float(quality[rows].mean()), group)
    if np.isin(quality, (0, 1)).all():
        interval = accuracy_interval(score, len(quality))
    else:
        half = 1.96 * float(quality.std()) / np.sqrt(len(quality))
        interval = (score - half, min(score + half, 1.0))
    return (score, *fold_interval(score, interval, folds=FOLDS, design_effect=alike))
