"""Sets with planted groups: ten near-copies of each photo, by crops, small rotations and light, under names that tell or do not.

python -m benchmarks.planted_groups FOLDER

"""

from __future__ import annotations

import pathlib

import numpy as np
from PIL import Image, ImageEnhance

from benchmarks.measuring import TEST_DATA

COPIES = 10


def near_copy(photo: Image.Image, random: np.random.Generator) -> Image.Image:
    """Returns a photo as if taken a moment later: turned by up to 10 degrees, 70% to 90% of each side, in another light."""
    turned = photo.rotate(float(random.uniform(-10, 10)), Image.Resampling.BILINEAR)
    share = random.uniform(0.7, 0.9)
    width, height = int(photo.width * share), int(photo.height * share)
    left, top = (
        int(random.integers(0, size - part + 1)) for size, part in ((photo.width, width), (photo.height, height))
    )
    part = turned.crop((left, top, left + width, top + height)).resize((224, 224))
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        part = enhancer(part).enhance(float(random.uniform(0.75, 1.25)))
    return part


def plant(
    folder: pathlib.Path, *, objects_of_each_class: int, name: str = "object{object}_{copy:02}.jpg", seed: int = 0
) -> pathlib.Path:
    """Writes FOLDER/CLASS/*.jpg, near-copies of some flowers, and returns the folder.

    Args:
      folder: Folder to make.
      objects_of_each_class: Number of photos of each class that are copied.
      name: Name of each file, with `object`, `copy` or `random` in braces.
      seed: Seed of the choice and of the copies.
    """
    random, number = np.random.default_rng(seed), 0
    for place in sorted((TEST_DATA / "flowers5" / "train").iterdir()):
        (folder / place.name).mkdir(parents=True)
        for path in random.permutation(sorted(place.iterdir()))[:objects_of_each_class]:
            photo = Image.open(path).convert("RGB")
            for copy in range(COPIES):
                file = name.format(object=number, copy=copy, random=f"{random.integers(2**32):08x}")
                near_copy(photo, random).save(folder / place.name / file, quality=90)
            number += 1
    return folder
