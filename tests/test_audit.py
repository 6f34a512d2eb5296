"""Tests of the command `audit`."""

import json
import os
import subprocess
import sys

import pytest

from tl_keras.config import quick_start
from tl_keras.training.loop import train_and_evaluate


def run(*arguments, **environment):
    command = [sys.executable, "-m", "tl_keras.audit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.mark.parametrize(("arguments", "message"), [([], "--workdir"), (["--workdir=run", "--images=1"], "images")])
def test_a_mistake_is_one_line_and_status_2(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


@pytest.mark.slow
def test_it_leaves_audit_json_whatever_keras_runs_on_otherwise(tmp_path):
    config = quick_start()
    config.model.method, config.training.epochs, config.export = "replicate", 1, "none"
    train_and_evaluate(config, tmp_path / "run")
    done = run(f"--workdir={tmp_path / 'run'}", "--images=20", "--json", KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr
    audit = json.loads(done.stdout)
    assert audit == json.loads((tmp_path / "run" / "audit.json").read_text())
    assert audit["mimicry"] == []  # from random weights
    assert "started from random weights" in audit["remark"]
