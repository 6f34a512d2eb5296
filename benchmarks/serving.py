"""Every format of an exported run beside the bare Keras model: accuracy, size, and milliseconds a batch of 1 and of 32.

    python -m tl_keras.export --workdir=run1 --format=saved_model,litert,litert_float16,litert_int8,onnx,openvino
    python -m benchmarks.serving --workdir=run1 --data=photos/

gives the table with accuracies; as a part of `python -m benchmarks` it trains on flowers5 first, and compares times alone.
Times are for pixels that are resized already, the median of 20 calls in one process; the SavedModel's include decoding
and resizing of PNG files of the model's size. LiteRT has one thread, as its interpreter by default; the others have all.
Accuracy is on the source's test images, or on all where it declares none. Prints a table and writes JSON beside it.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks.measuring import TEST_DATA, Options, Row, environment, interleave
from tl_keras.data.sources import open_source
from tl_keras.serving.export import newest_version
from tl_keras.serving.formats import FORMATS
from tl_keras.serving.model_file import TrainedModel, load_model
from tl_keras.serving.runtime_check import RUNTIMES, Ask

_CALLS = 20
_OUTPUT = "probabilities"

# How a format is asked, and with what: encoded files or pixels.
_Questions = tuple[Callable[[list[np.ndarray]], np.ndarray], list[np.ndarray]]


def measure(options: Options) -> list[Row]:
    """Returns the milliseconds of each format against those of the bare Keras model."""
    run, data = options.folder / "serving", str(TEST_DATA / "flowers5")
    formats = [name for name, format_ in FORMATS.items() if all(map(importlib.util.find_spec, format_.modules))]
    how = ["--method=feature_extraction", "--epochs=3", f"--export={','.join(formats)}"]
    command = [sys.executable, "-m", "tl_keras.train", f"--data={data}", f"--workdir={run}", *how]
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment())
    trained = load_model(run / "model.keras")
    pixels, _ = read_images(trained, data)
    asked = ways_of_asking(run, trained, pixels)
    rows = []
    for batch in (1, 32):
        turns = {
            name: lambda ask=ask, questions=questions[:batch]: milliseconds(ask, questions)
            for name, (ask, questions) in asked.items()
        }
        figures = interleave(turns, repetitions=options.repetitions)
        keras = figures.pop("keras")
        rows += [
            Row(f"{name}, batch {batch}, against bare Keras", times, keras, "ms", 1.0, at_most=True)
            for name, times in figures.items()
        ]
    return rows


def ways_of_asking(run: pathlib.Path, trained: TrainedModel, pixels: list[np.ndarray]) -> dict[str, _Questions]:
    """Returns how to ask the bare Keras model and every format that the run directory holds."""
    files = [np.frombuffer(tf.io.encode_png(tf.cast(image, tf.uint8)).numpy(), np.uint8) for image in pixels[:32]]
    call = tf.function(lambda images: tf.nn.softmax(trained.model(images, training=False)))
    asked: dict[str, _Questions] = {"keras": (lambda images: call(np.stack(images)).numpy(), pixels)}
    for name, format_ in FORMATS.items():
        if version := newest_version(run / name):
            runtime = RUNTIMES[format_.runtime](str(version / format_.file), _OUTPUT)
            ask = functools.partial(_answer, runtime)
            asked[name] = (ask, files if format_.takes_files else pixels)
    return asked


def _answer(runtime: Ask, images: list[np.ndarray]) -> np.ndarray:
    return runtime(images, (_OUTPUT,))[_OUTPUT]


def read_images(trained: TrainedModel, data: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the images as the model takes them and their labels, int64 (n,)."""
    source = open_source(data)
    test = source.declared_splits == "test"
    indices = np.flatnonzero(test) if test.any() else np.arange(len(source))
    images = [trained.preprocess.evaluation_transform(element["image"]).numpy() for element in source.images(indices)]
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
        "batch_1": round(milliseconds(ask, questions[:1]), 1),
        "batch_32": round(milliseconds(ask, questions[:32]), 1),
    }


def milliseconds(ask: Callable[[list[np.ndarray]], np.ndarray], questions: list[np.ndarray]) -> float:
    """Returns the median of the calls after the first, which prepares."""
    ask(questions)
    seconds = []
    for _ in range(_CALLS):
        start = time.perf_counter()
        ask(questions)
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds)


def main() -> None:
    """Prints the table of a run directory's formats, and writes it beside them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", required=True, type=pathlib.Path, help="a run directory with exports")
    parser.add_argument("--data", required=True, help="a source with the run's classes")
    arguments = parser.parse_args()
    trained = load_model(arguments.workdir / "model.keras")
    pixels, labels = read_images(trained, arguments.data)
    rows = []
    for name, (ask, questions) in ways_of_asking(arguments.workdir, trained, pixels).items():
        path = newest_version(arguments.workdir / name) or arguments.workdir / "model.keras"
        rows.append(row(name, path, ask, pixels, labels, questions))
    print("| format | accuracy | MB | ms, batch 1 | ms, batch 32 |\n|---|---|---|---|---|")
    for measured in rows:
        print("| " + " | ".join(str(value) for value in measured.values()) + " |")
    (arguments.workdir / "benchmark.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
