"""Builds the student: a backbone and a new head, by one of the three methods.

`choose_backbone` reads only the config and the table, so that a wrong name or size is found before any image is read;
`build_student` builds the network and loads the teacher's weights into it.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import keras
import numpy as np

from tl_keras.backbones.blocks import blocks_of
from tl_keras.backbones.output_stride import end_at_stride
from tl_keras.backbones.preprocessing import Preprocess, PreprocessSpec
from tl_keras.backbones.rebuilding import with_random_weights, with_rescaling
from tl_keras.backbones.specs import BackboneSpec, BlockSpec, WeightsFile, backbone_spec, takes_texts
from tl_keras.backbones.teacher_files import TeacherFile, is_teacher_file, load_teacher, read_teacher_file
from tl_keras.backbones.weights import (
    check_official_weights,
    check_weights_name,
    is_downloaded,
    load_weights,
    official_classifier,
    official_file,
    packaged_weights,
)
from tl_keras.config import DEFAULT_RESIZE, DEFAULT_SIGNIFICANT_BITS, ModelConfig
from tl_keras.errors import BackboneError
from tl_keras.freezing import FreezePlan, plan_freezing
from tl_keras.heads import apply_head, initialize_head, layers_from_json
from tl_keras.keras_internals import all_layers
from tl_keras.lora import enable_lora, initialize_lora, is_lora

if TYPE_CHECKING:
    from tl_keras.text.teachers import TextTeacher

_PUBLISHED = "published"  # the weights of a teacher of texts
# Keras's MobileNetV2 has 0.999, chosen for ImageNet's million steps. After a few hundred steps from random weights its
# moving statistics are still the initial ones, and evaluation is at chance. 0.9 is PyTorch's default for every network.
_BATCH_NORM_MOMENTUM_FROM_SCRATCH = 0.9


@dataclasses.dataclass(frozen=True)
class TeacherChoice:
    """The chosen teacher: its spec, the name or file of its weights, its width, preprocessing, map and pooling."""

    spec: BackboneSpec | TeacherFile | TextTeacher
    weights: str
    alpha: float
    preprocess: Preprocess
    output_stride: int = 0
    pooling: str = "average"

    def describe(self) -> str:
        """Returns the teacher in words, such as `MobileNetV2 with ImageNet weights`."""
        known = {
            "imagenet": "ImageNet weights",
            "embedded": "the embedded weights",
            "none": "random weights",
            _PUBLISHED: "its weights",
        }
        ends = f" up to its map of {self.output_stride} pixels a position" if self.output_stride else ""
        return f"{self.spec.name} with {known.get(self.weights, f'weights from {self.weights}')}{ends}"

    @property
    def has_usual_features(self) -> bool:
        """Returns whether its features are made as in its original training: from the last map, by their average."""
        return not self.output_stride and self.pooling == "average"


@dataclasses.dataclass(frozen=True)
class Student:
    """The network that is trained.

    Attributes:
      model: Model from float32 (batch, image_size, image_size, 3), RGB, 0 to 255, or from token ids, int32 (batch, max_tokens),
        to float32 (batch, num_classes) logits.
      backbone: Part of the model that came from the teacher.
      preprocess: Preprocessing from an image to the model's input.
      plan: Layers that train in the last phase.
      teacher: Teacher that the student was built on.
    """

    model: keras.Model
    backbone: keras.Model
    preprocess: Preprocess
    plan: FreezePlan
    teacher: TeacherChoice

    @property
    def head(self) -> tuple[keras.layers.Layer, ...]:
        """Returns the layers after the backbone, from the pooling to the logits, each fed by the one before."""
        return tuple(self.model.layers[self.model.layers.index(self.backbone) + 1 :])

    def initialize_head(self, config: ModelConfig, *, seed: int) -> None:
        """Sets the initial weights of the head from a seed; layers of the user's own keep those that they have initialized."""
        initialize_head(self.head[-1:] if config.head_layers else self.head, seed=seed)

    def initialize_noise(self, *, seed: int) -> None:
        """Sets the state of the backbone's dropout and stochastic depth from a seed, whenever the backbone was built."""
        states = [variable for variable in self.backbone.variables if variable.name == "seed_generator_state"]
        for position, state in enumerate(states, start=len(self.head)):  # after those of the head
            state.assign([seed, position])

    def start_from(self, earlier: keras.Model, *, class_names: Sequence[str], earlier_names: Sequence[str]) -> None:
        """Takes over the weights of an earlier student of the same shape; logits of classes that it lacks keep theirs.

        Args:
          earlier: Student of the same backbone and head.
          class_names: Names of this student's logits.
          earlier_names: Names of the earlier student's logits.

        Raises:
          BackboneError: Backbone or head differ.
        """
        layers = earlier.layers[earlier.layers.index(earlier.get_layer("backbone")) :]
        ours = [
            [weight for weight in layer.weights if not is_lora(weight)] for layer in (self.backbone, *self.head[:-1])
        ]
        shapes = [[tuple(weight.shape) for weight in weights] for weights in ours]
        if len(layers) != 1 + len(self.head) or shapes != [
            [tuple(w.shape) for w in layer.weights] for layer in layers[:-1]
        ]:
            raise BackboneError(
                "start_from: expected the model.keras of a run with the same backbone, width and head. Received: another network. "
                "Use the same --backbone, --alpha and head."
            )
        for weights, theirs in zip(ours, layers[:-1], strict=True):
            for weight, value in zip(weights, theirs.get_weights(), strict=True):
                weight.assign(value)
        known = {name: position for position, name in enumerate(earlier_names)}
        kept = [(position, known[name]) for position, name in enumerate(class_names) if name in known]
        (kernel, bias), (earlier_kernel, earlier_bias) = self.head[-1].get_weights(), layers[-1].get_weights()
        for position, earlier_position in kept:
            kernel[:, position], bias[position] = earlier_kernel[:, earlier_position], earlier_bias[earlier_position]
        self.head[-1].set_weights([kernel, bias])


