"""What Stripe, Temporal and the mailbox hold, laid beside the record as tables of one transaction.

With everything in one place, each invariant is one query (`chaos/invariants.py`), and a test can break each of them.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from activities.job_listing import every_job
from activities.job_reading import Listed, describe, job_of
from sandbox.stripe_double import StripeDoubleControl

Row = Mapping[str, object]

_TABLES = """
CREATE TEMP TABLE stripe_payments (
    id text PRIMARY KEY, order_id uuid, status text, received bigint, currency text) ON COMMIT DROP;
CREATE TEMP TABLE stripe_refunds (
    id text PRIMARY KEY, payment_intent_id text, refund_id uuid, status text, amount bigint) ON COMMIT DROP;
CREATE TEMP TABLE stripe_disputes (
    id text PRIMARY KEY, payment_intent_id text, status text, amount bigint) ON COMMIT DROP;
CREATE TEMP TABLE jobs (
    workflow_id text PRIMARY KEY, type text, status text, is_open boolean, task_attempts int, failing text,
    on_purpose boolean) ON COMMIT DROP;
CREATE TEMP TABLE delivered (mail_id uuid PRIMARY KEY, copies int) ON COMMIT DROP;
-- What has moved of each order's own payment, by the record.
CREATE TEMP VIEW order_money AS
SELECT o.id, o.status, o.currency, o.total_amount, o.completed_at, p.status AS payment_status, p.payment_intent_id,
    p.captured_amount, p.refunded_amount, i.status AS invoice_status, m.received, m.refunded, m.lost
FROM orders o
LEFT JOIN payments p ON p.order_id = o.id
LEFT JOIN invoices i ON i.order_id = o.id
CROSS JOIN LATERAL (SELECT
    coalesce(p.captured_amount, least(i.paid_amount, i.amount), 0) AS received,
    (SELECT coalesce(sum(f.amount), 0) FROM refunds f WHERE f.order_id = o.id
        AND (f.payment_intent_id IS NULL OR f.payment_intent_id = p.payment_intent_id)
        AND f.status IN ('pending', 'requires_action', 'succeeded')) AS refunded,
    (SELECT coalesce(sum(d.amount), 0) FROM disputes d
        WHERE d.payment_intent_id = p.payment_intent_id AND d.status = 'lost') AS lost) m;
-- What is left at Stripe of each payment that has come in; whether a person keeps it there, or is asked about it.
CREATE TEMP VIEW stripe_money AS
SELECT s.id, s.order_id, s.received, m.refunded, m.lost, s.received - m.refunded - m.lost AS remaining,
    EXISTS (SELECT FROM human_tasks t WHERE t.workflow_id = 'payment-' || s.id
        AND (t.status = 'open' OR t.decision = 'dismiss')) AS on_desk
FROM stripe_payments s
CROSS JOIN LATERAL (SELECT
    (SELECT coalesce(sum(f.amount), 0) FROM stripe_refunds f WHERE f.payment_intent_id = s.id
        AND f.status IN ('pending', 'requires_action', 'succeeded')) AS refunded,
    (SELECT coalesce(sum(d.amount), 0) FROM stripe_disputes d
        WHERE d.payment_intent_id = s.id AND d.status = 'lost') AS lost) m
WHERE s.status = 'succeeded';
"""
_MOST_AT_ONCE = 20
_PATIENCE = timedelta(seconds=30)


@dataclass
class Outside:
    """The rows of each of those tables. `knows_mails` says whether somebody has looked into the mailbox."""

    stripe_payments: list[Row] = field(default_factory=list)
    stripe_refunds: list[Row] = field(default_factory=list)
    stripe_disputes: list[Row] = field(default_factory=list)
    jobs: list[Row] = field(default_factory=list)
    delivered: list[Row] = field(default_factory=list)
    knows_mails: bool = False


async def look_outside(
    control: StripeDoubleControl,
    temporal: Client,
    *,
    terminated: frozenset[str] = frozenset(),
    since: datetime | None = None,
    message_ids: Iterable[str] | None = None,
) -> Outside:
    """Read it all. Of each workflow its latest run counts, if that began at `since` or later (UTC).

    `terminated` are workflow ids that were ended on purpose; `message_ids` are those of all mails in the mailbox.
    """
    outside = Outside(knows_mails=message_ids is not None)
    outside.stripe_payments = [
        {
            "id": each["id"],
            "order_id": _uuid(each["metadata"].get("order_id")),
            "status": each["status"],
            "received": each["amount_received"],
            "currency": each["currency"].upper(),
        }
        for each in await control.objects("payment_intent")
    ]
    outside.stripe_refunds = [
        {
            "id": each["id"],
            "payment_intent_id": each["payment_intent"],
            "refund_id": _uuid(each["metadata"].get("refund_id")),
            "status": each["status"],
            "amount": each["amount"],
        }
        for each in await control.objects("refund")
    ]
    outside.stripe_disputes = [
        {name: each[key] for name, key in _DISPUTE.items()} for each in await control.objects("dispute")
    ]
    outside.jobs = await _jobs(temporal, terminated, since)
    copies = Counter(mail_id for each in message_ids or () if (mail_id := _mail_id(each)) is not None)
    outside.delivered = [{"mail_id": mail_id, "copies": count} for mail_id, count in copies.items()]
    return outside


async def lay_beside(session: AsyncSession, outside: Outside) -> None:
    """Make the tables within the transaction of this session; they are gone when it is rolled back."""
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            await session.execute(text(statement))
    for table in ("stripe_payments", "stripe_refunds", "stripe_disputes", "jobs", "delivered"):
        rows = getattr(outside, table)
        if rows:
            columns = list(rows[0])
            values = ", ".join(f":{column}" for column in columns)
            await session.execute(text(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"), rows)


_DISPUTE = {"id": "id", "payment_intent_id": "payment_intent", "status": "status", "amount": "amount"}


async def _jobs(temporal: Client, terminated: frozenset[str], since: datetime | None) -> list[Row]:
    latest: dict[str, Listed] = {}
    async for run in every_job(temporal, ""):
        known = latest.get(run.workflow_id)
        if known is None or known.started_at < run.started_at or (run.is_open and not known.is_open):
            latest[run.workflow_id] = run
    wanted = [run for run in latest.values() if since is None or run.started_at >= since]
    turn = asyncio.Semaphore(_MOST_AT_ONCE)

    async def row(run: Listed) -> Row:
        attempts, failing = 0, None
        if run.is_open:
            # The list may be a moment behind, and says nothing of steps.
            async with turn:
                described = await describe(temporal, run.workflow_id, _PATIENCE)
            if described is not None:
                job = job_of(run.workflow_id, described)
                run, attempts = job, job.task_attempts
                if job.failing is not None:
                    failing = f"{job.failing.activity} failed {job.failing.times}, last with {job.failing.last_failure}"
        return {
            "workflow_id": run.workflow_id,
            "type": run.type,
            "status": run.run_status,
            "is_open": run.is_open,
            "task_attempts": attempts,
            "failing": failing,
            "on_purpose": run.workflow_id in terminated,
        }

    return list(await asyncio.gather(*map(row, wanted)))


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None


def _mail_id(message_id: str) -> UUID | None:
    """The row of the ledger that a Message-ID names."""
    return _uuid(message_id.strip().strip("<>").partition("@")[0])
