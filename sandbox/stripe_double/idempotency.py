"""Idempotency keys as Stripe's first API version keeps them.

The first status and body are stored and replayed for 24 hours, errors that came after execution began included; the
same key with other parameters is an error; a second request while the first still runs is refused with 409.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sandbox.stripe_double.errors import StripeError, invalid
from sandbox.stripe_double.forms import Form
from sandbox.stripe_double.store import Store

Json = dict[str, Any]

KEPT_SECONDS = 24 * 3600
LONGEST_KEY = 255


@dataclass(frozen=True)
class Recorded:
    """A stored answer."""

    status: int
    body: str
    request_id: str


def fingerprint(method: str, path: str, form: Form) -> str:
    """What identifies a request besides its key: the endpoint and the parameters, in any order."""
    canonical = json.dumps([method, path, form], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class IdempotencyKeys:
    """The keys of one account."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._running: set[str] = set()

    def begin(self, key: str, mark: str, now: float) -> Recorded | None:
        """The stored answer of an earlier request with this key, or None after marking the key as running."""
        if len(key) > LONGEST_KEY:
            raise invalid(f"Idempotency keys can be at most {LONGEST_KEY} characters long.")
        if key in self._running:
            raise StripeError(
                409,
                "idempotency_error",
                "There is currently another in-progress request using this Stripe-Idempotent-Key (that probably means "
                f"you submitted twice, and the other request is still going through): {key}. Please try again later.",
                code="idempotency_key_in_use",
                before_execution=True,
            )
        row = self._store.db.execute(
            "SELECT fingerprint, status, body, request_id FROM idempotency WHERE key = ? AND created > ?",
            (key, now - KEPT_SECONDS),
        ).fetchone()
        if row is None:
            self._running.add(key)
            return None
        if row[0] != mark:
            raise StripeError(
                400,
                "idempotency_error",
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request.",
                before_execution=True,
            )
        return Recorded(row[1], row[2], row[3])

    def record(self, key: str, mark: str, answer: Recorded, now: float) -> None:
        """Keep an answer; called inside the transaction of the change it answers."""
        self._store.db.execute(
            "INSERT OR REPLACE INTO idempotency (key, fingerprint, status, body, request_id, created)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (key, mark, answer.status, answer.body, answer.request_id, int(now)),
        )

    def end(self, key: str) -> None:
        """The request with this key has been answered."""
        self._running.discard(key)

    def prune(self, now: float) -> None:
        """Forget keys older than a day."""
        with self._store.atomic():
            self._store.db.execute("DELETE FROM idempotency WHERE created <= ?", (now - KEPT_SECONDS,))
