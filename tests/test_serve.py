"""Tests of tl_keras.serve, the command; `tests/serving/test_server.py` asks what it serves."""

import pytest
from forked_commands import run_command

pytest.importorskip("starlette", reason="pip install 'tl_keras[serve]'")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "flags: expected --workdir=RUN_DIRECTORY"),
        (["--workdir=run1", "--name=a/b"], "name: expected letters, digits"),
        (["--workdir=no_run"], "no_run"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, said):
    process = run_command("serve", *arguments)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: ")
    assert said in process.stderr.splitlines()[-1]
    assert "Traceback" not in process.stderr
