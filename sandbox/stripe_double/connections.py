"""The open client connections, so that a fault can cut one in the middle of a request."""

import asyncio
from typing import Any

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol


class Connections:
    """Knows the transport of every open connection by the client's address."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """The HTTP protocol class that registers its connections here."""
        connections = self._open

        class RegisteredProtocol(H11Protocol):
            """HTTP/1.1 over a connection that can be cut from outside."""

            def connection_made(self, transport: Any) -> None:
                """Remember the connection."""
                super().connection_made(transport)
                if self.client:
                    connections[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                """Forget the connection."""
                if self.client:
                    connections.pop(self.client, None)
                super().connection_lost(exc)

        return RegisteredProtocol

    async def cut(self, request: Request) -> None:
        """Reset the connection a request came in on."""
        if request.client:
            transport = self._open.get((request.client.host, request.client.port))
            if transport:
                transport.abort()
                await asyncio.sleep(0)
