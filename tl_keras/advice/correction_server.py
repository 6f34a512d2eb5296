"""Serves the inspection's page on this machine alone, and writes the table that a person corrects there: `inspect --serve`."""

from __future__ import annotations

import http.server
import pathlib
import secrets
from http import HTTPStatus
from typing import Any

from tl_keras.console import say
from tl_keras.errors import ConfigError
from tl_keras.files import replacing

# More than the table of 50,000 images takes, each with a path of a thousand characters.
_MOST_BYTES = 64 * 2**20


class CorrectionServer(http.server.ThreadingHTTPServer):
    """Serves a page at an address that nobody can guess, to this machine.

    Args:
      page: The page, HTML.
      table: File that the corrected table is written to.
      port: Port on this machine; 0 for any free one.

    Raises:
      ConfigError: The port is taken.
    """

    def __init__(self, page: str, table: pathlib.Path, *, port: int = 0):
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"port: expected a free port. Received: {port}, which is taken. Use another --port."
            ) from error
        self.page = page.encode()
        self.table = table
        self.secret = secrets.token_urlsafe(16)

    @property
    def address(self) -> str:
        """Returns the address of the page."""
        return f"http://127.0.0.1:{self.server_port}/{self.secret}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: CorrectionServer

    def do_GET(self) -> None:
        """Answers with the page, at its own address alone."""
        if self.path != f"/{self.server.secret}/":
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._answer(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """Writes the table that the page sends; no other page knows where to."""
        length = self.headers.get("Content-Length", "")
        if self.path != f"/{self.server.secret}/labels.csv":
            self.send_error(HTTPStatus.NOT_FOUND)
        elif not length.isdecimal() or int(length) > _MOST_BYTES:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            sent = self.rfile.read(int(length))
            with replacing(self.server.table) as temporary:
                temporary.write_bytes(sent)
            say(f"wrote: {self.server.table}")
            self._answer(HTTPStatus.OK, str(self.server.table).encode(), "text/plain; charset=utf-8")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  # the name of the overridden method's
        """Keeps the terminal for what matters."""
