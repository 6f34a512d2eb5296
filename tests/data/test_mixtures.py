"""Tests of tl_keras.data.mixtures."""

import numpy as np
import pytest
from PIL import Image

from tl_keras.data.arrays import ArraySource
from tl_keras.data.inspection import AS_USUAL, inspect_source
from tl_keras.data.mixtures import number_of_mixtures, write_mixtures
from tl_keras.errors import WorkdirError

RED, BLUE = (200, 20, 20), (20, 20, 200)


@pytest.fixture(scope="module")
def colours():
    """A source of red and blue images of 24 pixels, and its inspection."""
    pixels = np.stack([np.full((24, 24, 3), RED if number < 4 else BLUE, np.uint8) for number in range(8)])
    source = ArraySource(pixels, [0] * 4 + [1] * 4)
    return source, inspect_source(source)


def mixed(colours, cache, *, indices=range(8), side=16, seed=0):
    source, inspection = colours
    return write_mixtures(
        source, inspection, np.array(indices), AS_USUAL, side=side, min_area=0.5, seed=seed, cache=cache
    )


def pixels_of(folder):
    return [np.asarray(Image.open(file)) for file in sorted(folder.iterdir())]


def test_every_mixture_lies_between_two_images(colours, tmp_path):
    images = pixels_of(mixed(colours, tmp_path))
    assert len(images) == number_of_mixtures(8) == 32
    parts = []
    for image in images:
        assert image.shape == (16, 16, 3)
        assert np.ptp(image.reshape(-1, 3), axis=0).max() <= 2  # of one colour each, as their images are
        red, _, blue = image.reshape(-1, 3).mean(axis=0)
        assert red + blue == pytest.approx(220, abs=4)
        parts.append((red - 20) / 180)
    assert min(parts) < 0.1 < 0.25 < np.mean(parts) < 0.75 < 0.9 < max(parts)
    assert np.std(parts) > 0.2


def test_images_that_are_not_named_are_in_no_mixture(colours, tmp_path):
    for image in pixels_of(mixed(colours, tmp_path, indices=range(4))):
        np.testing.assert_allclose(image.reshape(-1, 3).mean(axis=0), RED, atol=3)


def test_they_are_made_once_and_follow_from_images_and_seed(colours, tmp_path):
    folder = mixed(colours, tmp_path / "a")
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert mixed(colours, tmp_path / "a") == folder
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    again = mixed(colours, tmp_path / "b")
    assert [file.read_bytes() for file in sorted(again.iterdir())] == [
        file.read_bytes() for file in sorted(folder.iterdir())
    ]
    others = {mixed(colours, tmp_path / "a", seed=1), mixed(colours, tmp_path / "a", indices=range(6))}
    assert len({folder, *others}) == 3
    assert not list((tmp_path / "a" / "mixtures").glob(".*"))


def test_they_are_no_larger_than_the_images(colours, tmp_path):
    assert {image.shape for image in pixels_of(mixed(colours, tmp_path, side=64))} == {(24, 24, 3)}


@pytest.mark.parametrize(("images", "expected"), [(1, 4), (170, 680), (1000, 1000), (1999, 1), (2000, 0), (50_000, 0)])
def test_few_images_get_more_mixtures(images, expected):
    assert number_of_mixtures(images) == expected


def test_a_cache_that_cannot_be_written_is_one_line(colours, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WorkdirError, match=r"mixtures: expected to write .* Name another --cache_dir") as raised:
        mixed(colours, tmp_path / "file")
    assert "\n" not in str(raised.value)
