"""Tests of tl_keras.advice.image_problems: which suffixes are wrong, and whether sizes tell the classes."""

import os
import types

import numpy as np
import pytest
from PIL import Image

from tl_keras.advice.image_problems import _size_tells_class, _wrong_extensions
from tl_keras.data.arrays import ArraySource
from tl_keras.data.base import FileSource


@pytest.mark.parametrize(
    ("name", "kind", "named"),
    [
        ("a", "JPEG", False),
        ("a.jfif", "JPEG", False),
        ("a.JPG", "JPEG", False),
        ("a.heic", "JPEG", True),
        ("a.jpg", "PNG", True),
        ("a.jpg", "WEBP", True),
        ("a.png", "TIFF", True),
        ("a.bin", "PNG", False),
    ],
)
def test_a_suffix_is_wrong_only_where_it_names_another_kind(tmp_path, name, kind, named):
    Image.new("RGB", (8, 8)).save(tmp_path / name, kind)
    table = {"name": "t", "class_names": ("a",), "labels": np.array([0]), "declared_splits": np.array([""])}
    source = FileSource(paths=[os.fsencode(tmp_path / name)], ids=["an id"], **table)
    assert bool(_wrong_extensions(source, np.array([0])).rows) == named


@pytest.mark.parametrize("of_class", [True, False])
def test_the_size_of_a_camera_that_tells_its_own_photos_alone_is_no_leak(of_class):
    camera = np.repeat(np.arange(20), 20)  # each takes photos of one class
    source = ArraySource(np.zeros((400, 4, 4), np.uint8), camera % 2)
    for draw in range(4):
        of_camera = np.random.default_rng(draw).integers(200, 500, (2, 20))
        of_camera[0] += 300 * (np.arange(20) % 2) * of_class
        seen = types.SimpleNamespace(heights=of_camera[0, camera], widths=of_camera[1, camera])
        assert bool(_size_tells_class(source, seen, np.arange(400), camera, seed=0).rows) == of_class
