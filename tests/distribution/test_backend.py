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


@pytest.mark.parametrize(("strategy", "backend"), [("cpu", "tensorflow"), ("auto", "torch")])
def test_a_strategy_decides_and_auto_leaves_the_choice_to_the_environment(strategy, backend):
    code = (
        f"import os; from tl_keras.distribution.backend import choose_backend; choose_backend('{strategy}')\n"
        "print(os.environ['KERAS_BACKEND'])"
    )
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    assert subprocess.check_output([sys.executable, "-c", code], text=True, env=environment).strip() == backend
