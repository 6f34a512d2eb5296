"""Tests of tl_keras.serve, the command; `tests/serving/test_server.py` asks what it serves."""

import socket

import pytest
from forked_commands import run_command

pytest.importorskip("starlette", reason="pip install 'tl_keras[serve]'")


def test_a_port_that_is_in_use_is_refused_before_the_model_is_read():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for more in ([], ["--workers=2"]):
            process = run_command("serve", "--workdir=no_run", f"--port={port}", *more)
            assert process.returncode == 2
            last = process.stderr.splitlines()[-1]
            assert last.startswith(
                f"error: port: expected a free port of 127.0.0.1. Received: {port} (Address already in use)"
            )
            assert "answers" not in process.stderr + process.stdout


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
