"""Tests of tl_keras.advice.thumbnails: made once, and the same without a cache."""

import numpy as np
import pytest
from PIL import Image

from tl_keras.advice.thumbnails import Thumbnails, thumbnails
from tl_keras.config import TransferConfig
from tl_keras.data.folder import FolderSource
from tl_keras.data.inspection import inspect_source


def test_they_are_made_once_and_are_the_same_where_the_cache_has_no_room(tmp_path):
    for number in range(5):
        path = tmp_path / "photos" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(np.full_like(pixels, 9) if number == 4 else pixels).save(path)
    source, indices = FolderSource(str(tmp_path / "photos")), np.arange(5)
    inspection, config = inspect_source(source), TransferConfig()
    config.cache.folder = str(tmp_path / "cache")
    made = thumbnails(source, inspection, indices, config)
    for path in (tmp_path / "photos").rglob("4.png"):
        path.unlink()
    again = thumbnails(source, inspection, indices, config)
    assert isinstance(made, Thumbnails) and len(again) == 5
    np.testing.assert_array_equal(made[indices], again[indices])
    uniform = source.ids.index("class0/4.png")
    assert np.linalg.norm(made[indices], axis=1) == pytest.approx((indices != uniform).astype(float), abs=1e-3)
    config.cache.folder, config.cache.limit_gib = str(tmp_path / "other"), 1e-9
    without = np.delete(indices, uniform)
    np.testing.assert_allclose(thumbnails(source, inspection, without, config), made[without], atol=1e-6)
