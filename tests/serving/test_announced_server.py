"""Tests of tl_keras.serving.announced_server: an address is said to answer once it does."""

import contextlib
import socket

import pytest

pytest.importorskip("starlette", reason="pip install 'tl_keras[serve]'")
import uvicorn
from starlette.applications import Starlette

from tl_keras.serving.announced_server import AnnouncedServer


@pytest.fixture
def bound():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def test_nothing_is_said_before_the_application_is_ready(bound, capfd):
    refused = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        with socket.socket() as client:
            refused.append(client.connect_ex(bound.getsockname()))
        refused.append(capfd.readouterr().err)
        server.should_exit = True
        yield

    server = AnnouncedServer(uvicorn.Config(Starlette(lifespan=lifespan), log_config=None), "http://here/")
    server.run([bound])
    assert refused[0] and "answers" not in refused[1]
    assert "http://here/ answers; Ctrl-C stops it" in capfd.readouterr().err


def test_nothing_is_said_where_the_application_fails(bound, capfd):
    @contextlib.asynccontextmanager
    async def lifespan(app):
        raise ValueError("no model")
        yield

    server = AnnouncedServer(uvicorn.Config(Starlette(lifespan=lifespan), log_config=None), "http://here/")
    with pytest.raises(SystemExit):
        server.run([bound])
    assert not server.started and "answers" not in capfd.readouterr().err
