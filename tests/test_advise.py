"""Tests of tl_keras.advise, the command; its advice is that of `tests/advice`."""

import subprocess
import sys

import pytest
from forked_commands import run_command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "flags: expected --data=SOURCE"),
        (["--data=digits", "--budget=soon"], "budget: expected a time"),
        (["--data=digits", "--candidates=MobileNetV9"], "MobileNetV9"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, said):
    process = run_command("advise", *arguments)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: ")
    assert said in process.stderr.splitlines()[-1]
    assert "Traceback" not in process.stderr


def test_a_misspelt_candidate_is_refused_before_tensorflow_is_imported():
    code = (
        "import runpy, sys\n"
        "sys.argv = ['x', '--data=digits', '--candidates=MobileNet:0.25,MobilNetV2']\n"
        "try: runpy.run_module('tl_keras.advise', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, {'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Received: MobilNetV2. Did you mean MobileNetV2" in done.stderr
    assert done.stdout == "2 set()\n"


@pytest.mark.slow
def test_the_command_to_run_is_printed_last():
    process = run_command("advise", "--data=digits", "--candidates=MobileNetV2:embedded", "--budget=1h")
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1].startswith("python -m tl_keras.train --workdir=")
    assert "- time: about" in process.stdout
