"""A connection that no client holds open by sending byte by byte, which uvicorn would let it do for ever."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


class ImpatientProtocol(H11Protocol):
    """Closes a connection where, `timeout_keep_alive` seconds after it was made or gave an answer, no request is under way.

    uvicorn's own timer stops at the first byte that comes, be it of a header that is never completed or of a body that
    was not asked for. A request under way is bounded by the application.
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
        """Waits no longer."""
        self._deadline.cancel()
        super().connection_lost(exc)

    def _close_unless_under_way(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
