"""Everything the double remembers, in one SQLite database: objects, events, deliveries, idempotency records.

One process owns the file and every change runs on the event loop's thread without awaiting, so transactions never
overlap. WAL with synchronous=NORMAL keeps a commit far below a millisecond and still survives a killed process.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, created INTEGER NOT NULL,
    status TEXT, customer TEXT, payment_intent TEXT, charge TEXT, label TEXT, order_id TEXT, due INTEGER,
    body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_customer ON objects (customer) WHERE customer IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_payment_intent ON objects (payment_intent) WHERE payment_intent IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_charge ON objects (charge) WHERE charge IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_label ON objects (label) WHERE label IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_order ON objects (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_due ON objects (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, created INTEGER NOT NULL,
    body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL, status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL, next_at REAL NOT NULL, answer INTEGER, error TEXT);
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (endpoint, next_at) WHERE status = 'pending';
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
    request_id TEXT NOT NULL, created INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS idempotency_created ON idempotency (created);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

TABLES = ("objects", "events", "deliveries", "idempotency", "meta")
COLUMNS = frozenset({"status", "customer", "payment_intent", "charge", "label"})


@dataclass(frozen=True)
class Page:
    """One page of a list, newest first: the size, the cursor and the range of creation times."""

    limit: int = 10
    starting_after: int | None = None
    ending_before: int | None = None
    created: dict[str, int] = field(default_factory=dict)


def _reference(value: Any) -> str | None:
    """The identifier behind a field that may be null."""
    return value if isinstance(value, str) else None


def _links(body: Json) -> tuple[Any, ...]:
    """The searchable facts of an object: what it belongs to and when something is due."""
    kind = body["object"]
    due = body["expires_at"] if kind == "checkout.session" and body["status"] == "open" else None
    label = {
        "customer": "email",
        "payment_method": "type",
        "balance_transaction": "type",
    }.get(kind)
    charge = body.get("source") if kind == "balance_transaction" else body.get("charge")
    return (
        "deleted" if body.get("deleted") else _reference(body.get("status")),
        _reference(body.get("customer")),
        _reference(body.get("payment_intent")),
        _reference(charge),
        _reference(body.get(label)) if label else None,
        (body.get("metadata") or {}).get("order_id"),
        due,
    )


class Store:
    """The database of one double; ``path`` None keeps it in memory."""

    def __init__(self, path: str | None) -> None:
        self.db = sqlite3.connect(path or ":memory:", isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database; everything committed is kept."""
        self.db.close()

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """All changes inside are committed together, or none of them."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def find(self, identifier: str) -> Json | None:
        """The object with this identifier."""
        row = self.db.execute("SELECT body FROM objects WHERE id = ?", (identifier,)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, body: Json, *, label: str | None = None) -> None:
        """Insert or replace an object; ``label`` overrides the searchable label (line items: their session)."""
        links = list(_links(body))
        if label is not None:
            links[4] = label
        self.db.execute(
            "INSERT INTO objects"
            " (id, kind, created, status, customer, payment_intent, charge, label, order_id, due, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET status = excluded.status,"
            " customer = excluded.customer, payment_intent = excluded.payment_intent, charge = excluded.charge,"
            " label = excluded.label, order_id = excluded.order_id, due = excluded.due, body = excluded.body",
            (body["id"], body["object"], body.get("created", 0), *links, _dump(body)),
        )

    def remove(self, identifier: str) -> None:
        """Forget an object entirely."""
        self.db.execute("DELETE FROM objects WHERE id = ?", (identifier,))

    def cursor_of(self, table: str, identifier: str) -> int | None:
        """The position of an object or event in its list."""
        query = {
            "objects": "SELECT seq FROM objects WHERE id = ?",
            "events": "SELECT seq FROM events WHERE id = ?",
        }[table]
        row = self.db.execute(query, (identifier,)).fetchone()
        return int(row[0]) if row else None

    def select(self, kind: str, filters: dict[str, str], page: Page) -> tuple[list[Json], bool]:
        """One page of the objects of a kind, and whether there are more."""
        clauses, values = ["kind = ?", "status IS NOT 'deleted'"], [kind]
        for column, value in filters.items():
            if column not in COLUMNS:
                raise KeyError(column)
            clauses.append(f"{column} = ?")
            values.append(value)
        return self._page("objects", clauses, values, page)

    def select_events(self, clauses: Sequence[str], values: Sequence[Any], page: Page) -> tuple[list[Json], bool]:
        """One page of the events that satisfy the given conditions."""
        return self._page("events", clauses, values, page)

    def _page(self, table: str, clauses: Sequence[str], values: Sequence[Any], page: Page) -> tuple[list[Json], bool]:
        where, bound = list(clauses), list(values)
        for name, operator in (("gt", ">"), ("gte", ">="), ("lt", "<"), ("lte", "<=")):
            if name in page.created:
                where.append(f"created {operator} ?")
                bound.append(page.created[name])
        if page.starting_after is not None:
            where.append("seq < ?")
            bound.append(page.starting_after)
        if page.ending_before is not None:
            where.append("seq > ?")
            bound.append(page.ending_before)
        order = "ASC" if page.ending_before is not None else "DESC"
        query = " ".join(
            ["SELECT body FROM", table, "WHERE", " AND ".join(where or ["1"]), "ORDER BY seq", order, "LIMIT ?"]
        )
        rows = self.db.execute(query, (*bound, page.limit + 1)).fetchall()
        found = [json.loads(row[0]) for row in rows[: page.limit]]
        if page.ending_before is not None:
            found.reverse()
        return found, len(rows) > page.limit

    def due(self, now: int) -> list[Json]:
        """Objects whose time has come, oldest first."""
        rows = self.db.execute("SELECT body FROM objects WHERE due <= ? ORDER BY due, seq LIMIT 500", (now,)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def get_meta(self, key: str) -> str | None:
        """A remembered setting."""
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def set_meta(self, key: str, value: str | None) -> None:
        """Remember a setting, or forget it."""
        if value is None:
            self.db.execute("DELETE FROM meta WHERE key = ?", (key,))
        else:
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def wipe(self) -> None:
        """Forget everything."""
        with self.atomic():
            for table in TABLES:
                self.db.execute(" ".join(["DELETE FROM", table]))


def _dump(body: Json) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)
