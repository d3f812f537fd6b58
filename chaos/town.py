"""Where a run plays: the doors of a stack, and people who knock again when nobody answers."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from uuid import uuid5

import httpx
from temporalio.client import Client

from activities.database import Sessions
from chaos.academy import course, student
from models.identifiers import REGISTRAR_NAMESPACE
from models.vocabulary import Role
from routes.tokens import issue_token
from sandbox.processes import Supervisor
from sandbox.sample_academy import sample_id
from sandbox.stripe_double import StripeDoubleControl
from settings import Settings

Json = dict[str, Any]
VISA, NO_FUNDS = "4242424242424242", "4000000000009995"
ASKS_THE_BANK, DISPUTED = "4000002760003184", "4000000000000259"
_TOKEN_LIFETIME = timedelta(hours=6)
# What the API answers while something behind it is away, or somebody asks the same at this moment.
_AGAIN = frozenset({429, 502, 503, 504})
_POLL_SECONDS = 0.4


class NobodyAnswersError(Exception):
    """What was waited for did not come within the patience of whoever waited."""


class RefusedError(Exception):
    """The API, or what has become of the order, has refused something; people live with that. Says the reason."""


@dataclass
class Town:
    """A running stack as people, Stripe, a mail server and operators reach it, and what has happened there so far."""

    settings: Settings
    home: Path
    supervisor: Supervisor
    http: httpx.AsyncClient
    stripe: StripeDoubleControl
    stripe_url: str
    mailbox: httpx.AsyncClient
    temporal: Client
    sessions: Sessions
    patience: float = 120
    terminated: set[str] = field(default_factory=set)
    struck: Counter[str] = field(default_factory=Counter)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    # What nobody should ever see.
    broken: list[str] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def reached(
        cls, settings: Settings, home: Path, supervisor: Supervisor, addresses: tuple[str, str, str],
        temporal: Client, sessions: Sessions, patience: float,
    ) -> AsyncIterator[Self]:  # fmt: skip
        """The doors of a stack; `addresses` are those of the API, the Stripe double and the mailbox."""
        api, stripe, mailbox = addresses
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        async with (
            httpx.AsyncClient(base_url=api, timeout=30, limits=limits, trust_env=False) as http,
            httpx.AsyncClient(base_url=mailbox, timeout=60, trust_env=False) as mails,
            StripeDoubleControl(stripe) as control,
        ):
            yield cls(settings, home, supervisor, http, control, stripe, mails, temporal, sessions, patience)

    def visitor(self, number: int) -> "Visitor":
        """A student."""
        return Visitor(self, str(student(number)), (Role.STUDENT,))

    def staff(self, role: Role = Role.STAFF) -> "Visitor":
        """Somebody of the office."""
        return Visitor(self, str(sample_id("person", "finance")), (role,))


class Visitor:
    """Somebody who calls the API, and calls again with the same key for as long as nobody answers."""

    def __init__(self, town: Town, subject: str, roles: tuple[Role, ...]) -> None:
        self.town, self.subject = town, subject
        token = issue_token(town.settings, subject, roles, _TOKEN_LIFETIME)
        self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, **query: str) -> Json:
        """Read something. Raises `RefusedError` or `NobodyAnswersError`."""
        return _read(await self._ask("GET", path, None, query, ""))

    async def post(self, path: str, body: Json | None = None, key: str = "") -> Json:
        """Ask for something once, however often it takes. Raises `RefusedError` or `NobodyAnswersError`."""
        return _read(await self._ask("POST", path, body or {}, {}, key))

    async def put(self, path: str, body: Json) -> Json:
        """Set something. Raises `RefusedError` or `NobodyAnswersError`."""
        return _read(await self._ask("PUT", path, body, {}, ""))

    async def _ask(self, method: str, path: str, body: Json | None, query: dict[str, str], key: str) -> httpx.Response:
        named = uuid5(REGISTRAR_NAMESPACE, f"chaos:{self.subject}:{method}:{path}:{key}").hex
        headers = {**self._headers, "Idempotency-Key": named} if method == "POST" else self._headers
        deadline = time.monotonic() + self.town.patience
        while True:
            try:
                answer = await self.town.http.request(method, path, json=body, params=query, headers=headers)
            except httpx.TransportError:
                pass
            else:
                if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
                    self.town.broken.append(f"{method} {path} was answered with 500.")
                elif answer.status_code not in _AGAIN:
                    return answer
            if time.monotonic() > deadline:
                raise NobodyAnswersError(f"{method} {path}")
            await asyncio.sleep(_POLL_SECONDS)

    async def order(self, name: str, **more: object) -> Json:
        """Order a course by its name, until it is known what became of the wish."""
        body = {"lines": [{"course_id": str(course(name))}], "payment_method": "checkout", **more}
        placed = await self.post("/v1/orders", body)
        return await self.until(placed["id"], _is_begun)

    async def until(self, order_id: str, met: Callable[[Json], object]) -> Json:
        """Wait until the order shows something; one that has ended otherwise is answered, too."""
        deadline = time.monotonic() + self.town.patience
        while True:
            try:
                seen = await self.get(f"/v1/orders/{order_id}")
            except RefusedError:  # it is still being placed
                seen = {}
            if seen and (met(seen) or seen["status"] in ("failed", "cancelled")):
                return seen
            if time.monotonic() > deadline:
                raise NobodyAnswersError(f"order {order_id}")
            await asyncio.sleep(_POLL_SECONDS)

    async def pays(self, order: Json, card: str = VISA) -> httpx.Response:
        """Fill in the hosted page, as a browser would; Stripe itself is always there.

        Raises `RefusedError` where there is nothing to pay any more.
        """
        if not (order["payment"] or {}).get("checkout_url"):
            raise RefusedError(order["status"])
        async with httpx.AsyncClient(timeout=60, trust_env=False) as browser:
            return await browser.post(order["payment"]["checkout_url"], data={"card_number": card})

    async def has(self, name: str, **more: object) -> Json:
        """Order a course, pay for it, and wait until the place is there."""
        order = await self.order(name, **more)
        if order["status"] == "pending_payment":
            await self.pays(order)
            order = await self.until(order["id"], is_completed)
        return order


def is_completed(order: Json) -> bool:
    """Whether it is paid, and everything is there."""
    return order["status"] in ("completed", "partially_refunded", "refunded")


def _is_begun(order: Json) -> bool:
    payment = order["payment"]
    return order["status"] != "pending_payment" or bool(
        order.get("invoice") or (payment and (payment["checkout_url"] or payment.get("client_secret")))
    )


def _read(answer: httpx.Response) -> Json:
    if answer.is_error:
        told = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
        raise RefusedError(str(told.get("reason") or answer.status_code))
    body: Json = answer.json()
    return body
