"""Decides which images are trained on and which are held out."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from typing import Any

import numpy as np

from tl_keras.console import number_of
from tl_keras.data.base import Source
from tl_keras.data.groups import deal, seed_of, units
from tl_keras.data.inspection import Inspection
from tl_keras.errors import DataError

_RULE = (
    "Splits that the source declares are kept; with a declared test or validation split, test_fraction counts as 0. "
    "Otherwise the different images of each class are ordered by sha256('SEED:CONTENT_SHA256'): test takes the first, "
    "validation the last, train what is between. Of n images the first is for train, the second for validation, and each "
    "further one for the split of size s with the smallest (s + 1/2) / fraction; equal validation and test fractions take "
    "turns in being first, class by class. Copies follow their image; one under two labels counts in the first of them."
)

_RULE_OF_GROUPS = (
    "Splits that the source declares are kept; with a declared test or validation split, test_fraction counts as 0. "
    "Otherwise groups of images, with all copies of them, are dealt whole (tl_keras.data.groups.deal), so that each split has "
    "its fraction of every class as nearly as possible; the seed and the images decide the order."
)

SPLITS = ("train", "validation", "test")

# Number of images below which a single one moves an accuracy by five points or more.
FEWEST_TO_MEASURE = 20


@dataclasses.dataclass(frozen=True)
class Splits:
    """Three sets of images, each int64 (k,), ascending; disjoint, except that validation is train in the final run of folds.

    Attributes:
      train: Images to train on; one that weighs more than others is there as often.
      validation: Images to choose the best epoch by.
      test: Images to measure on, once; may be empty.
      seed: Seed of the assignment.
      validation_fraction: Requested fraction of validation images.
      test_fraction: Requested fraction of test images.
      train_examples_per_class: Largest number of training images per class that was kept; 0 for all.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    seed: int
    validation_fraction: float
    test_fraction: float
    train_examples_per_class: int

    def to_json(self, source: Source, inspection: Inspection | None = None) -> dict[str, Any]:
        """Returns the assignment as JSON values, with the id of every image.

        Args:
          source: The images.
          inspection: Inspection of the same source; with it, the start of each training image's hash is included, by which
            the image is recognised under another name.
        """
        hashes = {} if inspection is None else {"train_sha256": hash_starts(inspection, self.train)}
        return {
            **hashes,
            "seed": self.seed,
            "validation_fraction": self.validation_fraction,
            "test_fraction": self.test_fraction,
            "train_examples_per_class": self.train_examples_per_class,
            "rule": _RULE if source.groups is None else _RULE_OF_GROUPS,
            **{name: [source.ids[index] for index in getattr(self, name)] for name in ("train", "validation", "test")},
        }

    def to_measure_on(self) -> tuple[str, np.ndarray]:
        """Returns the images on which a finished model is measured, int64 (k,), and their name: `test`, `validation` or `training`.

        The final run of folds trains on all labelled images, its validation images among them.
        """
        if len(self.test):
            return "test", self.test
        return ("training" if np.array_equal(self.train, self.validation) else "validation"), self.validation

    def declared_in(self, source: Source) -> Source:
        """Returns the source with these splits as its declared ones; its other images are unused."""
        declaring = copy.copy(source)
        declaring.declared_splits = np.full(len(source), "unused", "U10")
        for name in ("train", "validation", "test"):
            declaring.declared_splits[getattr(self, name)] = name
        return declaring

    def counts(self, source: Source) -> dict[str, dict[str, int]]:
        """Returns the number of images of each class, or with each label, in each split; of all together where there are none."""
        members = source.labelling.members(source.labels, source.class_names) or {
            f"{source.noun}s": np.arange(len(source))
        }
        return {
            name: {split: int(np.isin(getattr(self, split), indices).sum()) for split in SPLITS}
            for name, indices in members.items()
        }

    def remarks(self) -> list[str]:
        """Returns a sentence if a measured split is too small to tell one model from another."""
        sizes = {"validation": len(self.validation), "test": len(self.test)}
        small = [f"{size} for {name}" for name, size in sizes.items() if 0 < size < FEWEST_TO_MEASURE]
        if not small:
            return []
        return [
            f"few images to measure on: {' and '.join(small)}. Below {FEWEST_TO_MEASURE}, one image is more than "
            f"{100 // FEWEST_TO_MEASURE}% of what is measured: add labelled images before you compare models by it"
        ]

    @classmethod
    def from_json(cls, values: dict[str, Any], source: Source) -> Splits:
        """Returns an assignment that `to_json` wrote.

        Raises:
          DataError: The source lacks one of the images.
        """
        positions = {image_id: index for index, image_id in enumerate(source.ids)}
        parts = {name: values[name] for name in ("train", "validation", "test")}
        if missing := [image_id for ids in parts.values() for image_id in ids if image_id not in positions]:
            raise DataError(
                f"{source.name}: expected the images of the run's splits. Received: {missing[0]} is not there."
            )
        indices = {name: np.array([positions[image_id] for image_id in ids], np.int64) for name, ids in parts.items()}
        asked = ("seed", "validation_fraction", "test_fraction", "train_examples_per_class")
        fields: dict[str, Any] = {**indices, **{name: values[name] for name in asked}}
        return cls(**fields)


