"""Reads teachers from `.keras` files: any image model, and how its images are prepared.

`read_teacher_file` reads two small JSON texts and imports no TensorFlow; `load_teacher` reads the network in Keras's
safe mode and removes its classifier.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tl_keras.backbones.blocks import segments
from tl_keras.backbones.hugging_face import PREFIX, fetch_teacher, repository_of
from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.errors import BackboneError
from tl_keras.untrusted import parse_json, read_json_entry

if TYPE_CHECKING:
    import keras

ENTRY = "tl_keras.json"
EXAMPLE = PreprocessSpec(
    image_size=224, rule="short_side", crop_fraction=0.875, interpolation="bilinear", antialias=True, normalization="tf"
)


@dataclasses.dataclass(frozen=True)
class TeacherFile:
    """A `.keras` file that serves as a teacher.

    Attributes:
      path: Path of the file.
      preprocess: Preprocessing from an image to the network's input.
      architecture: Name of the backbone in the table if the file holds a student of it, else empty.
      alpha: Width of that backbone.
      is_student: Whether tl_keras wrote the file; its backbone is then the layer `backbone`.
      title: Name of the teacher for people, if it is not that of the file.
    """

    path: pathlib.Path
    preprocess: PreprocessSpec
    architecture: str = ""
    alpha: float = 1.0
    is_student: bool = False
    title: str = ""

    @property
    def name(self) -> str:
        """Returns the name of the teacher for people."""
        return self.title or self.path.stem


def is_teacher_file(backbone: str) -> bool:
    """Returns whether a backbone is a `.keras` file, here or on the Hugging Face Hub."""
    return backbone.endswith(".keras") or backbone.startswith(PREFIX)


def read_teacher_file(file: str) -> TeacherFile:
    """Reads the preprocessing that a `.keras` file, or `FILE.preprocess.json` beside `FILE.keras`, declares.

    Args:
      file: Path of the file, or the address of a repository, such as `hf://user/name`.

    Raises:
      BackboneError: There is no such file, it is not a `.keras` file, or nothing says how its images are prepared.
      DependencyError: A repository is named, and `huggingface_hub` is not installed.
    """
    path = fetch_teacher(file) if file.startswith(PREFIX) else pathlib.Path(file)
    beside = path.with_suffix(".preprocess.json")
    if not path.is_file():
        raise BackboneError(f"backbone: expected an existing .keras file. Received: {path}, which does not exist.")
    facts: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            if ENTRY in archive.namelist():
                facts = read_json_entry(archive, ENTRY)
        if isinstance(facts, dict) and "preprocess" not in facts and beside.is_file():
            facts = {"preprocess": parse_json(beside.read_bytes())}
    except (zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise BackboneError(f"backbone: expected a .keras file. Received: {path} ({error}).") from error
    except ValueError as error:
        raise BackboneError(
            f"backbone: expected JSON that declares the preprocessing of {path}. Received: {error}."
        ) from error
    _check_types(facts, path)
    if "preprocess" not in facts:
        raise BackboneError(
            f"backbone: {path} does not say how its images are prepared. Write {beside}, such as "
            f"{json.dumps(EXAMPLE.to_json())}."
        )
    return TeacherFile(
        path=path,
        preprocess=PreprocessSpec.from_json(facts["preprocess"]),
        architecture=facts.get("backbone", ""),
        alpha=facts.get("alpha", 1.0),
        is_student="class_names" in facts,
        title=repository_of(file).rpartition("/")[2],
    )


def _check_types(facts: Any, path: pathlib.Path) -> None:
    """Raises a BackboneError if the entry of an archive is not an object, or if one of its fields has the wrong type."""
    if not isinstance(facts, dict):
        raise BackboneError(
            f"backbone: expected {ENTRY} in {path} to be a JSON object. Received: {_shown(facts)}. Export the file again."
        )
    expected: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "backbone": ("a name", lambda value: isinstance(value, str)),
        "alpha": ("a number above 0", lambda value: type(value) in (int, float) and value > 0),
        "class_names": (
            "a list of names",
            lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
        ),
    }
    for name, (wanted, holds) in expected.items():
        if name in facts and not holds(facts[name]):
            raise BackboneError(
                f"backbone: expected {name} in {ENTRY} of {path} to be {wanted}. Received: {_shown(facts[name])}. "
                "Export the file again."
            )


def _shown(value: Any) -> str:
    """Returns the beginning of a value as JSON, in one line."""
    return json.dumps(value)[:60]


def load_teacher(teacher: TeacherFile) -> keras.Model:
    """Loads the network without its top, with its weights.

    Returns:
      Model from float32 (batch, image_size, image_size, 3), normalised, to float32 (batch, height, width, channels), or of a
      transformer (batch, tokens, channels).

    Raises:
      BackboneError: The file is damaged, holds code, or holds no image model with a feature map or tokens.
    """
    from tl_keras.backbones.keras_file import load_keras_file

    model = load_keras_file(teacher.path)
    if "keras_hub" in sys.modules:
        from tl_keras.backbones.hub_layers import make_configs_loadable

        make_configs_loadable(model)
    if teacher.is_student:
        return model.get_layer("backbone")
    size = teacher.preprocess.image_size
    if len(model.inputs) != 1 or not _takes_images(tuple(model.inputs[0].shape), size):
        raise BackboneError(
            f"backbone: expected a model of one input ({size}, {size}, 3), as its preprocessing says. Received: "
            f"{teacher.path}, which takes {', '.join(str(tensor.shape[1:]) for tensor in model.inputs)}."
        )
    return _without_top(model, teacher.path)


def _takes_images(shape: tuple[int | None, ...], size: int) -> bool:
    return len(shape) == 4 and shape[1] in (None, size) and shape[2] in (None, size) and shape[3] == 3


def _without_top(model: keras.Model, path: pathlib.Path) -> keras.Model:
    """Returns the model up to the feature map that enters its global pooling or its classifier, or up to its tokens."""
    import keras

    images = model.inputs[0]
    model = keras.Model(images, model.outputs, name=model.name)  # a Sequential has no graph of its own
    if len(model.outputs) == 1 and len(model.outputs[0].shape) == 3:
        return keras.Model(images, model.outputs[0], name=model.name)  # tokens
    parts = segments(model)
    pooling = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
    tops = [i for i, part in enumerate(parts) if len(part) == 1 and isinstance(part[0].operation, pooling)]
    ends = [i for i, part in enumerate(parts) if len(part[-1].output_tensors[0].shape) == 4]
    last = tops[-1] - 1 if tops else max(ends, default=0)
    features = parts[last][-1].output_tensors[0]
    # A top is a chain. After a branch (attention, several outputs), the last feature map is not all that the model sees.
    branches_above = any(len(part) > 1 for part in parts[last + 1 :])
    if len(model.outputs) != 1 or len(features.shape) != 4 or last == 0 or branches_above:
        raise BackboneError(
            f"backbone: expected a model that ends in one feature map (height, width, channels), in a classifier on it, or in "
            f"tokens (tokens, channels). Received: {path}, which does not."
        )
    if last == 1 and isinstance(nested := parts[1][0].operation, keras.Model):
        return _without_top(nested, path)
    return keras.Model(images, features, name=model.name)
