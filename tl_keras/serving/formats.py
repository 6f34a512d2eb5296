"""Lists the formats that a student is exported to, each written by its own converter."""

from __future__ import annotations

import dataclasses
import importlib.util
import pathlib
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from tl_keras.errors import DependencyError
from tl_keras.serving.graph import answering_function, signatures
from tl_keras.serving.kept_means import kept_means
from tl_keras.serving.model_file import TrainedModel

# File of an export that says what it was made of; a SavedModel has it in assets.extra/.
FACTS = "tl_keras.json"

# Part of the largest logit. Float32 rounding differs between batch sizes, graphs and runtimes by at most 5.7e-6 of it (559
# images, 32 runs); half a grey level in the preprocessing by 1e-3, a shifted pixel by 0.1.
_FLOAT32_TOLERANCE = 1e-4
# Weights rounded to 11 bits; a shifted pixel or other colours still show. Eight bits hide them: the difference is only reported.
_FLOAT16_TOLERANCE = 0.05
# ONNX's operators of 2022, the first set with every operator that TensorFlow's converter writes for networks with LayerNorm.
_OPSET = 18

# Function that reads training images as the model's input: float32 (n, image_size, image_size, 3), 0 to 255.
ReadPixels = Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Format:
    """A format to which a student can be written.

    Attributes:
      runtime: Runtime that executes it, a name of `tl_keras.serving.runtime_check`.
      file: File in the version directory that the runtime loads; empty for the directory itself.
      tolerance: Largest allowed difference of a logit from training, as a part of the largest logit; None allows any and
        only reports it.
      modules: Modules that writing and running it import.
      extra: Extra of setup.cfg that installs those modules.
      write: Function that writes a model to a path; it receives the training images for formats that are fitted to them.
    """

    runtime: str
    file: str
    tolerance: float | None
    modules: tuple[str, ...]
    extra: str
    write: Callable[[TrainedModel, pathlib.Path, ReadPixels], None]

    @property
    def takes_files(self) -> bool:
        """Returns whether the format takes image files; otherwise it takes pixels, resized and cropped."""
        return self.runtime == "saved_model"


def require_converters(names: Iterable[str]) -> None:
    """Raises a DependencyError that names all missing packages of the formats and the one command that installs them."""
    missing = {
        module: FORMATS[name].extra
        for name in names
        for module in FORMATS[name].modules
        if importlib.util.find_spec(module) is None
    }
    if missing:
        extras = ",".join(dict.fromkeys(missing.values()))
        raise DependencyError(
            f"export: expected the packages {', '.join(missing)}. Received: not installed. Run: pip install 'tl_keras[{extras}]'"
        )


def _write_saved_model(trained: TrainedModel, path: pathlib.Path, _: ReadPixels) -> None:
    # Custom gradients, such as swish's, cannot be saved once the weights are constants, and nobody trains this model.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(tf.Module(), str(path), signatures=signatures(trained), options=options)


def _write_litert(
    trained: TrainedModel,
    path: pathlib.Path,
    *,
    smaller: bool = True,
    supported_types: Iterable[tf.DType] = (),
    read_pixels: ReadPixels | None = None,
) -> None:
    """Writes LiteRT's flat buffer: in float32, with smaller weights, or in int8 fitted to the images of `read_pixels`.

    Smaller weights are int8 for each channel, and what they are multiplied by is rounded to int8 image by image.
    """
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [answering_function(trained).get_concrete_function()], tf.Module()
    )
    if smaller:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = list(supported_types)
    if read_pixels is not None:
        converter.representative_dataset = lambda: ([image[np.newaxis]] for image in read_pixels())
    path.write_bytes(converter.convert())


def _write_litert_int8(trained: TrainedModel, path: pathlib.Path, read_pixels: ReadPixels) -> None:
    pixels = read_pixels()
    with kept_means(trained.model, pixels):
        _write_litert(trained, path, supported_types=(tf.int8,), read_pixels=lambda: pixels)


def _write_onnx(trained: TrainedModel, path: pathlib.Path, _: ReadPixels) -> None:
    import tf2onnx

    answer = answering_function(trained)
    tf2onnx.convert.from_function(answer, input_signature=answer.input_signature, opset=_OPSET, output_path=str(path))


def _write_openvino(trained: TrainedModel, path: pathlib.Path, _: ReadPixels) -> None:
    import openvino

    answer = answering_function(trained).get_concrete_function()
    model = openvino.convert_model(answer)
    for output, name in zip(model.outputs, sorted(answer.structured_outputs), strict=True):
        output.tensor.set_names({name})
    model.inputs[0].tensor.set_names({trained.preprocess.input_name})
    openvino.save_model(model, path, compress_to_fp16=False)


def _litert(tolerance: float | None, write: Callable[[TrainedModel, pathlib.Path, ReadPixels], None]) -> Format:
    return Format("litert", "model.tflite", tolerance, ("ai_edge_litert",), "litert", write)


FORMATS = {
    "saved_model": Format("saved_model", "", _FLOAT32_TOLERANCE, (), "cpu", _write_saved_model),
    "litert": _litert(_FLOAT32_TOLERANCE, lambda trained, path, _: _write_litert(trained, path, smaller=False)),
    "litert_float16": _litert(
        _FLOAT16_TOLERANCE, lambda trained, path, _: _write_litert(trained, path, supported_types=(tf.float16,))
    ),
    "litert_dynamic_int8": _litert(None, lambda trained, path, _: _write_litert(trained, path)),
    "litert_int8": _litert(None, _write_litert_int8),
    "onnx": Format("onnx", "model.onnx", _FLOAT32_TOLERANCE, ("tf2onnx", "onnxruntime"), "onnx", _write_onnx),
    "openvino": Format("openvino", "model.xml", _FLOAT32_TOLERANCE, ("openvino",), "openvino", _write_openvino),
}
