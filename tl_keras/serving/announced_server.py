"""Says that a server answers once it does: until then, as long as the fastest batch is looked for, it refuses connections."""

from __future__ import annotations

import socket

import uvicorn

from tl_keras.console import say


class AnnouncedServer(uvicorn.Server):
    """A server that says its address when connections are accepted.

    Args:
      config: Configuration of uvicorn.
      address: Address for people.
    """

    def __init__(self, config: uvicorn.Config, address: str):
        super().__init__(config)
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts connections, and says so."""
        await super().startup(sockets)
        if self.started:
            say(f"{self._address} answers; Ctrl-C stops it")
