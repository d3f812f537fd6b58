"""The account behind the API: its keys, its clock, its store, and the unit of work every change goes through."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sandbox.stripe_double.errors import missing_resource
from sandbox.stripe_double.shapes import API_VERSION, fresh, new_id
from sandbox.stripe_double.store import Store

Json = dict[str, Any]

CLOCK_OFFSET = "clock_offset"

# How Stripe names the types in "No such …" messages.
SPOKEN = {"payment_method": "PaymentMethod", "checkout.session": "checkout.session", "event": "notification"}


@dataclass
class Account:
    """One double's account. ``on_events`` is called after a commit that emitted events."""

    store: Store
    api_key: str
    publishable_key: str
    public_url: str
    on_events: Callable[[], None] = lambda: None
    next_refund_statuses: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._offset = float(self.store.get_meta(CLOCK_OFFSET) or 0)
        self._endpoints: list[Json] | None = None

    @property
    def clock_offset(self) -> float:
        """Seconds the double's clock is ahead of the machine's."""
        return self._offset

    def advance(self, seconds: float) -> None:
        """Move the double's clock; remembered across restarts."""
        self._offset += seconds
        with self.store.atomic():
            self.store.set_meta(CLOCK_OFFSET, str(self._offset))

    def time(self) -> float:
        """The double's time with fractions."""
        return time.time() + self._offset

    def endpoints(self) -> list[Json]:
        """The enabled webhook endpoints; cached because every event asks for them."""
        if self._endpoints is None:
            rows = self.store.db.execute("SELECT body FROM objects WHERE kind = 'webhook_endpoint' ORDER BY seq")
            self._endpoints = [json.loads(row[0]) for row in rows]
        return [endpoint for endpoint in self._endpoints if endpoint["status"] == "enabled"]

    def forget_endpoints(self) -> None:
        """The endpoints changed; read them again."""
        self._endpoints = None

    @contextmanager
    def change(self, *, request_id: str | None = None, idempotency_key: str | None = None) -> "Iterator[Change]":
        """One atomic change: objects, events and their deliveries are committed together."""
        change = Change(self, request_id, idempotency_key)
        try:
            with self.store.atomic():
                yield change
        except BaseException:
            self.forget_endpoints()
            raise
        if change.emitted:
            self.on_events()

    def reset(self) -> None:
        """Forget every object, event, key, delivery and the clock offset."""
        self.store.wipe()
        self._offset = 0.0
        self.next_refund_statuses.clear()
        self.forget_endpoints()


class Change:
    """One change in progress."""

    def __init__(self, account: Account, request_id: str | None, idempotency_key: str | None) -> None:
        self.account = account
        self.store = account.store
        self.now = int(account.time())
        self.request_id = request_id
        self.idempotency_key = idempotency_key
        self.emitted: list[str] = []

    def find(self, identifier: str | None) -> Json | None:
        """The object with this identifier, or None."""
        return self.store.find(identifier) if identifier else None

    def get(self, kind: str, identifier: str, param: str = "id") -> Json:
        """The object of this kind; a deleted or unknown one is refused as Stripe refuses it."""
        found = self.store.find(identifier)
        if found is None or found["object"] != kind or found.get("deleted"):
            raise missing_resource(SPOKEN.get(kind, kind), identifier, param)
        return found

    def put(self, body: Json) -> Json:
        """Store an object."""
        self.store.put(body)
        if body["object"] == "webhook_endpoint":
            self.account.forget_endpoints()
        return body

    def emit(self, event_type: str, body: Json, previous: Json | None = None) -> None:
        """Record that something happened, and queue it for every endpoint that listens."""
        data: Json = {"object": body}
        if previous is not None:
            data["previous_attributes"] = previous
        event = fresh(
            "event",
            id=new_id("evt"),
            api_version=API_VERSION,
            created=self.now,
            data=data,
            type=event_type,
            request={"id": self.request_id, "idempotency_key": self.idempotency_key},
        )
        database = self.store.db
        database.execute(
            "INSERT INTO events (id, type, created, body) VALUES (?, ?, ?, ?)",
            (event["id"], event_type, self.now, json.dumps(event, separators=(",", ":"), ensure_ascii=False)),
        )
        for endpoint in self.account.endpoints():
            if "*" in endpoint["enabled_events"] or event_type in endpoint["enabled_events"]:
                self.queue(event["id"], endpoint["id"])
        self.emitted.append(event["id"])

    def queue(self, event_id: str, endpoint_id: str) -> None:
        """Queue one event for one endpoint."""
        moment = self.account.time()
        self.store.db.execute(
            "INSERT INTO deliveries (event, endpoint, status, created, next_at) VALUES (?, ?, 'pending', ?, ?)",
            (event_id, endpoint_id, moment, moment),
        )
