"""Tests of tl_keras.tpu_smoke: the real command, rehearsed on the CPU."""

import importlib.util
import subprocess
import sys

import pytest
from forked_commands import run_command
from golden_results import golden_result

from tl_keras.tpu_smoke import report

needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install 'tl_keras[jax]'"
)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["cpu", pytest.param("jax", marks=needs_jax)])
def test_five_steps_are_tried_and_nothing_is_left_behind(tmp_path, monkeypatch, strategy):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    command = [sys.executable, "-m", "tl_keras.tpu_smoke", f"--strategy={strategy}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    (losses,) = [line for line in lines if line.startswith("loss by step:")]
    assert len(losses.split(":")[1].split()) == 5
    assert losses.endswith("it falls")
    assert lines[-1] == "all is well"
    assert not list(tmp_path.glob("tl_keras*"))


def test_a_loss_that_rises_is_not_well():
    text, well = report(golden_result(), [1.0, 2.0])
    assert not well
    assert "IT DOES NOT FALL" in text


@pytest.mark.long
def test_without_a_tpu_one_line_says_what_to_do():
    done = run_command("tpu_smoke")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: strategy: expected a TPU")
