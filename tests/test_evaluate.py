"""Tests of tl_keras.evaluate, the command; its measures are those of `tests/experiments/test_measure.py`."""

import pytest
from forked_commands import run_command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model=run1"], "flags: expected --model=RUN_DIRECTORY and --data=SOURCE"),
        (["--data=digits"], "flags: expected --model=RUN_DIRECTORY and --data=SOURCE"),
        (["--model=nowhere", "--data=digits"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, said):
    process = run_command("evaluate", *arguments)
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.splitlines()[-1].startswith("error: ")
    assert said in process.stderr.splitlines()[-1]
    assert "Traceback" not in process.stderr
