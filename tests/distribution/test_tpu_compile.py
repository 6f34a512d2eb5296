"""Tests of tl_keras.distribution.tpu_compile and libtpu: the compiler is real, the TPU is not there."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import keras
import pytest

from tl_keras.distribution.libtpu import CHIPS, chip_of, prepare_libtpu
from tl_keras.distribution.tpu_compile import CompiledStep, require_no_geometry
from tl_keras.errors import ConfigError, DependencyError

without_libtpu = importlib.util.find_spec("libtpu") is None or importlib.util.find_spec("jax") is None
needs_libtpu = pytest.mark.skipif(without_libtpu, reason="libtpu is not installed: pip install 'tl_keras[tpu-check]'")


on_both_backends = pytest.mark.parametrize("backend", ["jax", "tensorflow"])


def compiled(backend: str, topology: str, batch: int) -> dict:
    """Returns what `compile_small.py` prints."""
    script = pathlib.Path(__file__).with_name("compile_small.py")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    printed = subprocess.check_output([sys.executable, script, topology, str(batch)], text=True, env=environment)
    return json.loads(printed.splitlines()[-1])


@needs_libtpu
@pytest.mark.slow
@on_both_backends
@pytest.mark.parametrize("chip", ["v5e", "v6e"])
def test_a_step_over_four_chips_has_all_reduces_and_over_one_none(backend, chip):
    one, four = compiled(backend, f"{chip}:1x1", 32), compiled(backend, f"{chip}:2x2", 32)
    assert (four["backend"], one["chips"], four["chips"]) == (backend, 1, 4)
    assert one["all_reduces"] == 0
    assert four["all_reduces"] > 0
    assert 0 < four["flops"] < one["flops"]
    assert 0 < one["memory_bytes"] < 2**30


@needs_libtpu
@pytest.mark.slow
@on_both_backends
@pytest.mark.parametrize("chip", ["v5e", "v6e"])
def test_a_step_too_large_for_the_chip_is_refused_with_its_size(backend, chip):
    error = compiled(backend, f"{chip}:1x1", 2**25)["error"]
    assert error.startswith("DoesNotFitError: tpu_check: expected a step that fits")
    assert f" of {CHIPS[chip].memory_bytes / 2**30:.2f}G with" in error
    assert "\n" not in error


@needs_libtpu
@pytest.mark.slow
def test_a_batch_that_does_not_divide_by_the_chips_is_refused():
    assert "multiple of the 4 chips" in compiled("jax", "v5e:2x2", 30)["error"]


def test_rotation_inside_the_model_is_refused():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.RandomFlip(), keras.layers.RandomRotation(0.1)])
    with pytest.raises(ConfigError, match=r"Received: RandomRotation in the model"):
        require_no_geometry(model)


@pytest.mark.parametrize("topology", ["v9z:2x2", "v5e", "v5e:many"])
def test_an_unknown_topology_is_one_line(topology):
    with pytest.raises(ConfigError, match="such as v5e:2x2"):
        chip_of(topology)


def test_the_bound_is_that_of_what_takes_longer():
    step = CompiledStep(
        "jax", 1, 32, 0, flops=CHIPS["v5e"].flops, bytes_moved=2 * CHIPS["v5e"].bytes_per_second, all_reduces=0
    )
    assert step.least_seconds(CHIPS["v5e"]) == 2


def test_without_libtpu_the_line_to_run_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "libtpu", None)  # as where it is not installed
    with pytest.raises(DependencyError, match=r"pip install 'tl_keras\[tpu-check\]'"):
        prepare_libtpu()
