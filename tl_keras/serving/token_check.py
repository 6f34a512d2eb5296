"""Refuses requests that do not show the server's secret."""

from __future__ import annotations

import hmac

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_OPEN = ("/", "/healthz")


class RequireToken:
    """Refuses requests that do not show the secret, but for `/healthz` and the page `/`, which asks its reader for it."""

    def __init__(self, app: ASGIApp, *, token: str):
        self._app, self._expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what shows the secret."""
        if scope["type"] == "http" and scope["path"] not in _OPEN:
            shown = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(shown, self._expected):
                refused = JSONResponse(
                    {
                        "error": "request: expected the header Authorization: Bearer TOKEN. Received: none, or another token."
                    },
                    status_code=401,
                    headers={"WWW-Authenticate": "Bearer"},
                )
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)
