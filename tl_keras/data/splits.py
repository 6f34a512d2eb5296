"""Which images are trained on, and which are held out."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from typing import Any

import numpy as np

from tl_keras.data.base import Source
from tl_keras.data.inspection import Inspection
from tl_keras.errors import DataError

_RULE = (
    "Splits that the source declares are kept. Otherwise u = sha256('SEED:CONTENT_SHA256') / 2**256 decides: test where "
    "u < test_fraction, validation where u < test_fraction + validation_fraction, else train; with a declared test or "
    "validation split, test_fraction counts as 0. A class left without train images, or with two images and more "
    "without validation images, gets there the image whose u is nearest."
)


@dataclasses.dataclass(frozen=True)
class Splits:
    """Three disjoint sets of images, each int64 (k,), ascending.

    Attributes:
      train: To train on.
      validation: To choose the best epoch by.
      test: To measure on, once; may be empty.
      seed: Of the assignment.
      validation_fraction: As asked for.
      test_fraction: As asked for.
      train_examples_per_class: At most so many were kept for training; 0: all.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    seed: int
    validation_fraction: float
    test_fraction: float
    train_examples_per_class: int

    def to_json(self, source: Source) -> dict[str, Any]:
        """Returns the assignment as JSON values, with the id of every image."""
        return {
            "seed": self.seed,
            "validation_fraction": self.validation_fraction,
            "test_fraction": self.test_fraction,
            "train_examples_per_class": self.train_examples_per_class,
            "rule": _RULE,
            **{name: [source.ids[index] for index in getattr(self, name)] for name in ("train", "validation", "test")},
        }

    def declared_in(self, source: Source) -> Source:
        """Returns the source with these splits as the ones that it declares; its other images are unused."""
        declaring = copy.copy(source)
        declaring.declared_splits = np.full(len(source), "unused", "U10")
        for name in ("train", "validation", "test"):
            declaring.declared_splits[getattr(self, name)] = name
        return declaring

    @classmethod
    def from_json(cls, values: dict[str, Any], source: Source) -> Splits:
        """Returns the assignment that `to_json` wrote.

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
        return cls(**indices, **{name: values[name] for name in asked})


def split_source(
    source: Source,
    inspection: Inspection,
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    train_examples_per_class: int = 0,
) -> Splits:
    """Assigns every decodable image by its content and the seed, so that adding a file moves no other.

    Equal content of a class lands in one split. The thresholds hold within each class, so the splits are stratified
    in expectation. The one exception to "moves no other" is a class too small to fill its splits: see `Splits.to_json`
    for the rule in words.

    Args:
      source: The images; the splits it declares are kept.
      inspection: Of the same source.
      validation_fraction: Of the images, where no validation split is declared; above 0, below 1.
      test_fraction: Of the images, where no split at all is declared; 0 to below 1.
      seed: Another seed is another assignment.
      train_examples_per_class: At most so many training images a class, the same ones whatever is added elsewhere;
        the rest is unused. 0: all.

    Returns:
      The splits.

    Raises:
      DataError: No image is left for training or for validation, or a held-out class has no training image.
    """
    assigned = np.where(inspection.decodable, source.declared_splits, "unused").astype("U10")
    declared = set(np.unique(assigned)) - {"", "unused"}
    # What declares no split beside images that do is for training.
    pool = np.flatnonzero((assigned == "") | (assigned == "train"))
    assigned[pool] = "train"
    if "validation" not in declared:
        _hold_out(
            assigned,
            pool,
            labels=source.labels,
            position=_position(inspection.sha256[pool], salt=f"{seed}"),
            test_fraction=0.0 if declared else test_fraction,
            validation_fraction=validation_fraction,
        )
    _require_training_images(source, assigned)
    if train_examples_per_class:
        _keep_few(assigned, source.labels, inspection.sha256, limit=train_examples_per_class, seed=seed)
    for split in ("train", "validation"):
        if not np.any(assigned == split):
            raise DataError(
                f"{source.name}: expected images for {split}. Received none among {len(source)} images. "
                f"Add images, or declare a {split} split."
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
    labels: np.ndarray,
    position: np.ndarray,
    test_fraction: float,
    validation_fraction: float,
) -> None:
    """Moves images of the pool from train to test and validation, in place."""
    held_out = test_fraction + validation_fraction
    assigned[pool[position < held_out]] = "validation"
    assigned[pool[position < test_fraction]] = "test"
    for label in np.unique(labels[pool]):
        members, u = pool[labels[pool] == label], position[labels[pool] == label]
        if not np.any(assigned[members] == "train"):
            assigned[members[u == u.max()]] = "train"
        if not np.any(assigned[members] == "validation") and len(np.unique(u)) > 1:
            distance = np.maximum(test_fraction - u, u - held_out)
            # The last image, or last set of equal images, of train stays there.
            if len(np.unique(u[assigned[members] == "train"])) == 1:
                distance[assigned[members] == "train"] = np.inf
            assigned[members[distance == distance.min()]] = "validation"


def _keep_few(assigned: np.ndarray, labels: np.ndarray, contents: np.ndarray, *, limit: int, seed: int) -> None:
    """Leaves at most `limit` training images a class, in place."""
    train = np.flatnonzero(assigned == "train")
    # A salt of its own: those next to the threshold of validation are no better than others.
    position = _position(contents[train], salt=f"{seed}:examples")
    for label in np.unique(labels[train]):
        members = labels[train] == label
        order = train[members][np.argsort(position[members], kind="stable")]
        assigned[order[limit:]] = "unused"


def _require_training_images(source: Source, assigned: np.ndarray) -> None:
    held_out = np.isin(assigned, ("validation", "test"))
    missing = np.setdiff1d(source.labels[held_out], source.labels[assigned == "train"])
    if len(missing):
        names = ", ".join(source.class_names[label] for label in missing.tolist())
        raise DataError(
            f"{source.name}: expected training images of every class. Received {names} in validation or test only. "
            "Add such images to train, or remove the class."
        )
