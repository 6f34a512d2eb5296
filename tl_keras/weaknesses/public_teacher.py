"""Loads the public teacher, lists the places where it can be cut, and finds up to which of them a student has its weights."""

from __future__ import annotations

import dataclasses
import itertools

import keras
import numpy as np

from tl_keras.builder import Student, build_student, choose_backbone, load_top, plan_student
from tl_keras.config import ModelConfig
from tl_keras.training.split_student import split_student

# Number of ImageNet's classes. Without the matching top the logits mean nothing, and are not used.
_CLASSES = 1000


@dataclasses.dataclass(frozen=True)
class PublicTeacher:
    """The teacher as a stranger can get it.

    Attributes:
      network: The teacher with a head of its 1000 classes.
      knows_its_classes: Whether that head is the teacher's own; otherwise it is random.
    """

    network: Student
    knows_its_classes: bool


@dataclasses.dataclass(frozen=True)
class Depth:
    """A place where features can be matched.

    Attributes:
      blocks: Number of the teacher's blocks below it.
      name: Name of the last of these blocks, or `the pooling` for the whole teacher.
      is_cut: Whether the student has the teacher's weights up to exactly this depth.
      below: Model from images, float32 (batch, image_size, image_size, 3), RGB, 0 to 255, to the activations at this place.
    """

    blocks: int
    name: str
    is_cut: bool
    below: keras.Model


def load_public_teacher(config: ModelConfig) -> PublicTeacher | None:
    """Builds the teacher of a student from its published weights, or returns None if the student inherited none.

    Args:
      config: The model's part of the run's config.

    Raises:
      BackboneError: The weights cannot be loaded.
    """
    if config.method == "replicate" or config.weights == "none":
        return None
    bare = dataclasses.replace(config, method="feature_extraction", unfreeze="none", head="linear")
    network = build_student(choose_backbone(bare), bare, num_classes=_CLASSES)
    top = load_top(network.teacher)
    if top is not None:
        network.head[-1].set_weights(top)
    return PublicTeacher(network, knows_its_classes=top is not None)


def spread_depths(public: PublicTeacher, backbone: keras.Model, config: ModelConfig) -> list[Depth]:
    """Returns four block edges spread over the teacher, the student's own cut, and the pooling after the last block.

    Args:
      public: The public teacher.
      backbone: The student's backbone, of the same architecture.
      config: The model's part of the run's config.
    """
    network = public.network
    blocks, shared = network.plan.blocks, shared_blocks(public, backbone)
    numbers = {round(len(blocks) * fifths / 5) for fifths in range(1, 5)} | {shared, len(blocks)}
    depths = []
    for number in sorted(numbers - {0}):
        trained = len(blocks) - number
        plan = plan_student(
            network.teacher, network.backbone, config, unfreeze=f"blocks:{trained}" if trained else "none"
        )
        name = blocks[number - 1].name if trained else "the pooling"
        depths.append(Depth(number, name, number == shared, split_student(network, plan).frozen))
    return depths


def shared_blocks(public: PublicTeacher, backbone: keras.Model) -> int:
    """Returns the number of blocks, counted from the input, whose weights in a student's backbone equal the teacher's."""
    theirs = public.network.backbone.layers
    same = [
        all(np.array_equal(a, b) for a, b in zip(their.get_weights(), our.get_weights(), strict=True))
        for their, our in zip(theirs, backbone.layers, strict=True)
    ]
    first_changed = same.index(False) if False in same else len(same)
    ends = itertools.accumulate(block.layers for block in public.network.plan.blocks)
    return sum(end <= first_changed for end in ends)