def choose_backbone(config: ModelConfig) -> TeacherChoice:
    """Decides teacher, width, image size and preprocessing from the config and the table, or from a teacher file.

    Raises:
      BackboneError: The backbone or weights are unknown, or the backbone does not allow the image size or width.
    """
    if takes_texts(config.backbone):
        return _choose_text_teacher(config)
    choice = _choose_from_file(config) if is_teacher_file(config.backbone) else _choose_from_table(config)
    of_images = cast("PreprocessSpec", choice.preprocess)
    image_size = config.image_size or choice.preprocess.image_size
    if isinstance(choice.spec, TeacherFile) and image_size != choice.preprocess.image_size:
        raise BackboneError(
            f"image_size: {choice.spec.path} is declared for {choice.preprocess.image_size} pixels. Received: {image_size}. "
            "Leave image_size out."
        )
    if isinstance(choice.spec, BackboneSpec) and image_size < choice.spec.min_image_size:
        raise BackboneError(
            f"image_size: {choice.spec.name} takes {choice.spec.min_image_size} pixels or more. Received: {image_size}. "
            f"Use --image_size={choice.spec.min_image_size} or larger."
        )
    if isinstance(choice.spec, BackboneSpec) and keras.__version__.rpartition(".")[0] in choice.spec.unusable_keras:
        raise BackboneError(
            f"backbone: expected a Keras version other than {', '.join(choice.spec.unusable_keras)} for "
            f"{choice.spec.name}, whose weights "
            f"that version cannot load. Received: Keras {keras.__version__}. Run: pip install --upgrade keras"
        )
    preprocess = of_images.with_image_size(image_size).with_resize(config.resize or DEFAULT_RESIZE)
    preprocess = preprocess.with_decoding(
        background=config.background, significant_bits=config.significant_bits or DEFAULT_SIGNIFICANT_BITS
    )
    return dataclasses.replace(
        choice, preprocess=preprocess, output_stride=config.output_stride, pooling=config.pooling or "average"
    )


def _choose_text_teacher(config: ModelConfig) -> TeacherChoice:
    """Chooses a teacher of texts, which brings its weights and takes none of the options of images."""
    from tl_keras.text.teachers import read_text_teacher
    from tl_keras.text.tokenizing import TextPreprocess

    teacher = read_text_teacher(config.backbone)
    given = {"weights": config.weights not in ("imagenet", "none"), "resize": config.resize not in ("", DEFAULT_RESIZE)}
    given |= {"alpha": config.alpha not in (0, 1), "image_size": config.image_size != 0}
    given |= {"output_stride": config.output_stride != 0, "pooling": config.pooling not in ("", "average")}
    if unfit := [name for name, is_given in given.items() if is_given]:
        raise BackboneError(
            f"{unfit[0]}: {teacher.name} takes texts. Received: {getattr(config, unfit[0])}. Leave it out."
        )
    if config.max_tokens > teacher.most_tokens:
        raise BackboneError(
            f"max_tokens: {teacher.name} takes {teacher.most_tokens} tokens at most. Received: {config.max_tokens}. Use fewer."
        )
    preprocess = TextPreprocess(tokenizer=teacher.tokenizer, max_tokens=config.max_tokens or teacher.most_tokens)
    return TeacherChoice(teacher, "none" if config.weights == "none" else _PUBLISHED, 1.0, preprocess)


