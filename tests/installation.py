"""A whole Registrar for tests: API over real HTTP, PostgreSQL, Temporal, the Stripe double and a mailbox."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import uvicorn
from temporalio.client import Client

from activities.database import Sessions
from api import create_app
from models.vocabulary import Role
from routes.tokens import issue_token
from sandbox.guest_server import GuestServer
from sandbox.mailbox import Mailbox
from sandbox.sample_academy import sample_id
from sandbox.stripe_double import StripeDouble
from sandbox.stripe_double.tls import tls_context
from settings import Settings
from tests.eventually import eventually

Json = dict[str, Any]
VISA = "4242424242424242"


@dataclass
class Installation:
    """What a test needs of it: its HTTP door, and the outsides it talks to."""

    settings: Settings
    http: httpx.AsyncClient
    temporal: Client
    sessions: Sessions
    double: StripeDouble
    mailbox: Mailbox

    def caller(self, key: str = "lukasz", *roles: Role) -> dict[str, str]:
        """The headers of a sample person (or of a service by that name), a student unless said otherwise."""
        chosen = roles or (Role.STUDENT,)
        subject = str(sample_id("person", key)) if Role.SERVICE not in chosen else key
        return {"Authorization": f"Bearer {issue_token(self.settings, subject, chosen, timedelta(minutes=5))}"}

    async def post_order(
        self,
        *codes: str,
        by: str = "lukasz",
        role: Role = Role.STUDENT,
        student: str | None = None,
        key: str | None = None,
        method: str = "checkout",
        **more: object,
    ) -> httpx.Response:
        """Order sample courses by their codes, for a student other than the payer if one is named."""
        for_whom = {} if student is None else {"student_id": str(sample_id("person", student))}
        body: Json = {
            "lines": [{"course_id": str(sample_id("course", code)), **for_whom} for code in codes],
            "payment_method": method,
            **more,
        }
        headers = {**self.caller(by, role), "Idempotency-Key": key or uuid4().hex}
        return await self.http.post("/v1/orders", json=body, headers=headers)

    async def staff_posts(self, path: str, body: Json, key: str | None = None) -> httpx.Response:
        """Ask for something as staff. Raises `httpx.HTTPStatusError` if it is refused."""
        headers = {**self.caller("finance", Role.STAFF), "Idempotency-Key": key or uuid4().hex}
        return (await self.http.post(path, json=body, headers=headers)).raise_for_status()

    async def pay(self, order: Json, card: str = VISA) -> httpx.Response:
        """Pay on Stripe's hosted page, as a browser would."""
        async with httpx.AsyncClient(follow_redirects=False, verify=tls_context()) as browser:
            return await browser.post(order["payment"]["checkout_url"], data={"card_number": card})

    async def order(self, order_id: str) -> Json:
        """The order as staff see it."""
        found = await self.http.get(f"/v1/orders/{order_id}", headers=self.caller("finance", Role.STAFF))
        found.raise_for_status()
        body: Json = found.json()
        return body

    async def job(self, order_id: str) -> Json:
        """What the order's job says about itself."""
        found = await self.http.get(f"/v1/jobs/order-{order_id}", headers=self.caller("finance", Role.STAFF))
        body: Json = found.raise_for_status().json()
        return body

    async def tasks(self, subject_id: str | None = None) -> list[Json]:
        """The open tasks, of one order if it is named, as soon as there are any."""
        tasks: list[Json] = []
        about = {} if subject_id is None else {"subject_id": subject_id}

        async def are_there() -> bool:
            found = await self.http.get("/v1/tasks", params=about, headers=self.caller("finance", Role.STAFF))
            tasks[:] = found.raise_for_status().json()["items"]
            return bool(tasks)

        await eventually(are_there)
        return tasks

    async def payable(self, order_id: str, by: str) -> Json:
        """The order as its payer sees it, once there is a page to pay on."""
        seen: Json = {}

        async def has_link() -> bool:
            seen.update((await self.http.get(f"/v1/orders/{order_id}", headers=self.caller(by))).json())
            return bool(seen["payment"] and seen["payment"]["checkout_url"])

        await eventually(has_link)
        return seen

    async def order_ends(self, order_id: str, status: str = "completed") -> Json:
        """Wait until the order has this status and its workflow is over; return the order."""
        handle = self.temporal.get_workflow_handle(f"order-{order_id}")
        await asyncio.wait_for(handle.result(), 60)
        ended = await self.order(order_id)
        assert ended["status"] == status
        return ended

    async def order_becomes(self, order_id: str, status: str) -> None:
        """Wait until the order has this status."""

        async def has_status() -> bool:
            return bool((await self.order(order_id))["status"] == status)

        await eventually(has_status)


@asynccontextmanager
async def serving(settings: Settings, listener: socket.socket) -> AsyncIterator[None]:
    """The API on an open socket, in this process."""
    server = GuestServer(uvicorn.Config(create_app(settings), log_config=None, access_log=False, lifespan="on"))
    task = asyncio.create_task(server.serve(sockets=[listener]))

    async def started() -> bool:
        if task.done():
            task.result()
        return server.started

    await eventually(started)
    try:
        yield
    finally:
        server.stop()
        await task
