"""Writes a KerasHub preset to a `.keras` file that says how its images are prepared."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import zipfile
from typing import Any

import keras

from tl_keras.backbones.preprocessing import INSIDE_THE_MODEL, PreprocessSpec
from tl_keras.backbones.teacher_files import ENTRY, load_teacher, read_teacher_file
from tl_keras.errors import BackboneError, DependencyError
from tl_keras.keras_internals import call_layers_again


def write_teacher_from_hub(preset: str, path: pathlib.Path) -> None:
    """Writes a preset's backbone, with its weights and its pixel scaling inside, to a file for `--backbone=FILE`.

    Args:
      preset: A name that KerasHub knows, such as `resnet_50_imagenet`, a handle such as `hf://...`, or a directory.
      path: File to write, ending in `.keras`.

    Raises:
      DependencyError: KerasHub is not installed.
      BackboneError: The preset cannot be loaded, or is not a network of Keras's own layers that ends in a feature map.
    """
    if importlib.util.find_spec("keras_hub") is None:
        raise DependencyError("KerasHub is not installed. Run: pip install keras-hub")
    import keras_hub

    try:
        backbone = keras_hub.models.Backbone.from_preset(preset)
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except Exception as error:  # the host, the download and the preset's own code raise errors of many types
        reason = str(error).strip().partition("\n")[0]
        raise BackboneError(f"hub: expected a preset of an image model. Received: {preset} ({reason}).") from error
    foreign = sorted(
        {type(layer).__name__ for layer in backbone.layers if not type(layer).__module__.startswith("keras.")}
    )
    if foreign:
        raise BackboneError(
            f"hub: expected a network of Keras's own layers, which loads anywhere. Received: {preset}, which has "
            f"{', '.join(foreign[:3])}. Use a convolutional preset, such as resnet_50_imagenet."
        )
    preprocess = _preprocess(converter, preset)
    images = keras.Input((preprocess.image_size, preprocess.image_size, 3), name="images")
    scaled = keras.layers.Rescaling(_value(converter.scale, 1.0), _value(converter.offset, 0.0), name="scaling")(images)
    # The layers are called again on the scaled pixels, because a nested network could not be cut.
    features = call_layers_again(backbone, scaled)
    model = keras.Model(images, features, name=backbone.name)
    unfinished = path.with_name(f".{path.name}")
    try:
        model.save(unfinished)
        with zipfile.ZipFile(unfinished, "a") as archive:
            archive.writestr(ENTRY, json.dumps({"preprocess": preprocess.to_json()}))
        load_teacher(read_teacher_file(str(unfinished)))  # raises a one-line error if the file cannot be a teacher
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


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
