"""Labelled image sets for benchmarks, made from the test data: near the teacher's task, and far from it.

    python -m benchmarks.sets FOLDER

leaves FOLDER/NAME/{train,test}/CLASS/*.png for each name in `SETS`. The test data are found through TL_KERAS_TEST_DATA,
or in ../shared/data. Everything follows from seed 0.
"""

from __future__ import annotations

import csv
import io
import pathlib
import sys
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.measuring import TEST_DATA

# (split, class, image): what a set is made of.
Example = tuple[str, str, Image.Image]


def flowers() -> Iterator[Example]:
    """Photos of five flowers, 80 to train and 30 to test of each: a task near ImageNet's."""
    for path in sorted((TEST_DATA / "flowers5").glob("*/*/*.jpg")):
        yield path.parts[-3], path.parts[-2], Image.open(path).convert("RGB")


def few_grey_flowers() -> Iterator[Example]:
    """The same without colour, and with ten photos of each to train."""
    trained: dict[str, int] = {}
    for split, name, image in flowers():
        trained[name] = trained.get(name, 0) + (split == "train")
        if split == "test" or trained[name] <= 10:
            yield split, name, image.convert("L").convert("RGB")


def elongated_flowers() -> Iterator[Example]:
    """Photos of flowers at a random end of a 3:1 strip, the rest of which is a blurred continuation."""
    random = np.random.default_rng(0)
    for split, name, image in flowers():
        square = image.resize((240, 240))
        strip = square.resize((3, 3)).resize((720, 240))
        strip.paste(square, (int(random.integers(0, 480)), 0))
        yield split, name, strip


def objects(trained: int = 100) -> Iterator[Example]:
    """CIFAR-10: 100 images of 32 pixels per class to train, 100 to test."""
    import tensorflow as tf

    names = (TEST_DATA / "cifar10" / "labels.txt").read_text().split()
    features = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    for split in ("train", "test"):
        left = dict.fromkeys(range(10), trained if split == "train" else 100)
        for record in tf.data.TFRecordDataset(str(TEST_DATA / "cifar10" / f"{split}.tfrecord")).as_numpy_iterator():
            example = tf.io.parse_single_example(record, features)
            label = int(example["label"])
            if left[label]:
                left[label] -= 1
                yield split, names[label], Image.open(io.BytesIO(example["image"].numpy())).convert("RGB")


def handwriting(trained: int = 50) -> Iterator[Example]:
    """MNIST: 50 digits a class to train, 100 to test; greyscale and unlike any photo."""
    with np.load(TEST_DATA / "mnist.npz") as arrays:
        for split, count in (("train", trained), ("test", 100)):
            images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
            for label in range(10):
                for position in np.flatnonzero(labels == label)[:count]:
                    yield split, str(label), Image.fromarray(images[position]).convert("RGB")


def more_objects() -> Iterator[Example]:
    """The objects with 200 images of each class to train."""
    return objects(trained=200)


def more_handwriting() -> Iterator[Example]:
    """The digits with 200 images of each class to train."""
    return handwriting(trained=200)


def textures() -> Iterator[Example]:
    """Patches of 40 photos, turned at random; which photo is it? The left half trains (12 patches), the right tests (8)."""
    random = np.random.default_rng(0)
    for path in sorted((TEST_DATA / "imagenet_samples").glob("*.JPEG"))[::5]:
        photo = Image.open(path).convert("RGB").resize((384, 384))
        for split, left, count in (("train", 0, 12), ("test", 192, 8)):
            for _ in range(count):
                x, y = left + int(random.integers(0, 192 - 80)), int(random.integers(0, 384 - 80))
                patch = photo.crop((x, y, x + 80, y + 80)).rotate(90 * int(random.integers(4)))
                yield split, path.stem.partition("_")[0], patch


def views_from_above() -> Iterator[Example]:
    """Patches of 20 photos seen at any angle and from a distance: small, without an upright, as satellite views are."""
    random = np.random.default_rng(1)
    for path in sorted((TEST_DATA / "imagenet_samples").glob("*.JPEG"))[2::10]:
        photo = Image.open(path).convert("RGB").resize((256, 256))
        for split, count in (("train", 15), ("test", 15)):
            for _ in range(count):
                angle, zoom = float(random.uniform(0, 360)), float(random.uniform(0.5, 0.9))
                x, y = random.uniform(-40, 40, 2)
                turned = photo.rotate(angle, translate=(int(x), int(y)), resample=Image.Resampling.BILINEAR)
                margin = int(128 * (1 - zoom))
                view = turned.crop((margin, margin, 256 - margin, 256 - margin)).resize((64, 64))
                yield split, path.stem.partition("_")[0], view


def blood_cells() -> Iterator[Example]:
    """Micrographs with few, some or many red cells: what counts is all over the image; every third is for the test."""
    with (TEST_DATA / "blood_cells" / "counts.csv").open() as file:
        for position, row in enumerate(csv.DictReader(file)):
            cells = int(row["red_cells"])
            name = "few" if cells < 10 else "many" if cells > 12 else "some"
            yield _thirds(position), name, Image.open(TEST_DATA / "blood_cells" / row["path"]).convert("RGB")


def board_batches() -> Iterator[Example]:
    """Halves of printed boards, by the batch that they come from: black and white, fine lines; every third is for the test."""
    with (TEST_DATA / "deep_pcb" / "labels.csv").open() as file:
        for position, row in enumerate(csv.DictReader(file)):
            board = Image.open(TEST_DATA / "deep_pcb" / row["path"]).convert("RGB")
            if row["group"] != "group12000":  # of three boards
                yield (
                    _thirds(position),
                    row["group"],
                    board.crop((0, 0, 640, 320) if position % 2 else (0, 320, 640, 640)),
                )


