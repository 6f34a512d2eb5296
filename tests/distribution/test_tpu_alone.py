"""Tests of tl_keras.distribution.tpu_alone, on a machine without a TPU."""

import importlib.metadata
import types

from tl_keras.distribution import tpu_alone


def installed(*names):
    """Returns what lists distributions of these names."""
    return lambda: [types.SimpleNamespace(metadata={"Name": name}) for name in names]


def test_two_tensorflows_beside_each_other_are_named(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "distributions", installed("tensorflow-tpu", "TensorFlow", "numpy"))
    assert tpu_alone.answer() == {"failure": "both", "detail": "tensorflow is installed too"}


def test_an_error_is_its_first_line():
    assert tpu_alone._first_line(ValueError("no TPU here.\nA long story")) == "no TPU here"
    assert tpu_alone._first_line(ValueError()) == "ValueError"
