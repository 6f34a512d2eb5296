"""The student: a backbone, a new head, and one of the three methods.

`choose_backbone` looks only at the config and the table, so a wrong name or size is found before any image is read;
`build_student` builds the network and fills it with the teacher's weights.
"""

from __future__ import annotations

import dataclasses

import keras

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.backbones.specs import BackboneSpec, backbone_spec
from tl_keras.backbones.weights import check_weights_name, explained_download, load_weights
from tl_keras.config import ModelConfig
from tl_keras.errors import BackboneError
from tl_keras.freezing import FreezePlan, plan_freezing
from tl_keras.heads import apply_head

# Keras's MobileNetV2 has 0.999, made for ImageNet's million steps: after a few hundred steps from random weights its
# moving statistics are still the initial ones, and evaluation is at chance. 0.9 is PyTorch's default for every network.
_BATCH_NORM_MOMENTUM_FROM_SCRATCH = 0.9


@dataclasses.dataclass(frozen=True)
class TeacherChoice:
    """The teacher, decided: its spec, the name or file of its weights, its width and its preprocessing."""

    spec: BackboneSpec
    weights: str
    alpha: float
    preprocess: PreprocessSpec


@dataclasses.dataclass(frozen=True)
class Student:
    """The network that is trained.

    Attributes:
      model: float32 (batch, image_size, image_size, 3), RGB, 0 to 255, to float32 (batch, num_classes) logits.
      backbone: The part of it that came from the teacher.
      preprocess: How an image becomes the model's input.
      plan: What trains in the last phase.
    """

    model: keras.Model
    backbone: keras.Model
    preprocess: PreprocessSpec
    plan: FreezePlan


def choose_backbone(config: ModelConfig) -> TeacherChoice:
    """Decides teacher, width, image size and preprocessing from the config and the table alone.

    Raises:
      BackboneError: An unknown backbone or weights, or an image size or width that the backbone cannot have.
    """
    spec = backbone_spec(config.backbone)
    by_name = {weights.name: weights for weights in spec.weights}
    check_weights_name(config.weights, tuple(by_name))
    described = by_name.get(config.weights, spec.default_weights)
    alpha = config.alpha or described.alpha
    if not spec.alphas and alpha != 1.0:
        raise BackboneError(f"alpha: {spec.name} has one width only. Received: {alpha}. Leave alpha out.")
    if config.weights == "embedded" and alpha != described.alpha:
        raise BackboneError(f"alpha: the embedded weights have {described.alpha}. Received: {alpha}. Leave alpha out.")
    image_size = config.image_size or described.preprocess.image_size
    if image_size < spec.min_image_size:
        raise BackboneError(
            f"image_size: {spec.name} takes {spec.min_image_size} pixels or more. Received: {image_size}. "
            f"Use --image_size={spec.min_image_size} or larger."
        )
    preprocess = described.preprocess.with_image_size(image_size).with_resize(config.resize)
    return TeacherChoice(spec, config.weights, alpha, preprocess)


def build_student(teacher: TeacherChoice, config: ModelConfig, *, num_classes: int) -> Student:
    """Builds the student on the teacher.

    Args:
      teacher: From `choose_backbone`.
      config: The model's part of a resolved config.
      num_classes: Number of logits.

    Returns:
      The student, with the teacher's weights in its backbone unless the method is `replicate`.

    Raises:
      BackboneError: The weights cannot be loaded, or `unfreeze` names no layer.
    """
    replicate = config.method == "replicate"
    backbone = build_backbone(teacher) if replicate else load_backbone(teacher)
    if replicate:
        for layer in backbone.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = min(layer.momentum, _BATCH_NORM_MOMENTUM_FROM_SCRATCH)
    plan = plan_freezing(
        backbone,
        teacher.spec.blocks,
        unfreeze=config.unfreeze,
        train_batch_norm=replicate or config.batch_norm == "train",
    )
    size = teacher.preprocess.image_size
    images = keras.Input((size, size, 3), name="images")
    backbone.name = "backbone"
    features = backbone(teacher.preprocess.normalize(images))
    logits = apply_head(
        features, head=config.head, num_classes=num_classes, head_units=config.head_units, dropout=config.dropout
    )
    model = keras.Model(images, logits, name=f"{teacher.spec.name.lower()}_student")
    return Student(model, backbone, teacher.preprocess, plan)


def load_backbone(teacher: TeacherChoice) -> keras.Model:
    """Builds the teacher without its top and with its weights; random ones only where `weights` is `none`.

    Raises:
      BackboneError: The weights cannot be had, are damaged, or belong to another architecture.
    """
    if teacher.weights == "imagenet":
        with explained_download():
            return build_backbone(teacher, weights="imagenet")
    backbone = build_backbone(teacher)
    if teacher.weights != "none":
        load_weights(backbone, teacher.weights)
    return backbone


def build_backbone(teacher: TeacherChoice, weights: str | None = None) -> keras.Model:
    """Builds the teacher's architecture without its top, by the constructor in `keras.applications`.

    Args:
      teacher: From `choose_backbone`.
      weights: `imagenet` for Keras's own loader, or None for random weights.

    Raises:
      BackboneError: Keras refuses the width.
    """
    size = teacher.preprocess.image_size
    keywords = {"alpha": teacher.alpha} if teacher.spec.alphas else {}
    try:
        return getattr(keras.applications, teacher.spec.name)(
            include_top=False, weights=weights, input_shape=(size, size, 3), **keywords
        )
    except ValueError as error:
        raise BackboneError(
            f"backbone: Keras cannot build {teacher.spec.name}: {str(error).splitlines()[0]}"
        ) from error
