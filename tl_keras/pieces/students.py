"""Gives programs a student to train as they like: `build`, `preprocess` and `freeze`."""

from __future__ import annotations

import contextlib
import dataclasses
import weakref
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.backbones.blocks import blocks_of
from tl_keras.backbones.preprocessing import Preprocess
from tl_keras.builder import Student, blocks_of_teacher, build_student, choose_backbone
from tl_keras.config import TransferConfig, choose_cut, resolve
from tl_keras.data.base import in_parallel
from tl_keras.data.pipeline import evaluation_batches, labels_of, training_batches
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import BackboneError, ConfigError, DataError
from tl_keras.freezing import FreezePlan, plan_freezing
from tl_keras.heads import layers_to_json
from tl_keras.pieces.labelled_data import LabelledData
from tl_keras.pieces.methods import Layers
from tl_keras.pieces.options import set_options
from tl_keras.training.freeze_check import digests, require_unchanged
from tl_keras.training.transforms import training_transform

_USUAL = {"batch_size": 32, "epochs": 1}

_STUDENTS: weakref.WeakKeyDictionary[keras.Model, Student] = weakref.WeakKeyDictionary()


@with_own_keras_settings
def build(
    backbone: str, classes: int, *, unfreeze: str = "none", head: Layers = (), seed: int = 0, **options: Any
) -> keras.Model:
    """Builds a student: a pre-trained backbone, frozen as asked, and a new head. Compile and fit it as any Keras model.

    Example:
      ```python
      import keras

      import tl_keras as tl

      data = tl.load_data("photos/")
      student = tl.build("teacher.keras", classes=2, unfreeze="blocks:1")  # or a name, such as MobileNetV2
      student.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
      train, validation = (tl.preprocess(student, data, split) for split in ("train", "validation"))
      student.fit(train, validation_data=validation, shuffle=False, verbose=0)  # the pipeline has shuffled
      ```

    Args:
      backbone: Name that `python -m tl_keras.backbones` lists, or a `.keras` file.
      classes: Number of logits.
      unfreeze: Layers of the backbone that train: `none`, `all`, `blocks:2`, `layers:30`, `fraction:0.25`, `from:NAME` or
        `regex:R`. BatchNorm inside them keeps its statistics unless `batch_norm` is `train`.
      head: Layers between the pooled features and the logits, which are made again from their configs.
      seed: Seed of the head's weights.
      **options: Other options of the model, by the names that docs/options.md lists, such as `weights`, `image_size`, `dropout`.

    Returns:
      Model from pixels, float32 (batch, image_size, image_size, 3), RGB, 0 to 255, to float32 (batch, classes) logits;
      normalisation is inside. `tl_keras.preprocess` makes its inputs.

    Raises:
      BackboneError: The backbone is unknown, its weights cannot be loaded, or `unfreeze` names no layer.
      ConfigError: An option is unknown, or there is no class.
    """
    if classes < 1:
        raise ConfigError(
            f"classes: expected 1 or more, the number of logits. Received: {classes}. Use len(data.class_names)."
        )
    config = TransferConfig(seed=seed)
    config.data.source = "a program"
    choose_cut(config.model, unfreeze)
    if head:
        config.model.head_layers = layers_to_json(head)
    set_options(config, {"backbone": backbone, **options}, parts=("model",), function="build")
    config = resolve(config)
    keras.utils.set_random_seed(seed)
    student = build_student(choose_backbone(config.model), config.model, num_classes=classes, seed=seed)
    student.plan.apply(student.backbone)
    _STUDENTS[student.model] = student
    return student.model


