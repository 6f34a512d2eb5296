"""Closes idle connections, so that no client holds one open by sending byte by byte, as uvicorn would allow for ever."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Largest size of a request's first line and headers; those of one more read of the socket are accepted.
_MOST_HEADER_BYTES = 64 * 1024


class ImpatientProtocol(HttpToolsProtocol):
    """Closes a connection that has had no request under way for `timeout_keep_alive` seconds, and refuses endless headers.

    uvicorn's own timer stops at the first byte that arrives, even of a header that is never completed or of a body that
    nobody asked for. The application bounds a request under way. The parser is compiled: that of pure Python takes longer than
    a small network.
    """

    _header_bytes = 0
    _in_header = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts to wait for the first request."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it to Transport
        self._deadline = self.loop.call_later(self.timeout_keep_alive, self._close_unless_under_way)

    def data_received(self, data: bytes) -> None:
        """Reads a part of a request, unless its headers do not end."""
        super().data_received(data)
        self._header_bytes += len(data)
        if self._in_header and self._header_bytes > _MOST_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("Headers are too long.")

    def on_message_begin(self) -> None:
        """Counts the bytes of the headers."""
        self._header_bytes, self._in_header = 0, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stops counting them."""
        self._in_header = False
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Starts to wait for the next request."""
        self._deadline.cancel()
        self._deadline = self.loop.call_later(self.timeout_keep_alive, self._close_unless_under_way)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops waiting."""
        self._deadline.cancel()
        super().connection_lost(exc)

    def _close_unless_under_way(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