def hash_starts(inspection: Inspection, indices: np.ndarray) -> list[str]:
    """Returns 16 digits of each image's hash, enough to tell images apart unless somebody forged them."""
    return [content[:16] for content in inspection.sha256[indices].tolist()]


def split_source(
    source: Source,
    inspection: Inspection,
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    train_examples_per_class: int = 0,
) -> Splits:
    """Assigns every decodable image to a split by its content and the seed.

    Within each class the splits have the requested sizes, to one image; copies count once and belong to one split. Adding
    a file moves at most one image of its class between train and validation, and one between train and test; none between
    validation and test. It moves two if it falls into one of them and the other is to grow: 2vt of all files at fractions v and
    t, 4.5% at 0.15. No rule with exactly these sizes avoids that (`benchmarks/split_rule.py`). Groups of the source stay whole,
    and the sizes are then met as nearly as they allow. See `Splits.to_json` for the rule in words.

    Args:
      source: The images; splits that it declares are kept.
      inspection: Inspection of the same source.
      validation_fraction: Fraction of the images, used if no validation split is declared; above 0, below 1.
      test_fraction: Fraction of the images, used if no split at all is declared; 0 to below 1.
      seed: Seed of the assignment.
      train_examples_per_class: Largest number of training images per class, the same ones whatever is added elsewhere;
        the rest is unused. 0 means all.

    Returns:
      The splits.

    Raises:
      DataError: No image remains for training or for validation, a held-out class has no training image, or declared splits
        divide a group.
    """
    assigned = np.where(inspection.decodable, source.declared_splits, "unused").astype("U10")
    declared = set(np.unique(assigned)) - {"", "unused"}
    # Images without a declared split, beside images that have one, are for training.
    pool = np.flatnonzero((assigned == "") | (assigned == "train"))
    assigned[pool] = "train"
    if "validation" not in declared:
        hold_out = _hold_out if source.groups is None else _hold_out_groups
        hold_out(
            assigned,
            pool,
            source=source,
            contents=inspection.sha256[pool],
            seed=seed,
            test_fraction=0.0 if declared else test_fraction,
            validation_fraction=validation_fraction,
        )
    _require_whole_groups(source, assigned)
    _require_training_images(source, assigned)
    if train_examples_per_class:
        _keep_few(
            assigned,
            source.labelling.strata(source.labels),
            inspection.sha256,
            limit=train_examples_per_class,
            seed=seed,
        )
    for split in ("train", "validation"):
        if not np.any(assigned == split):
            different = len(np.unique(inspection.sha256[inspection.decodable]))
            copies = f", of which {different} differ" if different < np.sum(inspection.decodable) else ""
            in_groups = f" in {number_of(len(source.groups), 'group')}" if source.groups else ""
            raise DataError(
                f"{source.name}: expected images for {split}. Received none among {number_of(len(source), 'image')}{copies}"
                f"{in_groups}. Add images{' of other groups' if in_groups else ''}, or declare a {split} split."
            )
    return Splits(
        train=np.flatnonzero(assigned == "train"),
        validation=np.flatnonzero(assigned == "validation"),
        test=np.flatnonzero(assigned == "test"),
        seed=seed,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        train_examples_per_class=train_examples_per_class,
    )


def _position(contents: np.ndarray, *, salt: str) -> np.ndarray:
    """Returns float64 (n,), uniform in 0 to 1, decided by content and salt alone."""
    digests = b"".join(hashlib.sha256(f"{salt}:{content}".encode()).digest()[:8] for content in contents)
    return np.frombuffer(digests, ">u8") / 2.0**64


def _hold_out(
    assigned: np.ndarray,
    pool: np.ndarray,
    *,
    source: Source,
    contents: np.ndarray,
    seed: int,
    test_fraction: float,
    validation_fraction: float,
) -> None:
    """Moves images of the pool from train to test and validation, in place."""
    strata = source.labelling.strata(source.labels)
    different, first, content = np.unique(contents, return_index=True, return_inverse=True)
    stratum_of_content = strata[pool][first]
    np.minimum.at(stratum_of_content, content, strata[pool])
    position = _position(different, salt=f"{seed}")
    split_of_content: np.ndarray = np.full(len(different), "train", "U10")
    for stratum in np.unique(stratum_of_content):
        members = np.flatnonzero(stratum_of_content == stratum)
        ranked = members[np.argsort(position[members], kind="stable")]
        _, validation, test = split_sizes(len(ranked), validation_fraction, test_fraction, test_first=bool(stratum % 2))
        split_of_content[ranked[:test]] = "test"
        split_of_content[ranked[len(ranked) - validation :]] = "validation"
    assigned[pool] = split_of_content[content]