def _choose_from_table(config: ModelConfig) -> TeacherChoice:
    spec = backbone_spec(config.backbone)
    by_name = {weights.name: weights for weights in spec.weights}
    check_weights_name(config.weights, spec)
    described = by_name.get(config.weights, spec.default_weights)
    alpha = config.alpha or described.alpha
    if spec.alphas == (1.0,) and alpha != 1.0:
        raise BackboneError(f"alpha: {spec.name} has one width only. Received: {alpha}. Leave alpha out.")
    if config.weights == "imagenet" and alpha not in spec.alphas:
        widths = ", ".join(map(str, spec.alphas))
        raise BackboneError(f"alpha: ImageNet weights of {spec.name} exist for {widths}. Received: {alpha}.")
    if config.weights == "embedded" and alpha != described.alpha:
        raise BackboneError(f"alpha: the embedded weights have {described.alpha}. Received: {alpha}. Leave alpha out.")
    return TeacherChoice(spec, config.weights, alpha, described.preprocess)


def _choose_from_file(config: ModelConfig) -> TeacherChoice:
    """Chooses the teacher of a file, which brings its weights; a student of a known backbone is used as that backbone."""
    teacher = read_teacher_file(config.backbone)
    # `imagenet` is the config's default, so it does not count as the user's choice.
    if config.weights not in ("imagenet", "embedded"):
        raise BackboneError(
            f"weights: {teacher.path} contains its own weights. Received: {config.weights}. Leave weights out."
        )
    if config.alpha not in (0, teacher.alpha):
        raise BackboneError(f"alpha: {teacher.path} has {teacher.alpha}. Received: {config.alpha}. Leave alpha out.")
    spec = backbone_spec(teacher.architecture) if teacher.architecture else teacher
    return TeacherChoice(spec, str(teacher.path), teacher.alpha, teacher.preprocess)


def build_student(teacher: TeacherChoice, config: ModelConfig, *, num_classes: int, seed: int = 0) -> Student:
    """Builds the student on the teacher.

    Args:
      teacher: Teacher from `choose_backbone`.
      config: The model's part of a resolved config.
      num_classes: Number of logits.
      seed: Seed of the head's initial weights. The random backbone of `replicate` follows from Keras's global seed.

    Returns:
      The student, with the teacher's weights in its backbone unless the method is `replicate`.

    Raises:
      BackboneError: The weights cannot be loaded, or `unfreeze` names no layer.
    """
    replicate = config.method == "replicate"
    backbone = build_backbone(teacher) if replicate else load_backbone(teacher)
    if replicate:
        for layer in all_layers(backbone):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = min(layer.momentum, _BATCH_NORM_MOMENTUM_FROM_SCRATCH)
    if config.lora_rank:
        enable_lora(backbone, rank=config.lora_rank)
        initialize_lora(backbone, seed=seed)
    plan = plan_student(teacher, backbone, config)
    preprocess = teacher.preprocess
    images = keras.Input(preprocess.network_shape, dtype=preprocess.input_dtype, name=preprocess.input_name)
    backbone.name = "backbone"
    features = backbone(teacher.preprocess.normalize(images))
    logits = apply_head(
        features,
        pooling=teacher.pooling,
        scaled=not teacher.has_usual_features,
        head=config.head,
        num_classes=num_classes,
        head_units=config.head_units,
        dropout=config.dropout,
        layers=layers_from_json(config.head_layers) if config.head_layers else (),
    )
    model = keras.Model(images, logits, name=f"{teacher.spec.name.lower()}_student")
    student = Student(model, backbone, teacher.preprocess, plan, teacher)
    student.initialize_head(config, seed=seed)
    return student


def plan_student(
    teacher: TeacherChoice, backbone: keras.Model, config: ModelConfig, *, unfreeze: str = ""
) -> FreezePlan:
    """Returns which layers of a student's backbone train.

    Args:
      teacher: Teacher of the student.
      backbone: Backbone of the student.
      config: The model's part of a resolved config.
      unfreeze: Choice that replaces the config's.

    Raises:
      BackboneError: `unfreeze` names no layer.
    """
    return plan_freezing(
        backbone,
        blocks_of_teacher(teacher, backbone),
        unfreeze=unfreeze or config.unfreeze,
        train_batch_norm=config.method == "replicate" or config.batch_norm == "train",
        lora_rank=config.lora_rank,
    )


