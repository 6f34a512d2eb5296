"""Tests of tl_keras.run_flags, through a process that stops before it trains."""

import json
import pathlib
import subprocess
import sys

import pytest

CODE = """
import json, sys
from tl_keras import command_line, run_flags
from tl_keras.config import to_json
holder = run_flags.define()
def main(rest):
    print(json.dumps(to_json(run_flags.config_from(holder))))
command_line.run(main, usage="", prepare=run_flags.prepare_arguments)
"""


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=False)


def config_of(*arguments: str) -> dict:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def recipe(tmp_path) -> pathlib.Path:
    path = tmp_path / "recipe.py"
    path.write_text(
        "from tl_keras.config import TrainingConfig, TransferConfig\n"
        "def get_config():\n"
        "    return TransferConfig(training=TrainingConfig(epochs=3, global_batch_size=16))\n"
    )
    return path


def test_a_flag_beats_the_recipe_which_beats_the_default(recipe):
    training = config_of(f"--config={recipe}", "--data=digits", "--batch_size=8")["training"]
    assert (training["epochs"], training["global_batch_size"], training["warmup_fraction"]) == (3, 8, 0.1)


def test_every_kind_of_value_is_read():
    values = config_of(
        "--data=digits",
        "--nocache",
        "--learning_rate=auto",
        "--config.data.horizontal_flip=False",
        "--config.model.dropout=0",
    )
    assert values["cache"]["enabled"] is False
    assert values["training"]["find_learning_rate"] is True
    assert values["data"]["horizontal_flip"] == "off"
    assert values["model"]["dropout"] == 0


def test_without_data_it_is_the_quick_start():
    assert config_of()["model"]["weights"] == "embedded"
    assert config_of("--data=digits")["model"]["weights"] == "imagenet"


def test_a_recipe_of_something_else_is_one_line(tmp_path):
    path = tmp_path / "recipe.py"
    path.write_text("def get_config():\n    return {'epochs': 3}\n")
    done = run(f"--config={path}", "--data=digits")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: config: expected a Python file whose get_config() returns a tl_keras.TransferConfig."
    )
    assert done.stderr.count("\n") == 1
