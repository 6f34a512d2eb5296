"""Tests of tl_keras.serving.idle_timeout, in a server of its own with an application of three lines."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="pip install 'tl_keras[serve]'")
from tl_keras.serving.idle_timeout import ImpatientProtocol  # noqa: E402

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
SECONDS = 1


async def application(scope, receive, send):
    """Answers after longer than an idle connection lives."""
    await asyncio.sleep(1.5 * SECONDS)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def address():
    config = uvicorn.Config(
        application, port=0, http=ImpatientProtocol, timeout_keep_alive=SECONDS, lifespan="off", log_level="critical"
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()
        server.should_exit = True
        thread.join()


def seconds_until_closed(connection):
    began = time.perf_counter()
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(1000):
            pass
    return time.perf_counter() - began


def test_a_connection_without_a_request_is_closed(address):
    with socket.create_connection(address, timeout=10) as connection:
        assert 0.5 * SECONDS < seconds_until_closed(connection) < 5 * SECONDS


def test_a_request_that_never_ends_does_not_keep_it_open(address):
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(REQUEST[:-2])
        assert seconds_until_closed(connection) < 5 * SECONDS


def test_a_request_under_way_is_answered_and_the_connection_lives_on_for_the_next(address):
    with socket.create_connection(address, timeout=10) as connection:
        for _ in range(2):
            connection.sendall(REQUEST)
            answered = b""
            while not answered.endswith(b"\r\n\r\nok"):
                part = connection.recv(1000)
                assert part, "closed before the answer"
                answered += part
            assert answered.startswith(b"HTTP/1.1 200")
        assert seconds_until_closed(connection) < 5 * SECONDS


def test_headers_that_do_not_end_are_refused_before_they_fill_the_memory(address):
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000)
        answered = b""
        while part := connection.recv(1000):
            answered += part
    assert answered.startswith(b"HTTP/1.1 400")
