"""Holds the images of a run: `RunImages`."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any

import numpy as np

from tl_keras.config import TransferConfig
from tl_keras.config.model_fields import OF_THE_FEATURES
from tl_keras.data.inspection import Inspection
from tl_keras.data.sources import Source
from tl_keras.data.splits import Splits, hash_starts
from tl_keras.training.pseudo_labels import PseudoLabels


@dataclasses.dataclass(frozen=True)
class RunImages:
    """The images of a run.

    Attributes:
      source: Source of the images.
      inspection: Contents, sizes and findings of the source.
      splits: Images to train on, and images that are held out.
      distilled: Images without a label, for which the answers of a teacher run are learnt, int64 (k,).
      pseudo_labels: Facts about pseudo-labels, where unlabelled images were looked at; None otherwise.
    """

    source: Source
    inspection: Inspection
    splits: Splits
    distilled: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    pseudo_labels: PseudoLabels | None = None

    @property
    def trained(self) -> np.ndarray:
        """Returns the images of an epoch, int64 (k,), with and without labels."""
        return np.concatenate([self.splits.train, self.distilled])

    @property
    def labelled(self) -> np.ndarray:
        """Returns the images to train on that have a true label, each once, int64 (k,)."""
        train = np.unique(self.splits.train)
        return self.pseudo_labels.true_among(train) if self.pseudo_labels else train

    def decided_from(self, config: TransferConfig) -> tuple[Hashable, ...]:
        """Returns what a decision by the training images and the teacher's features of them depends on, as a key."""
        teacher = tuple(getattr(config.model, name) for name in OF_THE_FEATURES)
        return (self.inspection.data_hash, self.splits.train.tobytes(), config.seed, config.task, teacher)

    def recorded_splits(self) -> dict[str, Any]:
        """Returns the contents of `splits.json`: images with a true label, and what tells that an image was trained on."""
        true = dataclasses.replace(self.splits, train=self.labelled).to_json(self.source, self.inspection)
        return {**true, "train_sha256": hash_starts(self.inspection, np.unique(self.splits.train))}
