"""Every format of an exported run beside the bare Keras model: accuracy, size, and milliseconds a batch of 1 and of 32.

    python -m tl_keras.export --workdir=run1 --format=saved_model,litert,litert_float16,litert_int8,onnx,openvino
    python benchmarks/serving.py --workdir=run1 --data=photos/

Times are for pixels that are resized already, the median of 20 calls in one process; the SavedModel's include decoding
and resizing of PNG files of the model's size. LiteRT has one thread, as its interpreter by default; the others have all.
Accuracy is on the source's test images, or on all where it declares none. Prints a table and writes JSON beside it.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import app, flags

from tl_keras.data.decoding import decode_image
from tl_keras.data.sources import open_source
from tl_keras.serving.answer_alone import RUNTIMES
from tl_keras.serving.export import newest_version
from tl_keras.serving.formats import FORMATS
from tl_keras.serving.model_file import TrainedModel, load_model

_WORKDIR = flags.DEFINE_string("workdir", None, "A run directory with exports.", required=True)
_DATA = flags.DEFINE_string("data", None, "A source with the run's classes.", required=True)
_CALLS = 20


def main(_: list[str]) -> None:
    """Measures every format that the run directory holds."""
    run = pathlib.Path(_WORKDIR.value)
    trained = load_model(run / "model.keras")
    pixels, labels = read_images(trained)
    files = [np.frombuffer(tf.io.encode_png(tf.cast(image, tf.uint8)).numpy(), np.uint8) for image in pixels[:32]]
    call = tf.function(lambda images: tf.nn.softmax(trained.model(images, training=False)))
    rows = [row("keras", run / "model.keras", lambda images: call(np.stack(images)).numpy(), pixels, labels, pixels)]
    for name, format_ in FORMATS.items():
        if version := newest_version(run / name):
            ask = RUNTIMES[format_.runtime](str(version / format_.file))
            rows.append(row(name, version, ask, pixels, labels, files if format_.takes_files else pixels))
    print("| format | accuracy | MB | ms, batch 1 | ms, batch 32 |\n|---|---|---|---|---|")
    for measured in rows:
        print("| " + " | ".join(str(value) for value in measured.values()) + " |")
    pathlib.Path(run, "benchmark.json").write_text(json.dumps(rows, indent=1))


def read_images(trained: TrainedModel) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the images as the model takes them and their labels, int64 (n,)."""
    source = open_source(_DATA.value)
    test = source.declared_splits == "test"
    indices = np.flatnonzero(test) if test.any() else np.arange(len(source))
    images = [
        trained.preprocess.evaluation_transform(decode_image(element["image"])).numpy()
        for element in source.images(indices)
    ]
    return images, source.labels[indices]


def row(
    name: str,
    path: pathlib.Path,
    ask: Callable[[list[np.ndarray]], np.ndarray],
    pixels: list[np.ndarray],
    labels: np.ndarray,
    questions: list[np.ndarray],
) -> dict[str, str | float]:
    """Measures one format; accuracy only where it takes pixels, as the other is proven equal to Keras."""
    accuracy = "as keras"
    if questions is pixels:
        answers = np.concatenate([ask(pixels[i : i + 32]) for i in range(0, len(pixels), 32)])
        accuracy = f"{np.mean(answers.argmax(-1) == labels):.4f}"
    sizes = [file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file()]
    return {
        "format": name,
        "accuracy": accuracy,
        "megabytes": round(sum(sizes) / 1e6, 2),
        "batch_1": milliseconds(ask, questions[:1]),
        "batch_32": milliseconds(ask, questions[:32]),
    }


def milliseconds(ask: Callable[[list[np.ndarray]], np.ndarray], questions: list[np.ndarray]) -> float:
    """Returns the median of the calls after the first, which prepares."""
    ask(questions)
    seconds = []
    for _ in range(_CALLS):
        start = time.perf_counter()
        ask(questions)
        seconds.append(time.perf_counter() - start)
    return round(1e3 * statistics.median(seconds), 1)


if __name__ == "__main__":
    app.run(main)
