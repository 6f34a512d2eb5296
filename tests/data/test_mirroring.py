"""Tests of tl_keras.data.mirroring."""

import dataclasses

import numpy as np
import pytest

from tl_keras.data.arrays import ArraySource, digits_source
from tl_keras.data.mirroring import MirrorTest, measure_mirroring
from tl_keras.data.thumbnail_classifier import draw_thumbnails


@pytest.mark.parametrize("images", [60, 100, 500])
def test_digits_are_not_mirrored(images):
    source = digits_source()
    drawn = np.random.default_rng(0).permutation(len(source))[:images]
    found = measure_mirroring(draw_thumbnails(source, drawn, seed=0))
    assert found.images == min(images, 300)
    assert found.greyscale and found.conclusive and found.harmful
    assert not found.allowed
    assert found.mirrored < 0.5 < found.plain
    assert "not mirrored in training" in found.describe()


def coloured_blobs(*, count, left_right):
    """Two classes: a bright patch above or below, or, where it is asked for, left or right."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = random.integers(0, 60, (count, 32, 32, 3), np.uint8)
    for image, label in zip(images, labels, strict=True):
        half = np.s_[:, 16 * label : 16 * label + 16] if left_right else np.s_[16 * label : 16 * label + 16]
        image[half] += 120
    return ArraySource(images, labels)


@pytest.mark.parametrize("left_right", [False, True])
def test_what_differs_between_left_and_right_alone_is_not_mirrored(left_right):
    found = measure_mirroring(draw_thumbnails(coloured_blobs(count=60, left_right=left_right), np.arange(60), seed=0))
    assert found.plain == 1.0
    assert found.mirrored == (0.0 if left_right else 1.0)
    assert found.allowed is not left_right


def grey_noise(*, count):
    """Two classes that thumbnails cannot tell: noise of single pixels, whose mean over a thumbnail's pixel is the same."""
    random, labels = np.random.default_rng(0), np.arange(count) % 2
    noise = (
        random.normal(128, 20, (count, 64, 64, 1))
        + random.normal(0, 20, (count, 64, 64, 1)) * labels[:, None, None, None]
    )
    return ArraySource(np.repeat(noise.clip(0, 255).astype(np.uint8), 3, axis=-1), labels)


@pytest.mark.parametrize(("sees_sides", "allowed"), [(False, True), (True, False)])
def test_a_teacher_is_asked_where_thumbnails_cannot_tell(sees_sides, allowed):
    source, asked = grey_noise(count=200), []

    def features(indices):
        asked.append(indices)
        known = np.eye(2, dtype=np.float32)[source.labels[indices]]
        return np.stack([known, known[:, ::-1] if sees_sides else known])

    thumbnails = draw_thumbnails(source, np.arange(200), seed=0)
    assert not measure_mirroring(thumbnails).allowed
    found = measure_mirroring(thumbnails, features)
    assert (found.allowed, found.greyscale, found.plain) == (allowed, True, 1.0)
    assert np.array_equal(*asked, thumbnails.drawn[:120])
    assert "a linear classifier of the teacher's features is right on 100% of 120 images" in found.describe()


def test_where_thumbnails_tell_no_teacher_is_asked():
    thumbnails = draw_thumbnails(coloured_blobs(count=60, left_right=False), np.arange(60), seed=0)
    assert measure_mirroring(thumbnails, lambda indices: pytest.fail("asked")).allowed


def test_where_nothing_tells_greyscale_images_are_not_mirrored():
    thumbnails = draw_thumbnails(grey_noise(count=200), np.arange(200), seed=0)
    found = measure_mirroring(thumbnails, lambda indices: np.zeros((2, len(indices), 3), np.float32))
    assert not found.allowed
    assert found.describe() == (
        "greyscale images are not mirrored in training: the teacher's features cannot tell whether that changes what they show"
    )


NOTHING = MirrorTest(images=40, chance=0.5, plain=0.5, mirrored=0.5, broken=5, mended=5, greyscale=False)


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, True),  # a customary default for photos
        ({"greyscale": True}, False),  # writing is greyscale
        ({"greyscale": True, "plain": 0.9, "mirrored": 0.9}, True),
        ({"plain": 0.9, "mirrored": 0.6, "broken": 12, "mended": 0}, False),
        ({"plain": 0.9, "mirrored": 0.875, "broken": 2, "mended": 1}, True),
        ({"plain": 0.9, "mirrored": 0.85, "broken": 3, "mended": 1, "greyscale": True}, True),
        ({"plain": 0.9, "mirrored": 0.8, "broken": 4, "mended": 0, "greyscale": True}, False),
    ],
)
def test_the_rule(changes, allowed):
    assert dataclasses.replace(NOTHING, **changes).allowed is allowed
