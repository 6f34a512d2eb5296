"""Tests of tl_keras.training.versions."""

import sys

import keras

from tl_keras.training.versions import versions


def test_the_versions_are_those_that_are_imported():
    found = versions()
    assert list(found) == ["tl_keras", "keras", "tensorflow", "numpy", "python"]
    assert found["keras"] == keras.__version__
    assert found["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert all(found.values())
