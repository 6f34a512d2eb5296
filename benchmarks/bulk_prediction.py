"""(k) Predictions for many photos, beside the fastest forward pass, the network alone and decoding alone in the same process.

    python -m benchmarks.bulk_prediction --model=run1 --photos=photos/ --images=2000
    python -m benchmarks.bulk_prediction --model=run1/openvino --photos=photos/ --images=2000

The photos are taken in turn until there are so many. `engine` is the forward pass that training measures as the fastest for frozen
layers, `network` answers one prepared batch again and again, `decoding` reads, decodes and resizes without an answer, `both` is
what `predict --out` does, without writing. Where cores are few, both share them: `bound` is what is possible if neither waits, the
processor's time of the two added up over the cores. Prints a row of a table.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measuring import TEST_DATA, Options, Row, environment
from tl_keras.config import DEFAULT_MAX_PIXELS
from tl_keras.data.base import in_parallel
from tl_keras.data.image_files import list_images
from tl_keras.serving.image_inputs import ImageInput, encoded_images
from tl_keras.serving.model_file import load_model
from tl_keras.serving.predictor import load_predictor, predicted_rows
from tl_keras.training.forward import fastest_forward

_BATCH, _IMAGES = 32, 800


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Returns the seconds that work took, and those of the processor."""
    began, computed = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - computed


def measure(options: Options) -> list[Row]:
    """Returns the ratio of photos a second, `predict` to the fastest forward pass of the same network."""
    run, flowers = options.folder / "bulk", TEST_DATA / "flowers5"
    how = ["--method=feature_extraction", "--epochs=3", "--export=none", "--noreport"]
    command = [sys.executable, "-m", "tl_keras.train", f"--data={flowers}", f"--workdir={run}", *how]
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment())
    taken = [figures(run, flowers, images=_IMAGES)[1] for _ in range(options.repetitions)]
    answered, computed = ([_IMAGES / each[work][0] for each in taken] for work in ("both", "engine"))
    return [Row("MobileNetV2 224 px: predict, against the forward engine alone", answered, computed, "photos/s", 0.9)]


def figures(model: pathlib.Path, photos: pathlib.Path, *, images: int) -> tuple[str, dict[str, tuple[float, float]]]:
    """Returns the engine's name, and the seconds of each kind of work with those of the processor.

    Args:
      model: A run directory, or an export in one.
      photos: Directory with photos.
      images: Number of photos to answer.
    """
    predictor = load_predictor(model)
    files, _ = list_images(photos)
    inputs = [ImageInput(files[number % len(files)]) for number in range(images)]
    decoded = in_parallel(encoded_images(inputs), predictor.prepare).batch(_BATCH).prefetch(2)
    prepared = next(iter(decoded))
    predictor.answer(prepared)

    file = next(path / "model.keras" for path in (model, *model.parents) if (path / "model.keras").is_file())
    forward = fastest_forward(load_model(file).model, [np.asarray(prepared)], images=10**6)

    def engine() -> None:
        for _ in range(0, len(inputs), _BATCH):
            forward.call([prepared.numpy()])

    def network() -> None:
        for _ in range(0, len(inputs), _BATCH):
            predictor.answer(prepared)

    def decoding() -> None:
        for _ in decoded:
            pass

    def both() -> None:
        rows = predicted_rows(predictor, inputs, top_k=1, batch_size=_BATCH, max_pixels=DEFAULT_MAX_PIXELS)
        assert sum("error" not in row for row in rows) == len(inputs)

    return forward.engine, {work.__name__: timed(work) for work in (engine, network, decoding, both)}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--photos", type=pathlib.Path, required=True)
    parser.add_argument("--images", type=int, default=2000)
    options = parser.parse_args()
    engine, found = figures(options.model, options.photos, images=options.images)
    count, cores = options.images, len(os.sched_getaffinity(0))
    shared = (found["network"][1] + found["decoding"][1]) / cores
    bound = count / max(shared, found["network"][0], found["decoding"][0])
    rates = {name: count / seconds for name, (seconds, _) in found.items()}
    cells = {
        "photos": f"{count:,}",
        "cores": cores,
        **{f"{name}, images per second": f"{rate:.0f}" for name, rate in rates.items()},
        "bound": f"{bound:.0f}",
        "engine": engine,
        "of the engine": f"{rates['both'] / rates['engine']:.2f}",
        "of the network alone": f"{rates['both'] / rates['network']:.2f}",
        "of the bound": f"{rates['both'] / bound:.2f}",
        "processor ms an image": ", ".join(f"{name} {1e3 * used / count:.1f}" for name, (_, used) in found.items()),
        "load": f"{os.getloadavg()[0]:.1f}",
    }
    for line in (cells, ["---"] * len(cells), cells.values()):
        print("|", " | ".join(map(str, line)), "|")


if __name__ == "__main__":
    main()
