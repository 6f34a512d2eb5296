"""(g) Peak memory of a training run on 15,000 digits in PNG files against 1,500, the embedded teacher, features cached."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
from PIL import Image

from benchmarks.measuring import TEST_DATA, Options, Row, environment, interleave

_IMAGES = (1_500, 15_000)


def measure(options: Options) -> list[Row]:
    """Returns the ratio of peak memory, tenfold to single."""
    folders = {count: _write_digits(options.folder / f"digits_{count}", count) for count in _IMAGES}
    turns = 0

    def peak(count: int) -> float:
        nonlocal turns
        turns += 1
        workdir = options.folder / f"memory_{turns}"
        command = [sys.executable, "-m", "tl_keras.train", f"--data={folders[count]}", f"--workdir={workdir}"]
        how = [
            "--weights=embedded",
            "--unfreeze=blocks:2",
            "--epochs=2",
            "--export=none",
            "--noreport",
            f"--cache_dir={workdir}_cache",
        ]
        process = subprocess.Popen([*command, *how], env=environment(), stdout=sys.stderr)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"expected exit status 0 from {command}. Received: {status}.")
        return usage.ru_maxrss / 2**10  # Linux counts KiB

    figures = interleave(
        {str(count): lambda count=count: peak(count) for count in _IMAGES}, repetitions=options.repetitions
    )
    single, tenfold = (figures[str(count)] for count in _IMAGES)
    return [
        Row(f"peak memory, {_IMAGES[1]:,} images against {_IMAGES[0]:,}", tenfold, single, "MiB", 1.1, at_most=True)
    ]


def _write_digits(folder: pathlib.Path, count: int) -> pathlib.Path:
    with np.load(TEST_DATA / "mnist.npz") as mnist:
        images, labels = mnist["x_train"][:count], mnist["y_train"][:count]
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number:05}.png")
    return folder