def preprocess(
    student: keras.Model | Preprocess,
    dataset: Any,
    split: str = "",
    *,
    batch_size: int = _USUAL["batch_size"],
    augmentation: str = "none",
    horizontal_flip: bool = False,
    quarter_turns: bool = False,
    min_crop_area: float = 0.0,
    epochs: int = _USUAL["epochs"],
    seed: int = 0,
) -> tf.data.Dataset:
    """Returns batches of images as a student takes them, with their labels.

    Example:
      ```python
      import keras

      import tl_keras as tl

      student = tl.build("teacher.keras", classes=2)
      photos = keras.utils.image_dataset_from_directory("photos", image_size=(64, 64), verbose=False)
      images, labels = next(iter(tl.preprocess(student, photos)))
      assert images.shape[1:] == student.input_shape[1:]
      ```

    Args:
      student: Model of `tl_keras.build`, or a `tl_keras.PreprocessSpec`.
      dataset: Images of `tl_keras.load_data`; or a `tf.data.Dataset` of images or of (image, label), batched or not, with images as
        encoded files, string, or pixels, uint8 or float 0 to 255.
      split: Split of `load_data`'s images: `train`, which is shuffled, `validation` or `test`; empty for all, in their order.
      batch_size: Number of images in a batch.
      augmentation: `none`, `light` or `strong`, for `train`.
      horizontal_flip: Whether half of the augmented images are mirrored.
      quarter_turns: Whether augmented images are turned by none to three quarters.
      min_crop_area: Smallest part of an image's area that augmentation shows; 0 for 0.5 in `light` and 0.25 in `strong`, 1 for the
        whole image, as labels need that a part may lack.
      epochs: Number of epochs of `train` in the dataset, each shuffled and augmented differently.
      seed: Seed of order and augmentation.

    Returns:
      Dataset of (images float32 (b, image_size, image_size, 3), RGB, 0 to 255, labels as they were); of images alone if there
      are no labels.

    Raises:
      DataError: There is no such split, or the dataset holds something else.
      ConfigError: A number is out of its range, or a `tf.data.Dataset`, which is neither split nor augmented here, is to be.
    """
    spec = preprocess_of(student)
    for name, number in (("batch_size", batch_size), ("epochs", epochs)):
        if number < 1:
            raise ConfigError(f"{name}: expected 1 or more. Received: {number}. Leave it out for {_USUAL[name]}.")
    if not isinstance(dataset, LabelledData):
        if split or augmentation != "none" or epochs != 1:
            raise ConfigError(
                "preprocess: expected images of tl_keras.load_data for a split, augmentation or epochs. Received: "
                f"{type(dataset).__name__}. Use tl_keras.load_data(images), or leave them out."
            )
        return _of_dataset(dataset, spec, batch_size=batch_size)
    images = dataset.images
    splits = {name: getattr(images.splits, name) for name in ("train", "validation", "test")}
    indices = splits.get(split) if split else np.flatnonzero(images.inspection.decodable)
    if indices is None or not len(indices):
        there = ", ".join(name for name, members in splits.items() if len(members))
        raise DataError(f"split: expected one that has images ({there}). Received: {split or 'all'}.")
    if split != "train":
        return evaluation_batches(
            images.source,
            indices,
            transform=spec.evaluation_transform,
            targets=labels_of(images.source),
            global_batch_size=batch_size,
        )
    return training_batches(
        images.source,
        indices,
        transform=training_transform(
            spec,
            augmentation=augmentation,
            horizontal_flip=horizontal_flip,
            quarter_turns=quarter_turns,
            min_crop_area=min_crop_area,
        ),
        targets=labels_of(images.source),
        global_batch_size=batch_size,
        seed=seed,
        first_epoch=0,
        last_epoch=epochs,
    )


def preprocess_of(student: keras.Model | Preprocess) -> Preprocess:
    """Returns the preprocessing of a student of `build`, or a preprocessing itself.

    Raises:
      BackboneError: The model is another.
    """
    if not isinstance(student, keras.Model):
        return student
    known = known_preprocess(student)
    if known is None:
        raise BackboneError(
            f"student: expected a model of tl_keras.build. Received: {student.name}, whose preprocessing is not known. Give a "
            "tl_keras.PreprocessSpec."
        )
    return known


def known_preprocess(model: keras.Model) -> Preprocess | None:
    """Returns the preprocessing of a student of `build`, or None for another model."""
    student = _STUDENTS.get(model)
    return student.preprocess if student else None


def _of_dataset(dataset: Any, spec: Preprocess, *, batch_size: int) -> tf.data.Dataset:
    if not isinstance(dataset, tf.data.Dataset):
        raise DataError(
            f"dataset: expected images of tl_keras.load_data, or a tf.data.Dataset. Received: {type(dataset).__name__}. Use "
            "tl_keras.load_data(images)."
        )
    images = dataset.element_spec[0] if isinstance(dataset.element_spec, tuple) else dataset.element_spec
    if images.shape.rank == (1 if images.dtype == tf.string else 4):
        dataset = dataset.unbatch()

    def ready(image: tf.Tensor, *labels: tf.Tensor) -> Any:
        pixels = image if image.dtype in (tf.string, tf.uint8) else tf.cast(tf.round(image), tf.uint8)
        changed = spec.evaluation_transform(pixels)
        return (changed, *labels) if labels else changed

    return in_parallel(dataset, ready).batch(batch_size).prefetch(tf.data.AUTOTUNE)


