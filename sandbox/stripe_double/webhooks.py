"""Webhook delivery: signed, retried with growing pauses for three days, kept across restarts, disturbed on request."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import random
import time
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field

from sandbox.stripe_double.account import Account
from sandbox.stripe_double.events import with_pending
from sandbox.stripe_double.tls import tls_context
from sandbox.stripe_double.webhook_endpoints import secret_of

Json = dict[str, Any]

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
GIVE_UP_SECONDS = 3 * 86_400
LONGEST_PAUSE_SECONDS = 8 * 3600
DOUBLINGS = 20


class DeliverySettings(BaseModel):
    """How webhooks are delivered; everything but ``retry_seconds`` disturbs them."""

    model_config = ConfigDict(extra="forbid")

    paused: bool = False
    """Hold every delivery until resumed or released."""
    copies: int = Field(default=1, ge=1, le=20)
    """How often each delivery is sent: 2 is one duplicate."""
    shuffle_seed: int | None = None
    """Send what is waiting in a random order; deliveries gather for ``window_seconds`` first."""
    window_seconds: float = Field(default=0.2, ge=0, le=60)
    drop_fraction: float = Field(default=0.0, ge=0, le=1)
    """This part of the attempts never reaches the endpoint."""
    drop_seed: int = 0
    drop_for_good: bool = False
    """A dropped delivery is not retried: only the list of events still knows it."""
    retry_seconds: float = Field(default=1.0, gt=0)
    """The pause after the first failure; it doubles with each further one."""
    concurrency: int = Field(default=8, ge=1, le=100)


def sign(payload: bytes, secret: str, timestamp: int) -> str:
    """The Stripe-Signature header of a payload."""
    signed = str(timestamp).encode() + b"." + payload
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


class DeliveryReport(BaseModel):
    """One delivery of one event to one endpoint."""

    id: int
    event: str
    type: str
    endpoint: str
    status: str
    """pending, delivered or failed."""
    attempts: int
    next_at: float
    answer: int | None
    """The endpoint's last status code."""
    error: str | None


