"""Tests of tl_keras.distribution.hardware."""

import pytest
import tensorflow as tf

from tl_keras.distribution.hardware import resolve_hardware
from tl_keras.errors import DependencyError

without_gpu = pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="this machine has a GPU")


def test_the_cpu_is_named():
    hardware = resolve_hardware("cpu")
    assert (hardware.engine, hardware.device, hardware.replicas) == ("tensorflow", "cpu", 1)
    assert " x " in hardware.description


@without_gpu
def test_auto_falls_to_the_cpu_and_says_why():
    assert resolve_hardware("auto").reason == "TensorFlow sees no GPU"


@without_gpu
def test_a_gpu_that_is_not_there_is_refused_in_one_line():
    with pytest.raises(DependencyError, match="strategy: expected a GPU") as raised:
        resolve_hardware("gpu")
    assert "\n" not in str(raised.value)