def _hold_out_groups(
    assigned: np.ndarray,
    pool: np.ndarray,
    *,
    source: Source,
    contents: np.ndarray,
    seed: int,
    test_fraction: float,
    validation_fraction: float,
) -> None:
    """Moves whole groups of the pool from train to test and validation, in place."""
    if not len(pool):
        return
    assert source.groups is not None
    names = np.array(["train", "validation", *(["test"] if test_fraction else [])])
    fractions = [
        1 - validation_fraction - test_fraction,
        validation_fraction,
        *([test_fraction] if test_fraction else []),
    ]
    # In the order of their contents, so that a renamed file changes nothing.
    order = np.argsort(contents, kind="stable")
    unit = units(contents[order], source.groups.names[pool][order])
    dealt = deal(
        unit,
        source.labelling.strata(source.labels)[pool][order],
        fractions,
        seed=seed_of(contents, seed),
        first_has_all=True,
    )
    assigned[pool[order]] = names[dealt]


def split_sizes(
    images: int, validation_fraction: float, test_fraction: float, *, test_first: bool = False
) -> tuple[int, int, int]:
    """Returns how many images of one class are for train, validation and test.

    Images are dealt one by one by the method of Webster and Sainte-Lague (Balinski and Young 1982, "Fair Representation"),
    so that one more image enlarges one split and shrinks none; but the first is for train and the second for validation.

    Args:
      images: Number of images.
      validation_fraction: Part for validation, above 0 and below 1.
      test_fraction: Part for test, 0 to below 1.
      test_first: Whether test precedes validation if both have the same claim.
    """
    fractions = np.array([1 - validation_fraction - test_fraction, validation_fraction, test_fraction])
    with np.errstate(divide="ignore"):
        claims = (np.arange(images)[:, None] + 0.5) / fractions
    claims[0, :2] = [-2, -1]
    order = [0, 2, 1] if test_first else [0, 1, 2]
    dealt = np.argsort(claims[:, order], axis=None, kind="stable")[:images] % 3
    sizes = np.bincount(dealt, minlength=3)[order]
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def _keep_few(assigned: np.ndarray, strata: np.ndarray, contents: np.ndarray, *, limit: int, seed: int) -> None:
    """Leaves at most `limit` training images per class, in place; copies of an image come after all others."""
    train = np.flatnonzero(assigned == "train")
    # Uses a salt of its own, since images next to the threshold of validation are no better than others.
    position = _position(contents[train], salt=f"{seed}:examples")
    for stratum in np.unique(strata[train]):
        members = strata[train] == stratum
        is_copy: np.ndarray = np.ones(int(members.sum()), bool)
        is_copy[np.unique(contents[train[members]], return_index=True)[1]] = False
        order = train[members][np.lexsort((position[members], is_copy))]
        assigned[order[limit:]] = "unused"


def _require_whole_groups(source: Source, assigned: np.ndarray) -> None:
    """Raises a DataError if declared splits divide a group."""
    if source.groups is None:
        return
    used = (source.groups.names != "") & (assigned != "unused")
    pairs = np.unique(np.stack([source.groups.names[used], assigned[used]], axis=1), axis=0)
    names, counts = np.unique(pairs[:, 0], return_counts=True)
    if np.any(counts > 1):
        torn = names[counts > 1].tolist()
        raise DataError(
            f"{source.name}: expected splits that keep groups whole. Received {len(torn)} of {len(names)} groups from "
            f"{source.groups.by} in two splits, such as {torn[0]}: the accuracy would be too high. Leave the splits to tl_keras "
            "(--columns=split=none in a table), or correct them; where images do not belong together, use --columns=group=none, "
            "or leave --group_by out."
        )


def _require_training_images(source: Source, assigned: np.ndarray) -> None:
    held_out = np.isin(assigned, ("validation", "test"))
    missing = source.labelling.not_trained(source.labels[held_out], source.labels[assigned == "train"])
    if len(missing):
        names = ", ".join(source.class_names[label] for label in missing.tolist())
        raise DataError(
            f"{source.name}: expected training images of every class. Received {names} in validation or test only. "
            "Add such images to train, or remove the class."
        )
