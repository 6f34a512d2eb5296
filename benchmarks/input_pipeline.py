"""(d) The input pipeline against Keras's loader doing the same work, and against decoding alone.

JPEG photos of five flowers, stretched to 224 pixels, batches of 32, in files' order.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable

from benchmarks.measuring import TEST_DATA as _DATA
from benchmarks.measuring import Options, Row, answer_requests, answering, interleave, per_second

_PIXELS = 224
_SECONDS = 5.0
_FOLDER = _DATA / "flowers5" / "train"


def measure(options: Options) -> list[Row]:
    """Returns the ratios of images per second."""
    with contextlib.ExitStack() as stack:
        measurements = {
            name: stack.enter_context(answering([sys.executable, "-m", "benchmarks.input_pipeline", name]))
            for name in _PASSES
        }
        figures = interleave(measurements, repetitions=options.repetitions)
    return [
        Row("ours, against image_dataset_from_directory", figures["ours"], figures["keras"], "images/s", 1.0),
        Row("ours, against decoding alone", figures["ours"], figures["decoding"], "images/s", 0.85),
    ]


def _ours() -> Iterable:
    import numpy as np

    from tl_keras.builder import choose_backbone
    from tl_keras.config import ModelConfig
    from tl_keras.data.options import SourceOptions
    from tl_keras.data.pipeline import evaluation_batches, labels_of
    from tl_keras.tasks.single_label import SINGLE_LABEL
    from tl_keras.training.model_cache import ModelCache

    source, _ = ModelCache().images(str(_FOLDER), SourceOptions())  # as a run has them, inspected
    labels = labels_of(source)
    preprocess = choose_backbone(ModelConfig(weights="none", image_size=_PIXELS, resize="squash")).preprocess
    return evaluation_batches(
        source,
        np.arange(len(source)),
        transform=preprocess.evaluation_transform,
        targets=lambda indices, view: SINGLE_LABEL.targets(labels(indices, view), len(source.class_names)),
        global_batch_size=32,
    )


def _keras() -> Iterable:
    import keras

    dataset = keras.utils.image_dataset_from_directory(
        _FOLDER, image_size=(_PIXELS, _PIXELS), batch_size=32, label_mode="categorical", shuffle=False, verbose=False
    )
    return dataset.prefetch(2)


def _decoding() -> Iterable:
    import tensorflow as tf

    files = tf.data.Dataset.from_tensor_slices(sorted(map(str, _FOLDER.glob("*/*.jpg"))))
    decode = files.map(
        lambda file: tf.io.decode_jpeg(tf.io.read_file(file), channels=3, dct_method="INTEGER_ACCURATE"),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return decode.prefetch(2)  # photos of different sizes make no batch


_PASSES: dict[str, Callable[[], Iterable]] = {"ours": _ours, "keras": _keras, "decoding": _decoding}


def _consume(batches: Iterable) -> None:
    for _ in batches:
        pass


if __name__ == "__main__":
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    passes = _PASSES[sys.argv[1]]()
    _consume(passes)
    images = len(list(_FOLDER.glob("*/*.jpg")))
    answer_requests(lambda: per_second(lambda: _consume(passes), amount=images, seconds=_SECONDS))
