"""Tests of tl_keras.distribution.backend."""

import os
import subprocess
import sys

import pytest

from tl_keras.distribution.backend import choose_backend, require_backend
from tl_keras.errors import ConfigError, DependencyError


def test_keras_that_is_imported_on_another_backend_is_refused():
    with pytest.raises(ConfigError, match="Set KERAS_BACKEND=jax before") as raised:
        require_backend("jax")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("strategy", ["auto", "cpu", "mirrored"])
def test_tensorflow_serves_every_other_strategy(strategy):
    assert require_backend(strategy) == "tensorflow"


def test_without_jax_the_line_to_run_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)  # as where it is not installed
    with pytest.raises(DependencyError, match=r"pip install 'tl_keras\[jax\]'"):
        choose_backend("jax")


@pytest.mark.parametrize(("strategy", "backend"), [("cpu", "tensorflow"), ("auto", "tensorflow")])
def test_a_strategy_decides_and_auto_leaves_the_choice_to_the_environment(strategy, backend):
    code = (
        f"import os; from tl_keras.distribution.backend import choose_backend; choose_backend('{strategy}')\n"
        "print(os.environ['KERAS_BACKEND'])"
    )
    environment = {**os.environ, "KERAS_BACKEND": "torch" if strategy == "cpu" else "tensorflow"}
    assert subprocess.check_output([sys.executable, "-c", code], text=True, env=environment).strip() == backend


@pytest.mark.parametrize(
    ("environment", "settings", "named"),
    [
        ("torch", "{}", "torch, which KERAS_BACKEND names"),
        ("nonsense", "{}", "nonsense, which KERAS_BACKEND names"),
        ("", '{"backend": "theano"}', "theano, which .*keras.json names"),
        ("jax", "{}", "pip install 'tl_keras\\[jax\\]'"),
        ("", '{"floatx": "float8"}', "floatx .*float8"),
        ("", '{"image_data_format": 3}', "image_data_format .*Received: 3"),
        ("", "[]", "JSON object"),
        ("", None, "Is a directory"),
    ],
)
def test_settings_that_keras_cannot_be_imported_with_are_one_line(monkeypatch, tmp_path, environment, settings, named):
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", environment)
    file = tmp_path / "keras.json"
    if settings is None:
        file.mkdir()
    else:
        file.write_text(settings)
    with pytest.raises((ConfigError, DependencyError), match=named) as raised:
        choose_backend("auto")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("settings", ['{"floatx":', '{"floatx": "float64", "image_data_format": "channels_first"}'])
def test_settings_that_keras_can_read_are_let_through(monkeypatch, tmp_path, settings):
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    (tmp_path / "keras.json").write_text(settings)
    choose_backend("auto")
