"""Closes idle connections, so that no client holds one open by sending byte by byte, as uvicorn would allow for ever."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


class ImpatientProtocol(H11Protocol):
    """Closes a connection that has had no request under way for `timeout_keep_alive` seconds.

    uvicorn's own timer stops at the first byte that arrives, even of a header that is never completed or of a body that
    nobody asked for. The application bounds a request under way.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts to wait for the first request."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it to Transport
        self._deadline = self.loop.call_later(self.timeout_keep_alive, self._close_unless_under_way)

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
