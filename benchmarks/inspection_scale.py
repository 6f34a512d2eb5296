"""Processor time and memory of what `inspect` does besides decoding and the teacher, on as many images as are asked for.

    python -m benchmarks.inspection_scale 10000 100000

Each number has a process of its own. The thumbnails have the spectrum of photos and one in fifty is a copy of another, noisy; the
features are ten classes apart with noise, 1,280 numbers an image. Both are in files, as the cache has them. Prints a table; the
processor time is that of the process, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

_BLOCK = 2048
_SIDE, _FEATURES, _CLASSES = 32, 1280, 10
_COPIES = 50


class Rows:
    """A file of rows that are read and not mapped, so that they do not count as memory."""

    def __init__(self, path: pathlib.Path, dtype: str, columns: int):
        self._path, self._dtype, self._columns = path, np.dtype(dtype), columns
        self._size = self._dtype.itemsize * columns

    def __len__(self) -> int:
        return self._path.stat().st_size // self._size

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.empty((len(rows), self._columns), self._dtype)
        with self._path.open("rb") as file:
            for place, row in enumerate(np.asarray(rows).tolist()):
                file.seek(row * self._size)
                file.readinto(found[place])
        return found.astype(np.float32)


def write(folder: pathlib.Path, images: int) -> np.ndarray:
    """Writes thumbnails and features, and returns the labels, int64 (images,)."""
    random = np.random.default_rng(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(_SIDE) * _SIDE, np.fft.fftfreq(_SIDE) * _SIDE))
    spectrum = 1 / np.maximum(frequency, 1) ** 1.2
    spectrum[0, 0] = 0
    labels = random.integers(0, _CLASSES, images)
    means = random.normal(size=(_CLASSES, _FEATURES)).astype(np.float32)
    with (folder / "thumbnails").open("wb") as thumbnails, (folder / "features").open("wb") as features:
        for start in range(0, images, _BLOCK):
            count = min(_BLOCK, images - start)
            pictures = np.fft.ifft2(np.fft.fft2(random.normal(size=(count, _SIDE, _SIDE))) * spectrum).real.reshape(
                count, -1
            )
            copies = np.arange(1, count, _COPIES)
            pictures[copies] = pictures[copies - 1] * (1 + 0.05 * random.normal(size=(len(copies), _SIDE**2)))
            pictures -= pictures.mean(axis=1, keepdims=True)
            pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
            thumbnails.write(pictures.astype(np.float16).tobytes())
            noise = random.standard_normal((count, _FEATURES), np.float32)
            features.write((0.05 * means[labels[start : start + count]] + noise).tobytes())
    return labels


def measure(folder: pathlib.Path, labels: np.ndarray) -> None:
    """Prints the seconds of processor time of each part, and the largest memory."""
    from tl_keras.advice.suspects import far_away, label_suspects, members_of_each, near_copies
    from tl_keras.probes.transferability import linear_probe
    from tl_keras.probes.vectors import blocks
    from tl_keras.serving.outlier import fit_outlier_model

    thumbnails, features = (
        Rows(folder / "thumbnails", "float16", _SIDE**2),
        Rows(folder / "features", "float32", _FEATURES),
    )
    n, total = len(labels), 0.0

    def timed(name: str, part: Callable[[], Any]) -> Any:
        nonlocal total
        began = time.process_time()
        result = part()
        seconds = time.process_time() - began
        total += seconds
        print(f"  {name}: {seconds:.1f} s", flush=True)
        return result

    def outliers() -> int:
        known = features[np.sort(np.random.default_rng(0).permutation(n)[:10_000])]
        model = fit_outlier_model(known, known)
        return len(far_away(np.concatenate([model.score(block).numpy() for block in blocks(features)])))

    contents, comparable = np.arange(n).astype(str), np.ones(n, bool)
    groups = timed("near copies", lambda: near_copies(thumbnails, contents, comparable))
    probe = timed("labels", lambda: linear_probe(features, labels, classes=_CLASSES, groups=groups, seed=0))
    timed("suspects", lambda: label_suspects(probe))
    timed("outliers", outliers)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    found = sum(1 for _ in members_of_each(groups))
    print(
        f"{n:,} images: {total:.1f} s of processor time, {memory:.2f} GiB at most, {found:,} copies found", flush=True
    )


def main() -> None:
    """Measures each number of images in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=int, nargs="+")
    parser.add_argument("--folder", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.folder:
        labels = np.load(arguments.folder / "labels.npy")
        measure(arguments.folder, labels)
        return
    for images in arguments.images:
        with tempfile.TemporaryDirectory() as folder:
            np.save(pathlib.Path(folder, "labels.npy"), write(pathlib.Path(folder), images))
            command = [sys.executable, "-m", "benchmarks.inspection_scale", str(images), f"--folder={folder}"]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
