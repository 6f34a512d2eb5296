"""Splits a student where training begins; the frozen part before the cut gives the same output in every epoch."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from tl_keras.backbones.weights import fingerprint
from tl_keras.builder import Student
from tl_keras.freezing import FreezePlan
from tl_keras.keras_internals import is_graph


@dataclasses.dataclass(frozen=True)
class SplitStudent:
    """A student in two parts that share its layers.

    Attributes:
      position: Position of the first layer of the backbone that trains; the number of its layers if only the head trains.
      frozen: Model from images, float32 (batch, image_size, image_size, 3), RGB, 0 to 255, to the activations at the cut: one
        tensor at most edges, a list of them in NASNet, the pooled features if only the head trains. Run it with
        `training=False`. None if training begins at the first layer.
      trained: Model from the activations (the images if nothing is frozen) to float32 (batch, classes) logits.
      pooled: Model from the same input to a list of pooled features, float32 (batch, feature_dim), and logits.
    """

    position: int
    frozen: keras.Model | None
    trained: keras.Model
    pooled: keras.Model

    @property
    def identity(self) -> dict[str, Any]:
        """Returns the facts that decide what the frozen part makes of an image, as JSON values.

        No weights tell the largest values from the average, so that the pooling is named if it is not the usual one.
        """
        assert self.frozen is not None
        last: Any = self.frozen
        while is_graph(last):
            last = last.layers[-1]
        pooling = {"pooling": "max"} if type(last).__name__.startswith("GlobalMax") else {}
        return {"position": self.position, "weights": fingerprint(self.frozen), **pooling}

    @property
    def has_features(self) -> bool:
        """Returns whether layers are frozen whose outputs have one shape for all inputs, so that they can be kept as rows."""
        return self.frozen is not None and all(None not in tensor.shape[1:] for tensor in self.frozen.outputs)


def split_student(student: Student, plan: FreezePlan) -> SplitStudent:
    """Splits a student before the first layer that the plan trains."""
    backbone = student.backbone
    pooling, *after = student.head
    position = plan.first_trained(backbone)
    if not any(layer.weights for layer in backbone.layers[:position]):
        inputs = keras.Input(student.model.input_shape[1:], dtype=student.preprocess.input_dtype)
        frozen, pooled = None, pooling(backbone(student.preprocess.normalize(inputs)))
    elif position == len(backbone.layers):
        pooled = pooling(backbone.output)
        frozen = _from_images(student, pooled)
        inputs = pooled = keras.Input(pooled.shape[1:], dtype=pooled.dtype)
    else:
        crossing = _crossing(backbone, position)
        frozen = _from_images(student, crossing)
        inputs = keras.tree.map_structure(lambda tensor: keras.Input(tensor.shape[1:], dtype=tensor.dtype), crossing)
        pooled = pooling(keras.Model(crossing, backbone.output)(inputs))
    logits = pooled
    for layer in after:
        logits = layer(logits)
    return SplitStudent(position, frozen, keras.Model(inputs, logits), keras.Model(inputs, [pooled, logits]))


def whole_model(model: keras.Model) -> SplitStudent:
    """Returns a model of one output as a frozen part with nothing after it."""
    made = keras.Input(model.output_shape[1:])
    return SplitStudent(len(model.layers), model, keras.Model(made, made), keras.Model(made, [made, made]))


def between(student: Student, shallow: SplitStudent, deep: SplitStudent) -> keras.Model:
    """Returns the frozen layers between two cuts: a model from the shallow cut's activations to the deep cut's."""
    backbone = student.backbone
    all_frozen = deep.position == len(backbone.layers)
    ends = student.head[0](backbone.output) if all_frozen else _crossing(backbone, deep.position)
    return keras.Model(_crossing(backbone, shallow.position), ends)


def _from_images(student: Student, ends: Any) -> keras.Model:
    """Returns the model up to some tensors."""
    images = keras.Input(student.model.input_shape[1:], dtype=student.preprocess.input_dtype)
    below = keras.Model(student.backbone.inputs, ends)
    return keras.Model(images, below(student.preprocess.normalize(images)))


def _crossing(backbone: keras.Model, position: int) -> Any:
    """Returns the inputs that layers from a position on take from earlier ones: a tensor, or a list in order of creation.

    Features are floats, so a mask is computed again from what it is made of.
    """
    operations = backbone.operations  # layers and, between them, operations such as bare additions, by depth
    start = operations.index(backbone.layers[position])
    made_by = {id(tensor): i for i, made in enumerate(operations) for tensor in keras.tree.flatten(made.output)}
    taken = {
        id(origin): origin
        for takes in operations[start:]
        for tensor in keras.tree.flatten(takes.input)
        for origin in _floats(tensor, operations)
    }
    crossing = [taken[key] for key in sorted(taken, key=made_by.__getitem__) if made_by[key] < start]
    return crossing if len(crossing) > 1 else crossing[0]


def _floats(tensor: keras.KerasTensor, operations: list[Any]) -> list[keras.KerasTensor]:
    """Returns a tensor of floats itself, and for one of truth values the floats that it is made of."""
    if tensor.dtype != "bool":
        return [tensor]
    made = next(each for each in operations if any(tensor is out for out in keras.tree.flatten(each.output)))
    return [origin for taken in keras.tree.flatten(made.input) for origin in _floats(taken, operations)]
