"""Are planted groups found, and is the accuracy on new objects then told: `python -m benchmarks.planted_groups FOLDER`.

Ten near-copies of each of 60 photos of flowers, by crops, small rotations and light, once under names that tell the photo and once
under random ones. Prints what `python -m tl_keras.inspect` says of each set, and the accuracy of a linear classifier of all
near-copies on the photos that were not copied. FOLDER gets the sets.
"""

from __future__ import annotations

import argparse
import os
import pathlib

import numpy as np
from PIL import Image, ImageEnhance

from benchmarks.measuring import TEST_DATA
from benchmarks.views import accuracy

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


def plant(folder: pathlib.Path, *, name: str, objects_of_each_class: int = 12, seed: int = 0) -> list[str]:
    """Writes FOLDER/CLASS/*.jpg, near-copies of some flowers, and returns which photos were copied, as in flowers5.

    Args:
      folder: Folder to make.
      name: Name of each file, with `object`, `copy` or `random` in braces.
      objects_of_each_class: Number of photos of each class that are copied.
      seed: Seed of the choice and of the copies.
    """
    random, copied = np.random.default_rng(seed), []
    for place in sorted((TEST_DATA / "flowers5" / "train").iterdir()):
        (folder / place.name).mkdir(parents=True)
        for path in random.permutation(sorted(place.iterdir()))[:objects_of_each_class]:
            photo = Image.open(path).convert("RGB")
            for copy in range(COPIES):
                file = name.format(object=len(copied), copy=copy, random=f"{random.integers(2**32):08x}")
                near_copy(photo, random).save(folder / place.name / file, quality=90)
            copied.append(f"train/{place.name}/{path.name}")
    return copied


def main() -> None:
    """Plants both sets, inspects them and measures on the other photos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    os.environ["KERAS_HOME"] = str(TEST_DATA / "keras_home")
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    from tl_keras.advice.candidates import Candidate
    from tl_keras.advice.leak import find_leak
    from tl_keras.advice.teacher_scores import pooled_features
    from tl_keras.config import TransferConfig
    from tl_keras.data.inspection import inspect_source
    from tl_keras.data.sources import Source, open_source

    config = TransferConfig()
    config.cache.folder = str(folder / "cache")

    def featured(place: pathlib.Path) -> tuple[Source, np.ndarray, np.ndarray]:
        source = open_source(str(place))
        inspection, rows = inspect_source(source), np.arange(len(source))
        return source, inspection.sha256, pooled_features(Candidate("MobileNetV2"), config, source, inspection, rows)

    flowers, _, photos = featured(TEST_DATA / "flowers5")
    for name in ("object{object}_{copy:02}.jpg", "{random}.jpg"):
        place = folder / ("named" if "object" in name else "unnamed")
        copied = plant(place, name=name)
        source, contents, features = featured(place)
        rows = np.arange(len(source))
        leak = find_leak(source, rows, features, contents, near=rows, seed=0)
        print(leak.says if leak else "nothing found")
        others = ~np.isin(flowers.ids, copied)
        right = accuracy(features, source.labels, photos[others], flowers.labels[others])
        print(f"accuracy on {others.sum()} other photos: {right:.3f}", flush=True)


if __name__ == "__main__":
    main()
