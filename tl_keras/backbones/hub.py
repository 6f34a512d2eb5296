"""Writes a KerasHub preset to a `.keras` file that says how its images are prepared."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import pathlib
import re
import zipfile
from typing import Any

import keras

from tl_keras.backbones.hub_layers import correct_layers, make_configs_loadable
from tl_keras.backbones.hub_sizes import at_image_size
from tl_keras.backbones.preprocessing import INSIDE_THE_MODEL, PreprocessSpec
from tl_keras.backbones.teacher_files import ENTRY, load_teacher, read_teacher_file
from tl_keras.errors import BackboneError, DependencyError
from tl_keras.keras_internals import call_layers_again

_MODULES = re.compile(r"keras(_hub)?\.")


def write_teacher_from_hub(preset: str, path: pathlib.Path, *, tokens: str = "auto", image_size: int = 0) -> None:
    """Writes a preset's backbone, with its weights and its pixel scaling inside, to a file for `--backbone=FILE`.

    Args:
      preset: A name that KerasHub knows, such as `resnet_50_imagenet`, a handle such as `hf://...`, or a directory.
      path: File to write, ending in `.keras`.
      tokens: Tokens of a transformer that the head sees: `class` (its class token), `mean` (the mean of the patches), `both` (one
        beside the other), or `auto`, which is the class token where there is one. Networks that end in a feature map have none.
      image_size: Height and width of the images, in pixels; 0 for those of the preset.

    Raises:
      DependencyError: KerasHub is not installed.
      BackboneError: The preset cannot be loaded, has layers of neither Keras nor KerasHub, or ends in neither a feature map nor
        tokens; or its patches do not divide the image size.
    """
    if importlib.util.find_spec("keras_hub") is None:
        raise DependencyError("KerasHub is not installed. Run: pip install keras-hub")
    import keras_hub

    correct_layers()
    try:
        backbone = _image_tower(keras_hub.models.Backbone.from_preset(preset))
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except Exception as error:  # the host, the download and the preset's own code raise errors of many types
        reason = str(error).strip().partition("\n")[0]
        raise BackboneError(f"hub: expected a preset of an image model. Received: {preset} ({reason}).") from error
    foreign = sorted({type(layer).__name__ for layer in backbone.layers if not _MODULES.match(type(layer).__module__)})
    if foreign:
        raise BackboneError(
            f"hub: expected a network of layers of Keras and KerasHub. Received: {preset}, which has {', '.join(foreign[:3])}. "
            "Use a preset that KerasHub publishes, such as resnet_50_imagenet."
        )
    preprocess = _preprocess(converter, preset)
    preprocess = dataclasses.replace(preprocess, image_size=image_size or preprocess.image_size)
    backbone = at_image_size(backbone, preprocess.image_size)
    images = keras.Input((preprocess.image_size, preprocess.image_size, 3), name="images")
    scaled = keras.layers.Rescaling(_value(converter.scale, 1.0), _value(converter.offset, 0.0), name="scaling")(images)
    # The layers are called again on the scaled pixels, because a nested network could not be cut.
    make_configs_loadable(backbone)
    features = call_layers_again(backbone, scaled, instead=_in_place_of)
    if len(features.shape) != 4:
        features = _chosen_tokens(features, backbone, preset, tokens)
    model = keras.Model(images, features, name=backbone.name)
    make_configs_loadable(model)
    unfinished = path.with_name(f".{path.name}")
    try:
        try:
            model.save(unfinished)
        except TypeError as error:  # KerasHub 0.32's Swin
            raise BackboneError(
                f"hub: expected a network that Keras can save. Received: {preset} ({str(error)[:100]}). Use another preset."
            ) from error
        with zipfile.ZipFile(unfinished, "a") as archive:
            archive.writestr(ENTRY, json.dumps({"preprocess": preprocess.to_json()}))
        load_teacher(read_teacher_file(str(unfinished)))  # raises a one-line error if the file cannot be a teacher
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _image_tower(backbone: keras.Model) -> keras.Model:
    """Returns the part of a model of images and texts (CLIP, SigLIP) that takes the images, or an image model itself."""
    return getattr(backbone, "vision_encoder", backbone)


def _in_place_of(layer: Any) -> Any:
    """Returns what is called in place of a layer: the layer itself, but for two kinds of them.

    The encoder of a transformer is called block after block, since as one layer it could not be cut. An encoder whose blocks take
    more than the tokens (DINOv3's positions) stays whole. An embedding loses the token that only pre-training puts in place of
    patches, which no gradient would reach.
    """
    if getattr(layer, "use_mask_token", False):
        return _without_mask_token(layer)
    if type(layer).__name__ in ("ViTEncoder", "DeiTEncoder", "DINOV2Encoder"):
        return _block_by_block(layer)
    return layer


def _without_mask_token(layer: Any) -> Any:
    same = type(layer).from_config(layer.get_config() | {"use_mask_token": False})
    same.build((None, *layer.input.shape[1:]))
    same.set_weights([weight for weight in layer.weights if weight.name != "mask_token"])
    return same


def _block_by_block(layer: Any) -> Any:
    blocks = getattr(layer, "encoder_layers", None) or layer.layers

    def call(tokens: Any) -> Any:
        for block in blocks:
            if (
                type(layer).__name__ == "DeiTEncoder"
            ):  # a block returns its attention too, which a graph takes only as a tensor
                tokens, _ = block(tokens, return_attention_scores=True)
            else:
                tokens = block(tokens)
        norm = getattr(layer, "layer_norm", None)
        tokens = norm(tokens) if norm else tokens
        return keras.tree.map_structure(lambda _: tokens, layer.output)  # what else it returns, no one takes

    return call


def _chosen_tokens(tokens: Any, backbone: keras.Model, preset: str, choice: str) -> Any:
    """Returns the tokens over which the head takes the mean, (batch, tokens, channels).

    Args:
      tokens: Symbolic output of a transformer: (batch, tokens, channels), the class token and other tokens first, or what it pooled
        itself: (batch, 1, channels) or (batch, channels).
      backbone: Transformer, whose patches tell how many tokens precede them.
      preset: Name of the preset, for the message.
      choice: `class`, `mean`, `both` or `auto`.
    """
    if len(tokens.shape) == 2:
        return keras.layers.Reshape((1, tokens.shape[-1]), name="pooled_by_the_teacher")(tokens)
    if len(tokens.shape) != 3:
        raise BackboneError(f"hub: expected a network that ends in a feature map or tokens. Received: {preset}.")
    count, channels = tokens.shape[1:]
    if count == 1:
        return tokens
    height, width = (
        side // patch for side, patch in zip(backbone.image_shape[:2], _pair(backbone.patch_size), strict=True)
    )
    before = count - height * width
    if choice == "auto":
        choice = "class" if before else "mean"
    if choice != "mean" and not before:
        raise BackboneError(f"hub: expected --tokens=mean for {preset}, which has no class token. Received: {choice}.")
    if choice == "mean":
        return keras.layers.Cropping1D((before, 0), name="patches")(tokens) if before else tokens
    first = keras.layers.Cropping1D((0, count - 1), name="class_token")(tokens)
    if choice == "class":
        return first
    patches = keras.layers.GlobalAveragePooling1D(name="mean_patch")(
        keras.layers.Cropping1D((before, 0), name="patches")(tokens)
    )
    return keras.layers.Concatenate(name="tokens")(
        [first, keras.layers.Reshape((1, channels), name="mean_token")(patches)]
    )


def _pair(patch_size: Any) -> tuple[int, int]:
    return (patch_size, patch_size) if isinstance(patch_size, int) else tuple(patch_size)


def _preprocess(converter: Any, preset: str) -> PreprocessSpec:
    """Returns the resizing that a converter does; it scales pixels inside the model."""
    height, width = converter.image_size or (0, 0)
    if height != width or not height:
        raise BackboneError(f"hub: expected square images. Received: {preset}, whose images are {height} x {width}.")
    whole = "pad" if converter.pad_to_aspect_ratio else "squash"
    rule = "crop_first" if converter.crop_to_aspect_ratio else whole
    return PreprocessSpec(
        image_size=height,
        rule=rule,
        crop_fraction=1.0,
        interpolation=converter.interpolation,
        antialias=converter.antialias,
        normalization=INSIDE_THE_MODEL,
    )


def _value(given: Any, default: float) -> Any:
    """Returns a number, or one number per channel, as the Rescaling layer takes it."""
    return default if given is None else given