class Courier:
    """Delivers the queued events of one account, each endpoint in its own background task."""

    def __init__(self, account: Account, settings: DeliverySettings | None = None) -> None:
        self._account = account
        self._first = settings or DeliverySettings()
        self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False, verify=tls_context())
        self._lanes: dict[str, _Lane] = {}
        self._changed = asyncio.Event()
        self.sending: set[int] = set()
        self.configure(self._first)

    def configure(self, settings: DeliverySettings) -> None:
        """Deliver differently from now on."""
        self.settings = settings
        # Reproducible disturbance is the point; nothing here is a secret.
        self.shuffler = random.Random(settings.shuffle_seed)  # noqa: S311
        self._drops = random.Random(settings.drop_seed)  # noqa: S311
        self.wake()

    def reset(self) -> None:
        """Back to the settings of the start."""
        self.configure(self._first)

    def wake(self) -> None:
        """Something may be due."""
        self._changed.set()
        for lane in self._lanes.values():
            lane.wake.set()

    async def run(self) -> None:
        """Keep one task per endpoint until cancelled."""
        try:
            while True:
                self._changed.clear()
                current = {endpoint["id"] for endpoint in self._account.endpoints()}
                for gone in self._lanes.keys() - current:
                    self._lanes.pop(gone).task.cancel()
                for endpoint_id in current - self._lanes.keys():
                    self._lanes[endpoint_id] = _Lane(self, endpoint_id)
                await self._changed.wait()
        finally:
            tasks = [task for lane in self._lanes.values() for task in (lane.task, *lane.active)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._client.aclose()

    def due(self, endpoint_id: str) -> list[int]:
        """The deliveries of an endpoint whose time has come, oldest first."""
        rows = self._account.store.db.execute(
            "SELECT seq FROM deliveries WHERE endpoint = ? AND status = 'pending' AND next_at <= ?"
            " ORDER BY seq LIMIT 500",
            (endpoint_id, self._account.time()),
        )
        return [row[0] for row in rows if row[0] not in self.sending]

    def pause_until_due(self, endpoint_id: str) -> float:
        """Seconds until the next delivery of an endpoint, a second at most: the double's clock may jump."""
        row = self._account.store.db.execute(
            "SELECT min(next_at) FROM deliveries WHERE endpoint = ? AND status = 'pending' AND next_at > ?",
            (endpoint_id, self._account.time()),
        ).fetchone()
        return 1.0 if row[0] is None else min(1.0, max(0.01, row[0] - self._account.time()))

    async def send(self, delivery: int) -> bool:
        """One attempt; the result is stored whatever it is."""
        if delivery in self.sending:
            return False
        self.sending.add(delivery)
        try:
            return await self._attempt(delivery)
        finally:
            self.sending.discard(delivery)

    async def _attempt(self, delivery: int) -> bool:
        row = self._account.store.db.execute(
            "SELECT d.endpoint, d.attempts, d.created, e.body FROM deliveries d JOIN events e ON e.id = d.event"
            " WHERE d.seq = ? AND d.status = 'pending'",
            (delivery,),
        ).fetchone()
        endpoint = self._account.store.find(row[0]) if row else None
        if row is None or endpoint is None:
            return False
        event = with_pending(self._account.store, json.loads(row[3]))
        payload = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
        answer, error, for_good = None, None, False
        if self._drops.random() < self.settings.drop_fraction:
            error, for_good = "dropped on request", self.settings.drop_for_good
        else:
            secret = secret_of(self._account, row[0])
            for _ in range(self.settings.copies):
                answer, error = await self._post(endpoint["url"], payload, secret)
        delivered = answer is not None and 200 <= answer < 300
        self._note(delivery, row[1] + 1, row[2], answer, error, delivered=delivered, for_good=for_good)
        return delivered

    async def _post(self, url: str, payload: bytes, secret: str) -> tuple[int | None, str | None]:
        """Send once. The signature carries the machine's time: the receiver compares it with its own clock."""
        headers = {
            "content-type": "application/json; charset=utf-8",
            "stripe-signature": sign(payload, secret, int(time.time())),
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            answer = await self._client.post(url, content=payload, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            return None, f"{type(problem).__name__}: {problem}"
        return answer.status_code, None

    def _note(
        self,
        delivery: int,
        attempts: int,
        created: float,
        answer: int | None,
        error: str | None,
        *,
        delivered: bool,
        for_good: bool,
    ) -> None:
        now = self._account.time()
        pause = min(self.settings.retry_seconds * 2 ** min(attempts - 1, DOUBLINGS), LONGEST_PAUSE_SECONDS)
        status = "delivered" if delivered else "pending"
        if not delivered and (for_good or now + pause - created > GIVE_UP_SECONDS):
            status = "failed"
        with self._account.store.atomic():
            self._account.store.db.execute(
                "UPDATE deliveries SET status = ?, attempts = ?, next_at = ?, answer = ?, error = ? WHERE seq = ?",
                (status, attempts, now + pause, answer, error, delivery),
            )

    async def release(self, events: list[str] | None) -> list[DeliveryReport]:
        """Send what is waiting now, one after the other in the given order, even while paused."""
        waiting = [report for report in self.reports() if report.status == "pending"]
        if events is not None:
            waiting = [report for event in events for report in waiting if report.event == event]
        for report in waiting:
            await self.send(report.id)
        done = {report.id for report in waiting}
        return [report for report in self.reports() if report.id in done]

    def redeliver(self, event: str) -> int:
        """Queue an event again for every endpoint; how many there are."""
        endpoints = self._account.endpoints()
        with self._account.change() as change:
            for endpoint in endpoints:
                change.queue(event, endpoint["id"])
        self.wake()
        return len(endpoints)

    def counts(self) -> dict[str, int]:
        """How many deliveries are in each status."""
        rows = self._account.store.db.execute("SELECT status, count(*) FROM deliveries GROUP BY status")
        return {"pending": 0, "delivered": 0, "failed": 0} | dict(rows.fetchall())

    def reports(self, event: str | None = None) -> list[DeliveryReport]:
        """The deliveries in the order they were queued, of one event or of all."""
        rows = self._account.store.db.execute(
            "SELECT d.seq, d.event, e.type, d.endpoint, d.status, d.attempts, d.next_at, d.answer, d.error"
            " FROM deliveries d JOIN events e ON e.id = d.event WHERE ? IS NULL OR d.event = ? ORDER BY d.seq",
            (event, event),
        )
        names = ("id", "event", "type", "endpoint", "status", "attempts", "next_at", "answer", "error")
        return [DeliveryReport.model_validate(dict(zip(names, row, strict=True))) for row in rows]


class _Lane:
    """The task that serves one endpoint."""

    def __init__(self, courier: Courier, endpoint_id: str) -> None:
        self._courier = courier
        self._endpoint_id = endpoint_id
        self.wake = asyncio.Event()
        self.active: set[asyncio.Task[bool]] = set()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            self.wake.clear()
            due = await self._collect()
            for delivery in due:
                while len(self.active) >= self._courier.settings.concurrency:
                    await asyncio.wait(self.active, return_when=asyncio.FIRST_COMPLETED)
                if self._courier.settings.paused:
                    break
                task = asyncio.create_task(self._courier.send(delivery))
                self.active.add(task)
                task.add_done_callback(self._finished)
            if not due:
                # `wait_for` would lose a cancellation that comes together with the event.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._courier.pause_until_due(self._endpoint_id)):
                        await self.wake.wait()
            else:
                # Let the sends begin, so that they are not collected a second time.
                await asyncio.sleep(0)

    async def _collect(self) -> list[int]:
        settings = self._courier.settings
        if settings.paused:
            return []
        due = self._courier.due(self._endpoint_id)
        if due and settings.shuffle_seed is not None:
            await asyncio.sleep(settings.window_seconds)
            due = self._courier.due(self._endpoint_id)
            self._courier.shuffler.shuffle(due)
        return due

    def _finished(self, task: asyncio.Task[bool]) -> None:
        self.active.discard(task)
        self.wake.set()
        if not task.cancelled() and task.exception():
            logger.error("A webhook delivery broke off", exc_info=task.exception())