@dataclasses.dataclass(frozen=True, repr=False)
class Freezing:
    """What trains and what is frozen in a model, as `freeze` has set it.

    Example:
      ```python
      import tl_keras as tl

      student = tl.build("teacher.keras", classes=2)
      plan = tl.freeze(student, "blocks:1")
      print(plan)
      assert len(plan.frozen_weights) > 0
      ```

    Attributes:
      model: The model.
      backbone: Its part that the plan is for; the model itself where it has no other model inside.
      plan: Layers of the backbone that train.
    """

    model: keras.Model
    backbone: keras.Model
    plan: FreezePlan

    def table(self) -> str:
        """Returns the plan as lines of blocks, layers, parameters and treatment."""
        return self.plan.table(layer_decay=1.0, batch_norm="train" if self.plan.train_batch_norm else "freeze")

    @property
    def frozen_weights(self) -> list[keras.Variable]:
        """Returns the weights that must not change."""
        return self.plan.frozen_weights(self.backbone)

    @property
    def trained_weights(self) -> list[keras.Variable]:
        """Returns the weights that are to change: those of the plan, and those outside the backbone that are trainable."""
        inside = {id(weight) for weight in self.backbone.weights}
        outside = [weight for weight in self.model.trainable_weights if id(weight) not in inside]
        return [*self.plan.trained_weights(self.backbone), *outside]

    @contextlib.contextmanager
    def prove(self) -> Iterator[dict[str, int]]:
        """Proves that what is done within the context keeps the plan, whatever loop trains.

        Yields:
          A dictionary that has, after the context, `frozen_unchanged` and `trained_moved`: numbers of weight tensors that stayed
          bit-identical, and that changed.

        Raises:
          TrainingError: A frozen weight has changed.
        """
        frozen, trained, proof = self.frozen_weights, self.trained_weights, {"frozen_unchanged": 0, "trained_moved": 0}
        before, trained_before = digests(frozen), digests(trained)
        yield proof
        require_unchanged(frozen, before, where="within prove()")
        moved = sum(old != new for old, new in zip(trained_before, digests(trained), strict=True))
        proof |= {"frozen_unchanged": len(frozen), "trained_moved": moved}

    def __repr__(self) -> str:
        return f"<Freezing of {self.model.name}: {self.plan.describe()}>\n{self.table()}"


def freeze(model: keras.Model, unfreeze: str, *, train_batch_norm: bool = False) -> Freezing:
    """Freezes a Keras model but for some of its layers, with BatchNorm safe: its statistics stay. Compile it afterwards.

    Example:
      ```python
      import keras

      import tl_keras as tl

      base = keras.models.load_model("teacher.keras")
      model = keras.Sequential([base, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
      plan = tl.freeze(model, "blocks:1")
      print(plan.table())
      model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
      with plan.prove() as proof:
          model.fit(keras.random.uniform((4, 16, 16, 3)), keras.ops.array([0, 1, 0, 1]), verbose=0)
      print(proof)  # {'frozen_unchanged': ..., 'trained_moved': ...}
      ```

    Args:
      model: A functional or Sequential model; where it contains a model, that one is the backbone, and all other layers train.
      unfreeze: Layers of the backbone that train; see `tl_keras.build`. Blocks are those of the table for a student of
        `tl_keras.build`, else they are found in the graph.
      train_batch_norm: Whether BatchNorm trains in the layers that train.

    Returns:
      The plan, which has been applied.

    Raises:
      BackboneError: `unfreeze` is not understood, or names no layer.
    """
    backbone = _backbone_of(model)
    student = _STUDENTS.get(model)
    blocks = blocks_of_teacher(student.teacher, backbone) if student else blocks_of(backbone)
    plan = plan_freezing(backbone, blocks, unfreeze=unfreeze, train_batch_norm=train_batch_norm)
    if backbone is not model:
        model.trainable = True  # a frozen parent would hide its unfrozen children
    plan.apply(backbone)
    return Freezing(model, backbone, plan)


def _backbone_of(model: keras.Model) -> keras.Model:
    """Returns the largest model inside a model, or the model itself if there is none.

    Raises:
      BackboneError: It has no graph.
    """
    inside = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    backbone = max(inside, key=lambda each: each.count_params(), default=model)
    if isinstance(backbone, keras.Sequential):
        backbone = getattr(backbone, "_functional", None) or backbone
    try:
        backbone.inputs  # noqa: B018
    except (AttributeError, ValueError) as error:
        raise BackboneError(
            f"model: expected a functional or Sequential model, whose layers are known. Received: {model.name}."
        ) from error
    return backbone
