"""Proves while training runs that frozen weights do not change and trained weights do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.builder import Student
from tl_keras.distribution.distributor import settle
from tl_keras.errors import TrainingError
from tl_keras.freezing import FreezePlan


class FreezeCheck(keras.callbacks.Callback):
    """Stops the run unless the freeze plan holds.

    Frozen weights are checked after the first step and at the end, trained ones after each step until all have changed.
    Since stochastic depth may skip a block in a step, they have the first epoch to do so. At the end of a schedule steps are too
    small to change some of them, so a phase that is resumed is not asked again.

    Args:
      phase: Name of the phase.
      student: Student that trains.
      plan: Plan to check against; `trainable` is not used, since it may be what is wrong.
      proofs: List that receives the findings at the end of the phase: its name, and the numbers of weight tensors that were
        frozen and stayed bit-identical, and that were trained and changed.
      resumed: Whether epochs of the phase are done, in which all trained weights have changed.
    """

    def __init__(
        self, phase: str, student: Student, plan: FreezePlan, *, proofs: list[dict[str, Any]], resumed: bool = False
    ):
        super().__init__()
        self._phase = phase
        self._proofs = proofs
        self._resumed = resumed
        # Random convolutions under a BatchNorm frozen at mean 0 and variance 1: MobileNetV2's features are at most 3e-12, and
        # gradients below 1e-12 are lost in rounding.
        is_random = student.teacher.weights == "none" and not plan.train_batch_norm
        self._remedy = (
            "The teacher has random weights (--weights=none), and its frozen BatchNorm scales nothing: use --method=replicate."
            if is_random
            else "Use a larger --learning_rate, or report it."
        )
        self._frozen = plan.frozen_weights(student.backbone)
        head = [weight for layer in student.head for weight in layer.trainable_weights]
        self._trained = [*plan.trained_weights(student.backbone), *head]
        self._before: list[bytes] = []
        self._still: dict[int, bytes] = {}
        self._steps = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self._before = digests(self._frozen)
        self._still = {} if self._resumed else {i: _digest(weight) for i, weight in enumerate(self._trained)}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._steps += 1
        if self._steps == 1:
            settle(self.model)
            self._require_frozen()
        if self._still:
            settle(self.model)
            self._still = {i: seen for i, seen in self._still.items() if _digest(self._trained[i]) == seen}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._still and self._steps > 1:  # the first step moves but one of LoRA's two matrices
            raise TrainingError(
                f"freeze plan: expected every trained weight to move in the first epoch of phase {self._phase}. Received: "
                f"{_names(self._trained[i] for i in self._still)} unmoved. {self._remedy}"
            )

    def on_train_end(self, logs: Any = None) -> None:
        self._require_frozen()
        self._proofs.append(
            {"phase": self._phase, "frozen_unchanged": len(self._frozen), "trained_moved": len(self._trained)}
        )

    def _require_frozen(self) -> None:
        require_unchanged(self._frozen, self._before, where=f"in phase {self._phase}")


def digests(weights: Iterable[keras.Variable]) -> list[bytes]:
    """Returns a hash of the value of each weight."""
    return [_digest(weight) for weight in weights]


def require_unchanged(weights: Sequence[keras.Variable], before: Sequence[bytes], *, where: str) -> None:
    """Raises a TrainingError if weights that a plan freezes have changed.

    Args:
      weights: Frozen weights.
      before: Hashes of their values before training.
      where: Words that say when they changed.
    """
    moved = [weight for weight, old, new in zip(weights, before, digests(weights), strict=True) if old != new]
    if moved:
        raise TrainingError(
            f"freeze plan: expected frozen weights to be bit-identical {where}. Received: {_names(moved)} changed. Compile after "
            "freezing; if that was done, please report it."
        )


def _digest(weight: keras.Variable) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes()).digest()


def _names(weights: Iterable[keras.Variable]) -> str:
    paths = [weight.path for weight in weights]
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
