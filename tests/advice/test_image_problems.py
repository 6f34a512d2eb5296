"""Tests of tl_keras.advice.image_problems: which suffixes are wrong."""

import os

import numpy as np
import pytest
from PIL import Image

from tl_keras.advice.image_problems import _wrong_extensions
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
