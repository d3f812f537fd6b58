"""Starting and stopping the double: in the process of a test, or as a program of its own."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.guest_server import GuestServer
from sandbox.stripe_double import checkout
from sandbox.stripe_double.account import Account
from sandbox.stripe_double.api import Api
from sandbox.stripe_double.connections import Connections
from sandbox.stripe_double.control import Control
from sandbox.stripe_double.control_client import StripeDoubleControl
from sandbox.stripe_double.faults import Switchboard
from sandbox.stripe_double.hosted import HostedPages
from sandbox.stripe_double.idempotency import IdempotencyKeys
from sandbox.stripe_double.request_log import RequestLog
from sandbox.stripe_double.store import Store
from sandbox.stripe_double.webhook_endpoints import configure
from sandbox.stripe_double.webhooks import Courier, DeliverySettings

API_KEY = "sk_test_sandbox"
PUBLISHABLE_KEY = "pk_test_sandbox"
WEBHOOK_SECRET = "whsec_sandbox"  # noqa: S105 - the published default of a test double
STOP_SECONDS = 3.0


class _Application:
    """API requests take the short way; the few other pages go through the ordinary router."""

    def __init__(self, api: Api, pages: Starlette) -> None:
        self._api = api
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(("/_control/", "/c/", "/authorize/", "/receipts/")):
            await self._pages(scope, receive, send)
            return
        response: Response = await self._api(Request(scope, receive))
        await response(scope, receive, send)


@dataclass(frozen=True)
class StripeDouble:
    """A running double."""

    url: str
    control: StripeDoubleControl
    api_key: str
    publishable_key: str

    @staticmethod
    @asynccontextmanager
    async def serve(
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        data: str | None = None,
        api_key: str = API_KEY,
        publishable_key: str = PUBLISHABLE_KEY,
        webhook_url: str | None = None,
        webhook_secret: str = WEBHOOK_SECRET,
        public_url: str | None = None,
        deliveries: DeliverySettings | None = None,
    ) -> "AsyncIterator[StripeDouble]":
        """Run a double as long as the context is open.

        ``data`` is the file it remembers everything in, in memory when absent. ``public_url`` is the address its
        hosted pages are reached at, when that is not where it listens.
        """
        listener = _listen(host, port)
        bound = listener.getsockname()[1]
        url = f"http://{host}:{bound}"
        store = Store(data)
        account = Account(store, api_key, publishable_key, (public_url or url).rstrip("/"))
        courier = Courier(account, deliveries)
        account.on_events = courier.wake
        keys = IdempotencyKeys(store)
        switchboard, log, connections = Switchboard(), RequestLog(), Connections()
        if webhook_url:
            configure(account, webhook_url, webhook_secret)
        control_api = Control(account, keys, switchboard, log, courier)
        application = _Application(
            Api(account, keys, switchboard, log, connections),
            Starlette(routes=[*control_api.routes(), *HostedPages(account).routes()]),
        )
        config = uvicorn.Config(
            application,
            http=connections.protocol(),
            lifespan="off",
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        server = GuestServer(config)
        tasks = [
            asyncio.create_task(server.serve(sockets=[listener])),
            asyncio.create_task(courier.run()),
            asyncio.create_task(_watch_time(account, keys)),
        ]
        try:
            while not server.started:
                if tasks[0].done():
                    await tasks[0]
                await asyncio.sleep(0.005)
            async with StripeDoubleControl(url) as control:
                yield StripeDouble(url, control, api_key, publishable_key)
        finally:
            server.stop()
            await asyncio.wait(tasks[:1], timeout=STOP_SECONDS)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            listener.close()
            store.close()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    It names its protocol: asyncio switches Nagle's algorithm off only where it sees TCP, and with it every answer
    would wait 40 ms for the client's delayed acknowledgement.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(512)
    return listener


async def _watch_time(account: Account, keys: IdempotencyKeys) -> None:
    """What time alone brings about: sessions expire, idempotency keys are forgotten."""
    while True:
        with account.change() as change:
            checkout.expire_due(change)
        keys.prune(account.time())
        await asyncio.sleep(1.0)
