"""Tests of tl_keras.serving.worker_processes, with applications of a few lines in a process of their own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

pytest.importorskip("uvicorn", reason="pip install 'tl_keras[serve]'")

SCRIPT = """
import os, socket, sys
from tl_keras.errors import BackboneError
from tl_keras.serving.server_counters import ServerCounters
from tl_keras.serving.worker_processes import serve_in_processes

def make():
    counters = ServerCounters()

    async def application(scope, receive, send):
        if scope["path"] == "/metrics":
            said = counters.text()
        else:
            counters.requests.labels("200").inc()
            said = str(os.getpid()).encode()
        headers = [(b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    return application

def fail():
    raise BackboneError("model: expected one. Received: none.")

if __name__ == "__main__":
    made = {"make": make, "fail": fail}[sys.argv[1]]
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", int(sys.argv[2])))
    listening.set_inheritable(True)
    sys.exit(serve_in_processes(made, 2, listening, log_level="error", lifespan="off"))
"""


@pytest.fixture
def start(tmp_path):
    """A function that starts the script, and gives the process and the address."""
    (tmp_path / "script.py").write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with contextlib.ExitStack() as stack:

        def start(made):
            command = [sys.executable, str(tmp_path / "script.py"), made, str(port)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment))
            stack.callback(process.terminate)
            return process, f"http://127.0.0.1:{port}/"

        yield start


def ask(address):
    with urllib.request.urlopen(address, timeout=5) as answer:
        return answer.read().decode()


def test_processes_share_an_address_their_counters_are_added_up_and_one_that_dies_is_replaced(start):
    process, address = start("make")
    answered, asked, killed, deadline = set(), 0, 0, time.monotonic() + 30
    while len(answered) < 3 and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            answered.add(int(ask(address)))
            asked += 1
        if len(answered) == 2 and not killed:
            killed = min(answered)
            os.kill(killed, signal.SIGKILL)
        time.sleep(0.01)
    assert len(answered) == 3
    assert f'tl_keras_requests_total{{status="200"}} {asked}.0' in ask(f"{address}metrics")
    process.terminate()
    assert process.wait(10) == 0


def test_what_fails_in_each_process_ends_all_with_one_line(start):
    process, _ = start("fail")
    _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert said.splitlines() == ["error: model: expected one. Received: none."]
