"""Holds what became of pseudo-labels: labels that a probe gave to images, and what they gained."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class PseudoLabels:
    """The pseudo-labels of a run: `pseudo_labels` in `result.json`.

    Attributes:
      source: Name of the unlabelled images.
      kept: Whether the run was trained on them.
      images: Number of unlabelled images that can be decoded.
      by_class: Number of pseudo-labels of each class, by its name; of dropped ones those that would have been used.
      left_out: Number of unlabelled images without one, by reason: `labelled`, copies of labelled images; `copies` of each other;
        `outliers`; `unsure`.
      accuracy_before: Out-of-fold accuracy of the probe on the true labels.
      accuracy_after: The same with pseudo-labels beside the true labels that it is fitted to.
      noise: Standard error of the difference of the two.
      true_labels: Number of images with a true label; in the source of the run they come first.
    """

    source: str
    kept: bool
    images: int
    by_class: dict[str, int]
    left_out: dict[str, int]
    accuracy_before: float
    accuracy_after: float
    noise: float
    true_labels: int

    @property
    def used(self) -> int:
        """Returns the number of images that the run was trained on by a pseudo-label."""
        return sum(self.by_class.values()) if self.kept else 0

    def to_json(self) -> dict[str, Any]:
        """Returns the facts for `result.json`, with what they say in words."""
        facts = dataclasses.asdict(self)
        del facts["true_labels"]
        return {**facts, "used": self.used, "says": self.describe()}

    def describe(self) -> str:
        """Returns a sentence for people."""
        change = (
            f"out of fold they take a probe on the true labels from accuracy {self.accuracy_before:.3f} to "
            f"{self.accuracy_after:.3f} (noise {self.noise:.3f})"
        )
        by_class = ", ".join(f"{count} {name}" for name, count in self.by_class.items())
        left_out = "; ".join(f"{count} {reason}" for reason, count in self.left_out.items() if count)
        beside = f"; left out: {left_out}" if left_out else ""
        if not self.kept:
            return f"pseudo-labels: dropped, because {change}; {self.images} unlabelled images of {self.source} change nothing"
        return f"pseudo-labels: {self.used} of {self.images} images of {self.source} ({by_class}){beside}; {change}"

    def true_among(self, indices: np.ndarray) -> np.ndarray:
        """Returns those of some images, int64 (k,), that have a true label."""
        return indices[indices < self.true_labels]