def load_backbone(teacher: TeacherChoice) -> keras.Model:
    """Builds the teacher without its top and with its weights, which are random only if `weights` is `none`.

    Raises:
      BackboneError: The weights are missing, damaged, or belong to another architecture, which may lack the map that is asked for.
    """
    return _ended(_whole_with_weights(teacher), teacher)


def _ended(backbone: keras.Model, teacher: TeacherChoice) -> keras.Model:
    """Returns a whole network up to the map that the teacher's features are of."""
    stride = teacher.output_stride
    return end_at_stride(backbone, stride, name=teacher.spec.name) if stride else backbone


def _whole_with_weights(teacher: TeacherChoice) -> keras.Model:
    if isinstance(teacher.spec, TeacherFile):
        return load_teacher(teacher.spec)
    if not isinstance(teacher.spec, BackboneSpec):
        has_weights = teacher.weights == _PUBLISHED
        return teacher.spec.load() if has_weights else teacher.spec.build()
    if teacher.weights == "imagenet":
        file = teacher.spec.default_weights.file_for(alpha=teacher.alpha, image_size=teacher.preprocess.image_size)
        if file.package:
            backbone = _whole_architecture(teacher)
            backbone.set_weights(packaged_weights(file))
            return backbone
        with official_file(file):
            backbone = _construct(teacher.spec, teacher, weights="imagenet")
        check_official_weights(backbone, file)
        return backbone
    backbone = _whole_architecture(teacher)
    if teacher.weights != "none":
        load_weights(backbone, teacher.weights)
    return backbone


def load_top(teacher: TeacherChoice) -> list[np.ndarray] | None:
    """Returns the classifier that the teacher's ImageNet weights were trained with, or None if its file is missing.

    Only a classifier of one layer on the pooled features is returned; see `BackboneSpec.classifies_pooled`.

    Returns:
      Kernel, float32 (feature_dim, 1000), and bias, float32 (1000,).

    Raises:
      BackboneError: The classifier's file is damaged.
    """
    spec = teacher.spec
    if not teacher.has_usual_features or teacher.weights != "imagenet":
        return None
    if not isinstance(spec, BackboneSpec) or not spec.classifies_pooled:
        return None
    file = spec.default_weights.file_for(alpha=teacher.alpha, image_size=teacher.preprocess.image_size)
    if file.package:
        return packaged_weights(file, include_top=True)[-2:]
    # The hash is left out, since it is that of the file without top.
    with_top = WeightsFile(name=re.sub("_no_?top", "", file.name), alpha=file.alpha)
    return official_classifier(with_top) if is_downloaded(with_top) else None


def build_backbone(teacher: TeacherChoice) -> keras.Model:
    """Builds the teacher's architecture without its top and with random weights.

    Raises:
      BackboneError: Keras refuses the width, a file cannot be read, or the network lacks the map that is asked for.
    """
    return _ended(_whole_architecture(teacher), teacher)


def _whole_architecture(teacher: TeacherChoice) -> keras.Model:
    if isinstance(teacher.spec, TeacherFile):
        return with_random_weights(load_teacher(teacher.spec))
    if not isinstance(teacher.spec, BackboneSpec):
        return teacher.spec.build()
    try:
        backbone = _construct(teacher.spec, teacher, weights=None)
    except ValueError as error:
        raise BackboneError(
            f"backbone: Keras cannot build {teacher.spec.name}: {str(error).splitlines()[0]}"
        ) from error
    factors = teacher.spec.rescaling_after_normalization
    return with_rescaling(backbone, factors) if factors else backbone


def blocks_of_teacher(teacher: TeacherChoice, backbone: keras.Model) -> tuple[BlockSpec, ...]:
    """Returns the blocks from the table, or those found in the graph of a network outside the table, or of a part of one."""
    if isinstance(teacher.spec, TeacherFile) or teacher.output_stride:
        return blocks_of(backbone)
    return teacher.spec.blocks


def _construct(spec: BackboneSpec, teacher: TeacherChoice, *, weights: str | None) -> keras.Model:
    """Calls the constructor; its errors are not translated yet."""
    size = teacher.preprocess.image_size
    constructor = getattr(importlib.import_module(spec.constructor_package), spec.name)
    keywords = {"alpha": teacher.alpha} if len(spec.alphas) > 1 else {}
    with warnings.catch_warnings():  # that the weights are those for 224 pixels: the fingerprint checks which they are
        warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square")
        return constructor(include_top=False, weights=weights, input_shape=(size, size, 3), **keywords)
