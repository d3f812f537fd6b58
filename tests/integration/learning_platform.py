"""A learning platform over HTTP that keeps what it is sent, and answers as told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.guest_server import GuestServer
from sandbox.ports import listen_on
from tests.eventually import eventually

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Platform:
    """A learning platform that keeps what it is sent, and answers as told."""

    status: int = 204
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def take(self, request: Request) -> Response:
        self.came.append((dict(request.headers), await request.body()))
        return Response(status_code=self.status)


@asynccontextmanager
async def listening() -> AsyncIterator[Platform]:
    """The platform at work."""
    built, listener = Platform(), listen_on()
    built.url = f"http://127.0.0.1:{listener.getsockname()[1]}/enrollments"
    application = Starlette(routes=[Route("/enrollments", built.take, methods=["POST"])])
    server = GuestServer(uvicorn.Config(application, log_config=None, access_log=False))
    task = asyncio.create_task(server.serve(sockets=[listener]))

    async def started() -> bool:
        return server.started

    await eventually(started)
    yield built
    server.stop()
    await task