def _thirds(position: int) -> str:
    return "train" if position % 3 else "test"


def gestures() -> Iterator[Example]:
    """Drawn hands that hold up none to five fingers, left and right, turned at random: 20 to train, 40 to test of each."""
    random = np.random.default_rng(2)
    for split, count in (("train", 20), ("test", 40)):
        for fingers in range(6):
            for _ in range(count):
                yield split, f"{fingers}_fingers", _hand(fingers, random)


def _hand(fingers: int, random: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (240, 240), tuple(int(part) for part in random.integers(120, 256, 3)))
    skin = tuple(int(part * random.uniform(0.45, 1.0)) for part in (235, 190, 160))
    pencil, middle = ImageDraw.Draw(image), (120 + random.uniform(-15, 15), 150 + random.uniform(-10, 10))
    radius, tilt = random.uniform(28, 38), random.uniform(-8, 8)
    pencil.ellipse([middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius], fill=skin)
    pencil.rectangle([middle[0] - radius * 0.7, middle[1], middle[0] + radius * 0.7, 240], fill=skin)
    # The thumb is the last to be held up.
    for finger in range(5):
        angle = np.radians((-60, -22, -5, 12, 30)[(finger + 1) % 5] + tilt + random.uniform(-4, 4))
        reach = radius * (random.uniform(2.0, 2.5) if finger < fingers else random.uniform(1.0, 1.2))
        tip = (middle[0] + reach * np.sin(angle), middle[1] - reach * np.cos(angle))
        width = radius * random.uniform(0.3, 0.38)
        pencil.line([middle, tip], fill=skin, width=int(width))
        pencil.ellipse([tip[0] - width / 2, tip[1] - width / 2, tip[0] + width / 2, tip[1] + width / 2], fill=skin)
    if random.integers(2):
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image.rotate(random.uniform(-40, 40), resample=Image.Resampling.BILINEAR, fillcolor=image.getpixel((2, 2)))


# Length by width, number of lobes, their depth, number of teeth, their depth.
_LEAVES = {
    "oval": (1.6, 0, 0.0, 0, 0.0),
    "toothed_oval": (1.6, 0, 0.0, 28, 0.05),
    "lance": (3.0, 0, 0.0, 0, 0.0),
    "toothed_lance": (3.0, 0, 0.0, 34, 0.06),
    "three_lobes": (1.1, 3, 0.25, 0, 0.0),
    "five_lobes": (1.1, 5, 0.25, 0, 0.0),
    "toothed_five_lobes": (1.1, 5, 0.25, 36, 0.05),
    "round": (1.05, 0, 0.0, 0, 0.0),
}


def leaves() -> Iterator[Example]:
    """Drawn leaves of eight outlines, lying at any angle: 16 to train and 40 to test of each."""
    random = np.random.default_rng(3)
    for split, count in (("train", 16), ("test", 40)):
        for name, outline in _LEAVES.items():
            for _ in range(count):
                yield split, name, _leaf(*outline, random)


def _leaf(length: float, lobes: int, deep: float, teeth: int, sharp: float, random: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (240, 240), tuple(int(part) for part in random.integers(150, 256, 3)))
    angle = np.linspace(0, 2 * np.pi, 720)
    radius = 1 + deep * random.uniform(0.7, 1.3) * np.cos(lobes * angle) * (lobes > 0)
    radius += sharp * random.uniform(0.7, 1.3) * ((teeth * angle / (2 * np.pi)) % 1) + 0.02 * np.cos(
        2 * angle + random.uniform(0, 6)
    )
    size, wide = random.uniform(70, 100), np.sqrt(length * random.uniform(0.85, 1.15))
    x, y = size / max(wide, 1.1) * wide * radius * np.cos(angle), size / max(wide, 1.1) / wide * radius * np.sin(angle)
    turn = random.uniform(0, 2 * np.pi)
    middle = 120 + random.uniform(-10, 10, 2)
    outline = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1) + middle
    green = tuple(int(part) for part in random.uniform((40, 80, 20), (140, 170, 70)))
    pencil = ImageDraw.Draw(image)
    pencil.polygon([tuple(point) for point in outline], fill=green)
    pencil.line(
        [tuple(middle), tuple(outline[0]), tuple(outline[360])], fill=tuple(part // 2 for part in green), width=2
    )
    return image


SETS: dict[str, Callable[[], Iterator[Example]]] = {
    make.__name__: make
    for make in (
        *(flowers, few_grey_flowers, elongated_flowers, objects, handwriting, textures, views_from_above),
        *(blood_cells, board_batches, gestures, leaves),
    )
}

# Sets that are asked for by name, with more images than the eleven.
LARGER_SETS: dict[str, Callable[[], Iterator[Example]]] = {
    make.__name__: make for make in (more_objects, more_handwriting)
}


def write_set(name: str, folder: pathlib.Path) -> pathlib.Path:
    """Writes one set to FOLDER/NAME, unless it is there, and returns that path."""
    path = folder / name
    if path.is_dir():
        return path
    unfinished = path.with_name(f".{name}")
    for position, (split, label, image) in enumerate((SETS | LARGER_SETS)[name]()):
        place = unfinished / split / label
        place.mkdir(parents=True, exist_ok=True)
        image.save(place / f"{position:05}.png")
    unfinished.rename(path)
    return path


if __name__ == "__main__":
    for set_name in SETS:
        print(write_set(set_name, pathlib.Path(sys.argv[1])))
