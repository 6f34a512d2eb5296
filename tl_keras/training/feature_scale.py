"""Measures the features of a teacher that is not used as it was pre-trained, so that the usual rates fit its head."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from tl_keras.heads import scale_features
from tl_keras.training.inputs import PhaseInputs
from tl_keras.training.phases import Phase
from tl_keras.training.preparation import PreparedRun

# Of 32 images each: enough to know the mean of the features, and one number for how far they deviate.
_MOST_BATCHES = 64


def scale_head(prepared: PreparedRun, phase: Phase, inputs: PhaseInputs) -> None:
    """Centres and scales the features that a head sees, if it has a layer for it and the teacher is trained already.

    Args:
      prepared: The run.
      phase: The first phase, which begins.
      inputs: Inputs of the phase.
    """
    if prepared.config.model.method != "replicate":  # its features are not those to come
        scale_features(prepared.student.head, _pooled(prepared, phase, inputs))


def _pooled(prepared: PreparedRun, phase: Phase, inputs: PhaseInputs) -> Iterator[np.ndarray]:
    """Returns batches of what the head's first layer makes of plain training images."""
    frozen = prepared.models.split(prepared.student, phase.plan).frozen
    assert frozen is not None  # up to the pooling, since the head trains alone
    for batch, *_ in itertools.islice(inputs.training_batches(0, 1), _MOST_BATCHES):
        yield batch if inputs.cached else frozen(batch, training=False)
