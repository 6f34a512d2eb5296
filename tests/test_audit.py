"""Tests of the command `audit`."""

import json
import os
import subprocess
import sys

import pytest

from tl_keras.audit import as_text
from tl_keras.config import quick_start
from tl_keras.training.loop import train_and_evaluate

ROW = {"kind": "attack", "name": "FGSM", "strength": 0.5, "setting": "", "accuracy": 0.4, "interval": [0.2, 0.6]}
MATCH = {"blocks": 4, "depth": "block 3", "is_cut": True, "strength": 4.0, "taken": 0.7, "interval": [0.5, 0.8]}
AUDIT = {
    "split": "test",
    "images": 20,
    "accuracy": 0.9,
    "interval": [0.7, 0.97],
    "conditions": [{**ROW, "unchanged": 0.45, "teacher_unchanged": None}],
    "mimicry": [{**MATCH, "accuracy": 0.1, "teacher_taken": 0.3}],
    "chance": 0.05,
    "remark": "No figures of the teacher: it was left out.",
    "advice": "Do this.",
}


def run(*arguments, **environment):
    command = [sys.executable, "-m", "tl_keras.audit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_the_table_has_a_row_for_each_figure_and_the_advice_last():
    lines = [" ".join(line.split()) for line in as_text(AUDIT).splitlines()]
    assert lines[0] == "20 test images, accuracy 0.900 (0.700 to 0.970)"
    assert "FGSM 0.5 0.400 (0.200 to 0.600) 0.450 -" in lines
    assert "block 3 (cut) 4 0.700 (0.500 to 0.800) 0.100 0.300" in lines
    assert lines[-2:] == [AUDIT["remark"], AUDIT["advice"]]


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
