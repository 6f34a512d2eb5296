"""Makes images without labels of labelled ones: mixtures of two random crops, for which a teacher run can answer.

```
CACHE/mixtures/HASH/images/00000.jpg   the mixtures of some images, once
```
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib

import numpy as np
import tensorflow as tf

from tl_keras.config import DEFAULT_SIGNIFICANT_BITS
from tl_keras.data.augmentation import random_resized_crop
from tl_keras.data.base import RandomAccessSource, in_parallel
from tl_keras.data.decoding import decode_image
from tl_keras.data.inspection import Inspection, Reading
from tl_keras.data.progress_bar import progress_bar
from tl_keras.errors import WorkdirError
from tl_keras.files import made_once

# To be raised when mixtures are made in another way.
_FORMAT = 1
# Mixtures for each image, and images with and without labels up to which they are made: many images need no others.
_FOR_EACH, _MOST_IMAGES = 4, 2000
# A JPEG of this quality, with colours in full resolution, differs from its pixels by less than the views of an image do.
_JPEG_QUALITY = 95


def number_of_mixtures(images: int) -> int:
    """Returns how many mixtures are made of some training images: four of each, with them at most 2,000.

    Example:
      ```python
      from tl_keras.data.mixtures import number_of_mixtures

      print([number_of_mixtures(images) for images in (100, 1000, 3000)])  # [400, 1000, 0]
      ```
    """
    return max(0, min(_FOR_EACH * images, _MOST_IMAGES - images))


def write_mixtures(
    source: RandomAccessSource,
    inspection: Inspection,
    indices: np.ndarray,
    reading: Reading,
    *,
    side: int,
    min_area: float,
    seed: int,
    cache: pathlib.Path,
) -> pathlib.Path:
    """Writes mixtures of two images unless they are in the cache, and returns the folder with them.

    Both crops of a mixture are drawn at random, and so is the part of each, evenly from 0 to 1, as Beyer et al. 2022 mix the
    images that teacher and student see.

    Args:
      source: The images.
      inspection: Their inspection.
      indices: int64 (k,), those that are mixed; all can be decoded.
      reading: Settings for turning files into pixels.
      side: Largest height and width of a mixture in pixels; it is not larger than most images are.
      min_area: Smallest part of the area of an image that a crop keeps, above 0 and up to 1.
      seed: Seed of the run.
      cache: Directory of the cache.

    Raises:
      WorkdirError: The cache cannot be written.
    """
    indices = np.sort(indices)
    longer = np.maximum(inspection.heights, inspection.widths)[indices]
    side = int(min(side, np.median(longer)))
    made_of = [
        _FORMAT,
        number_of_mixtures(len(indices)),
        inspection.sha256[indices].tolist(),
        dataclasses.asdict(reading),
        side,
        min_area,
        seed,
    ]
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
    folder = cache / "mixtures" / digest
    if not folder.is_dir():
        try:
            with made_once(folder, prefix=".mixing_") as scratch:
                images = scratch / "images"
                images.mkdir()
                files = _mixtures(source, indices, reading, side=side, min_area=min_area, seed=seed)
                with progress_bar("mixing training images", images=number_of_mixtures(len(indices))) as bar:
                    for number, file in enumerate(files.as_numpy_iterator()):
                        (images / f"{number:05}.jpg").write_bytes(file)
                        bar.update(1)
        except OSError as error:
            raise WorkdirError(
                f"mixtures: expected to write mixtures of images into {folder.parent}. That failed ({error}). Name another "
                "--cache_dir, or use --config.distillation.mixtures=off."
            ) from error
    return folder / "images"


def _mixtures(
    source: RandomAccessSource, indices: np.ndarray, reading: Reading, *, side: int, min_area: float, seed: int
) -> tf.data.Dataset:
    """Returns a dataset of encoded mixtures, each of two images that may be the same one."""
    count = number_of_mixtures(len(indices))
    random = np.random.default_rng(seed)
    pairs, parts = random.choice(indices, (count, 2)), random.uniform(0, 1, count).astype(np.float32)

    def crop(index: tf.Tensor, crop_seed: tf.Tensor) -> tf.Tensor:
        image = decode_image(
            source.decodable({"image": source.read(index)}),
            background=reading.background,
            significant_bits=reading.significant_bits or DEFAULT_SIGNIFICANT_BITS,
        )
        return random_resized_crop(image, crop_seed, image_size=side, min_area=min_area, resize=_resized)

    def mixture(number: tf.Tensor, pair: tf.Tensor, part: tf.Tensor) -> tf.Tensor:
        seeds = tf.random.split(tf.random.fold_in(tf.constant([seed, 2], tf.int64), number), 2)
        mixed = part * crop(pair[0], seeds[0]) + (1 - part) * crop(pair[1], seeds[1])
        pixels = tf.cast(tf.round(tf.clip_by_value(mixed, 0, 255)), tf.uint8)
        return tf.io.encode_jpeg(pixels, quality=_JPEG_QUALITY, chroma_downsampling=False)

    return in_parallel(tf.data.Dataset.from_tensor_slices((np.arange(count), pairs, parts)), mixture)


def _resized(image: tf.Tensor, target: tuple[int, int]) -> tf.Tensor:
    return tf.image.resize(image, target, method="bicubic", antialias=True)
