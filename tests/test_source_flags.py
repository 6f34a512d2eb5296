"""Tests of tl_keras.source_flags, through a process that only reads its flags."""

import json
import subprocess
import sys

import pytest

CODE = """
import json, sys
from tl_keras import command_line, source_flags
from tl_keras.config import flatten, to_json
source_flags.define("max_pixels")
def main(rest):
    chosen = flatten(to_json(source_flags.config_from_flags()))
    assert "tensorflow" not in sys.modules
    print(json.dumps(chosen))
command_line.run(main, usage="")
"""


def run(*arguments):
    return subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=False)


def test_flags_set_the_config_of_a_source():
    done = run("--data=digits", "--splits=fold_1=train", "--columns=image=id", "--max_pixels=5")
    assert done.returncode == 0, done.stderr
    chosen = json.loads(done.stdout)
    assert (chosen["data.source"], chosen["data.splits"]) == ("digits", "fold_1=train")
    assert (chosen["data.columns"], chosen["data.max_pixels"]) == ("image=id", 5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data=nowhere"], "nowhere"),
        (["--data=digits", "--seed=1"], "seed"),  # which the command did not ask for
        (["--data=digits", "--task=regresion"], "task: expected one of"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, said):
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
