"""Tests of tl_keras.distribution.hardware."""

import dataclasses
import json

import pytest
import tensorflow as tf
from forked_commands import FORKED

from tl_keras.distribution.hardware import resolve_hardware, tpu_hint
from tl_keras.errors import ConfigError, DependencyError

without_gpu = pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="needs a machine without a GPU")


def resolved_in_a_fresh_process(strategy: str, **options: int) -> dict:
    """Returns the record: the devices of a process can be parted once only."""
    with FORKED.Pool(1) as pool:
        return pool.apply(record_of, (strategy,), options)


def record_of(strategy: str, **options: int) -> dict:
    return resolve_hardware(strategy, **options).to_json()


def test_the_cpu_is_named():
    hardware = resolve_hardware("cpu")
    assert (hardware.backend, hardware.device, hardware.replicas) == ("tensorflow", "cpu", 1)
    assert " x " in hardware.description


def test_the_record_is_json_and_cannot_be_changed():
    hardware = resolve_hardware("cpu")
    assert json.loads(json.dumps(hardware.to_json())) == hardware.to_json()
    assert hardware.to_json()["remainder"] == "a shorter step"
    with pytest.raises(dataclasses.FrozenInstanceError):
        hardware.replicas = 2


@without_gpu
def test_auto_falls_to_the_cpu_and_says_why():
    assert resolve_hardware("auto").reason == "TensorFlow sees no GPU"


def test_auto_starts_no_probe_without_a_hint(monkeypatch, tmp_path):
    marker = a_tensorflow_that_leaves_a_mark(tmp_path, monkeypatch)
    resolve_hardware("auto")
    assert not marker.exists()


def test_auto_with_a_hint_probes_and_says_why_there_is_no_tpu(monkeypatch, tmp_path):
    marker = a_tensorflow_that_leaves_a_mark(tmp_path, monkeypatch)
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5litepod-1")
    reason = resolve_hardware("auto").reason
    assert marker.exists()
    assert "TPU_ACCELERATOR_TYPE is set, but: strategy: expected a TPU" in reason


@pytest.mark.parametrize("name", ["TPU_NAME", "COLAB_TPU_ADDR", "TPU_ACCELERATOR_TYPE"])
def test_what_a_machine_with_a_tpu_sets_is_a_hint(monkeypatch, name):
    assert tpu_hint() == ""
    monkeypatch.setenv(name, "x")
    assert tpu_hint() == f"{name} is set"


@pytest.mark.parametrize(
    ("strategy", "message"),
    [("gpu", "strategy: expected a GPU"), ("mirrored", "--replicas=4"), ("tpu", "strategy: expected a TPU")],
)
@without_gpu
def test_what_was_asked_for_and_is_not_there_is_one_line(strategy, message):
    with pytest.raises(DependencyError, match=message) as raised:
        resolve_hardware(strategy)
    assert "\n" not in str(raised.value)


@without_gpu
def test_the_cpu_is_parted_among_replicas():
    record = resolved_in_a_fresh_process("mirrored", replicas=4)
    assert (record["strategy"], record["replicas"], record["device"]) == ("mirrored", 4, "cpu")
    assert record["devices"] == ["CPU:0", "CPU:1", "CPU:2", "CPU:3"]
    assert record["jit_compile"] == "off"


@without_gpu
def test_a_cpu_in_use_cannot_be_parted():
    tf.constant(1)
    with pytest.raises(ConfigError, match="Start a new process"):
        resolve_hardware("mirrored", replicas=3)


def test_replicas_without_a_strategy_that_has_any_are_refused():
    with pytest.raises(ConfigError, match=r"--strategy=mirrored"):
        resolve_hardware("cpu", replicas=2)


def test_a_batch_that_does_not_divide_is_refused_and_the_next_sizes_named():
    four = dataclasses.replace(resolve_hardware("cpu"), replicas=4)
    four.require_divisible(32)
    with pytest.raises(ConfigError, match="Use 28 or 32"):
        four.require_divisible(30)


def test_the_scaling_rule_is_offered_for_several_replicas_only():
    one = resolve_hardware("cpu")
    four = dataclasses.replace(one, replicas=4)
    assert one.scaling_rule(32, 1e-3) == ""
    assert "--batch_size=128" in four.scaling_rule(32, 1e-3)
    assert "--learning_rate=0.002" in four.scaling_rule(32, 1e-3)


def a_tensorflow_that_leaves_a_mark(folder, monkeypatch):
    (folder / "tensorflow.py").write_text(f"open({str(folder / 'mark')!r}, 'w')\nraise ImportError('a mark was left')")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder / "mark"
