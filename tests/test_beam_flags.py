"""Tests of tl_keras.beam_flags, through a process that only reads its flags."""

import json
import subprocess
import sys

import pytest
from forked_commands import run_command

CODE = """
import importlib.util, json, sys
from tl_keras import beam_flags, command_line
beam_flags.define()
def main(rest):
    importlib.util.find_spec = lambda name: name in rest or None
    print(json.dumps(beam_flags.beam_options()))
    assert not {"tensorflow", "apache_beam"} & set(sys.modules)
command_line.run(main, usage="")
"""


def run(*arguments):
    return subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [([], None), (["--beam"], []), (["--beam", "--beam_pipeline_options=runner=X,y=1"], ["runner=X", "y=1"])],
)
def test_options_are_those_of_the_pipeline(arguments, found):
    done = run(*arguments, "apache_beam")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == found


def test_without_the_package_it_is_one_line():
    done = run("--beam")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "tl_keras[beam]" in done.stderr


def test_without_a_file_to_write_it_is_one_line():
    process = run_command("predict", "--model=run1", "--beam", "photo.jpg")
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: beam: expected")
