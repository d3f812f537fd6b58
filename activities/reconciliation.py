"""The steps of reconciliation with Stripe: both books compared, what can be healed told, the rest written down."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

import stripe
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.balance_mirror import MirroredBalance, mirror_balance
from activities.check_runs import begin_run, end_run
from activities.database import Sessions
from activities.disputes import DisputedOrder, owners_of, status_of
from activities.findings import Found, lock_findings, record_findings
from activities.healing import tell_jobs_of
from activities.record_books import (
    disputes_on_record,
    going_back_of,
    kept_payments,
    orders_of,
    payments_on_record,
    places_on_record,
    refunds_on_record,
)
from activities.stripe_books import StripeBooks, paid_at, payment_facts, refund_facts, side_by_side, windows
from activities.stripe_jobs import StripeJobs
from models.identifiers import (
    dispute_workflow_id,
    order_workflow_id,
    refund_watch_workflow_id,
    stripe_subject_id,
    unmatched_payment_workflow_id,
)
from models.messages.reconciliation import (
    CompareBooks,
    ComparedBooks,
    EndReconciliation,
    TellJobs,
    ToldJobs,
)
from models.tables import CheckRun, CheckRunFinding, Finding, Order
from models.vocabulary import CheckKind, CheckStatus, DisputeStatus, FindingKind, FindingStatus
from rules.reconciliation import (
    Difference,
    DisputeAtStripe,
    KeptPlace,
    PaymentAtStripe,
    PaymentOnRecord,
    RefundAtStripe,
    RefundOnRecord,
    dispute_differences,
    payment_differences,
    place_differences,
    refund_differences,
)
from rules.stripe_fees import FeeLimit, fee_differences

KINDS = (
    FindingKind.PAID_NOT_FULFILLED,
    FindingKind.FULFILLED_NOT_PAID,
    FindingKind.AMOUNT_MISMATCH,
    FindingKind.CURRENCY_MISMATCH,
    FindingKind.DOUBLE_PAYMENT,
    FindingKind.UNKNOWN_PAYMENT,
    FindingKind.ORPHAN_REFUND,
    FindingKind.REFUND_MISMATCH,
    FindingKind.REFUND_NOT_REVOKED,
    FindingKind.UNKNOWN_DISPUTE,
    FindingKind.FEE_MISMATCH,
)
# The record is read after Stripe, so it would have seen what has become of these meanwhile.
_CERTAIN = frozenset(
    {
        FindingKind.PAID_NOT_FULFILLED,
        FindingKind.DOUBLE_PAYMENT,
        FindingKind.UNKNOWN_PAYMENT,
        FindingKind.ORPHAN_REFUND,
        FindingKind.REFUND_NOT_REVOKED,
        FindingKind.FEE_MISMATCH,
    }
)

# That so many payments are all unknown to Stripe has one reason.
_ENOUGH = 20

FactsT = TypeVar("FactsT")

_SUBJECTS = {"pi": "payment", "re": "refund", "dp": "dispute", "po": "payout", "txn": "balance_transaction"}


@dataclass
class _AtStripe:
    """What Stripe told, by its ids."""

    balance: MirroredBalance
    payments: dict[str, PaymentAtStripe] = field(default_factory=dict)
    refunds: dict[str, RefundAtStripe] = field(default_factory=dict)
    disputes: dict[str, stripe.Dispute] = field(default_factory=dict)


@dataclass(frozen=True)
class _OnRecord:
    """What the record has of the same."""

    payments: list[PaymentOnRecord]
    going_back: dict[str, int]
    kept: frozenset[str]
    orders: dict[str, UUID]
    refunds: list[RefundOnRecord]
    places: list[KeptPlace]
    disputes: dict[str, DisputeStatus]
    owners: dict[str, DisputedOrder]


@dataclass
class ReconciliationActivities:
    """Steps of `ReconciliationWorkflow`. Each may be repeated. `is_shared`: others take payments with the account."""

    client: stripe.StripeClient
    sessions: Sessions
    fee_limit: FeeLimit
    is_shared: bool = False

    @activity.defn
    async def compare_books(self, step: CompareBooks) -> ComparedBooks:
        """Mirror Stripe's balance, compare the books of the span, and write down what is not the same.

        Open findings are looked at again, however old. What may have changed while it was read is read a second time,
        so that nobody is asked about it.
        """
        async with self.sessions.begin() as session:
            run_id = await begin_run(
                session, step.workflow_id, CheckKind.RECONCILIATION, step.scope, step.looked_from, step.looked_until
            )
            open_ones = await _open_findings(session)
            since = await _ours_since(session, step)
        step = step.model_copy(update={"looked_from": since})
        told = await self._read_stripe(step, open_ones)
        async with self.sessions() as session:
            record = await _read_record(session, step, told, open_ones)
        await self._look_for_missing(told, record)
        # Of a week that is much of work: the event loop has others to serve, and to say that the worker is alive.
        first = await asyncio.to_thread(self._compare, told, record)
        await self._look_again(told, first)
        async with self.sessions.begin() as session:
            await lock_findings(session, CheckKind.RECONCILIATION)
            record = await _read_record(session, step, told, open_ones)
            seen_before = {(each.kind, each.about) for each in first}
            again = await asyncio.to_thread(self._compare, told, record)
            lasting = [each for each in again if (each.kind, each.about) in seen_before]
            found = [_found(each) for each in lasting]
            await record_findings(
                session,
                run_id,
                CheckKind.RECONCILIATION,
                KINDS,
                found,
                workflow_id=step.workflow_id,
                examined={row.id for row in open_ones},
            )
            await _count(session, run_id, told, record)
        return ComparedBooks(run_id=run_id, found=len(found), healing=sum(each.is_healing for each in found))

    @activity.defn
    async def tell_jobs(self, step: TellJobs) -> ToldJobs:
        """Tell the jobs that can put right what the run has found."""
        jobs = StripeJobs(activity.client(), activity.info().task_queue)
        return ToldJobs(told=await tell_jobs_of(self.sessions, jobs, step.run_id))

    @activity.defn
    async def end_reconciliation(self, step: EndReconciliation) -> None:
        """Write down what the run came to."""
        lines = select(
            func.count(),
            func.count().filter(col(CheckRunFinding.is_new)),
            func.count().filter(col(CheckRunFinding.is_healing)),
        ).where(col(CheckRunFinding.run_id) == step.run_id)
        async with self.sessions.begin() as session:
            run = await session.get_one(CheckRun, step.run_id)
            found, new, healing = (await session.execute(lines)).one()
            counts = {"found": found, "new": new, "healing": healing, "told": step.told, "asked": step.asked}
            await end_run(session, step.run_id, run.counts | counts)

    # ---- Stripe ----

    @property
    def _books(self) -> StripeBooks:
        return StripeBooks(self.client)

    async def _read_stripe(self, step: CompareBooks, open_ones: Sequence[Finding]) -> _AtStripe:
        books, since, until = self._books, step.looked_from, step.looked_until
        ids = [row.stripe_id for row in open_ones if row.stripe_id is not None]
        told = _AtStripe(await mirror_balance(self.sessions, books, since, until, self.fee_limit, ids))
        told.payments |= told.balance.payments
        await side_by_side(partial(self._read_payments, told, *window, until) for window in windows(since, until))
        async for refunds in books.refunds(since, until):
            told.refunds |= {made.id: refund_facts(made) for made in refunds}
        told.disputes |= {made.id: made for made in await books.disputes(since, until)}
        await self._look_at(told, [each for each in ids if each not in {*told.payments, *told.refunds, *told.disputes}])
        return told

    async def _read_payments(self, told: _AtStripe, begun: datetime, ended: datetime, until: datetime) -> None:
        async for intents in self._books.payments(begun, ended):
            for intent in intents:
                # What has come in just now is on its way through the webhooks.
                if (paid := paid_at(intent)) is None or paid <= until:
                    told.payments[intent.id] = payment_facts(intent)
                else:
                    told.payments.pop(intent.id, None)

    async def _look_for_missing(self, told: _AtStripe, record: _OnRecord) -> None:
        """What the record has and the lists have not: made before the span, or really not there.

        Raises `ApplicationError` if nothing at all is there: one job that fails, not a question about every order.
        """
        payments = [row.payment_intent_id for row in record.payments if row.is_paid and row.payment_intent_id]
        refunds = [row.stripe_refund_id for row in record.refunds if row.stripe_refund_id]
        missing = [each for each in payments if each not in told.payments]
        if len(missing) == len(payments) >= _ENOUGH:
            await self._look_at(told, missing[:_ENOUGH])
            if not told.payments.keys() & set(missing):
                raise ApplicationError(
                    f"Stripe knows none of {len(missing)} payments on record. Is its key of another account?",
                    type="stripe_other_account",
                )
        await self._look_at(told, [each for each in missing if each not in told.payments])
        await self._look_at(told, [each for each in refunds if each not in told.refunds])

    async def _look_again(self, told: _AtStripe, differences: Sequence[Difference]) -> None:
        """Read a second time, one by one, what the record may have had before Stripe told of it, or a moment later:
        there is little of it, usually nothing.
        """
        doubtful = {each.stripe_id for each in differences if each.kind not in _CERTAIN and each.stripe_id}
        await self._look_at(told, sorted(doubtful))

    async def _look_at(self, told: _AtStripe, ids: Collection[str]) -> None:
        await side_by_side(partial(self._look_at_one, told, stripe_id) for stripe_id in ids)

    async def _look_at_one(self, told: _AtStripe, stripe_id: str) -> None:
        match stripe_id.split("_", maxsplit=1)[0]:
            case "pi":
                intent = await self._books.payment(stripe_id)
                _put(told.payments, stripe_id, None if intent is None else payment_facts(intent))
            case "re" | "pyr":
                refund = await self._books.refund(stripe_id)
                _put(told.refunds, stripe_id, None if refund is None else refund_facts(refund))
            case "dp" | "du":
                dispute = await self._books.dispute(stripe_id)
                if dispute is not None:
                    told.disputes[stripe_id] = dispute

    # ---- comparing ----

    def _compare(self, told: _AtStripe, record: _OnRecord) -> list[Difference]:
        disputes = [
            DisputeAtStripe(made.id, owner.order_id, status_of(made), made.amount, made.currency.upper())
            for made in told.disputes.values()
            if (owner := record.owners.get(made.id)) is not None
        ]
        return [
            *payment_differences(
                list(told.payments.values()),
                record.payments,
                going_back=record.going_back,
                kept=record.kept,
                is_shared=self.is_shared,
            ),
            *refund_differences(list(told.refunds.values()), record.refunds, record.orders),
            *place_differences(record.places),
            *dispute_differences(disputes, record.disputes),
            *fee_differences(
                # What others have paid for their payments is theirs.
                [line for line in told.balance.doubtful.values() if line.order_id is not None or not self.is_shared],
                told.balance.payouts,
                self.fee_limit,
            ),
        ]


def _put(known: dict[str, FactsT], stripe_id: str, facts: FactsT | None) -> None:
    """Stripe does not know it, or has it like this."""
    known.pop(stripe_id, None)
    if facts is not None:
        known[stripe_id] = facts


async def _ours_since(session: AsyncSession, step: CompareBooks) -> datetime:
    """From where on it may be ours: nothing is before the first order, and an account may have been in use for long."""
    older = select(col(Order.id)).where(col(Order.created_at) <= step.looked_from).limit(1)
    if (await session.execute(older)).first() is not None:
        return step.looked_from
    first = (await session.execute(select(func.min(col(Order.created_at))))).scalar_one_or_none()
    return min(first or step.looked_until, step.looked_until)


async def _open_findings(session: AsyncSession) -> Sequence[Finding]:
    query = select(Finding).where(
        col(Finding.found_by) == CheckKind.RECONCILIATION, col(Finding.status) == FindingStatus.OPEN
    )
    return (await session.execute(query)).scalars().all()


async def _read_record(
    session: AsyncSession, step: CompareBooks, told: _AtStripe, open_ones: Sequence[Finding]
) -> _OnRecord:
    since, until = step.looked_from, step.looked_until
    named = {row.subject_id for row in open_ones if row.subject_kind == "order"}
    paid = {each.order_id for each in told.payments.values() if each.order_id is not None and each.received}
    refunds = list(told.refunds.values())
    return _OnRecord(
        payments=await payments_on_record(session, since, until, told.payments, named | paid),
        going_back=await going_back_of(session, told.payments),
        kept=await kept_payments(session, told.payments),
        orders=await orders_of(session, {each.payment_intent_id for each in refunds if each.payment_intent_id}),
        refunds=await refunds_on_record(
            session, since, until, told.refunds, {each.refund_id for each in refunds if each.refund_id}
        ),
        places=await places_on_record(session, since, until, named),
        disputes=await disputes_on_record(session, told.disputes),
        owners=await owners_of(session, list(told.disputes.values())),
    )


async def _count(session: AsyncSession, run_id: UUID, told: _AtStripe, record: _OnRecord) -> None:
    counts = {
        "orders": len(record.payments),
        "payments": len(told.payments),
        "refunds": len(told.refunds),
        "disputes": len(told.disputes),
        "balance_lines": told.balance.read,
        "payouts": len(told.balance.payouts),
    }
    is_under_way = (col(CheckRun.id) == run_id) & (col(CheckRun.status) == CheckStatus.RUNNING)
    await session.execute(update(CheckRun).where(is_under_way).values(counts=counts))


def _found(difference: Difference) -> Found:
    stripe_id, order_id = difference.stripe_id, difference.order_id
    kind_of_id = (stripe_id or "").split("_")[0]
    return Found(
        kind=difference.kind,
        about=difference.about,
        subject_kind="order" if order_id is not None else _SUBJECTS.get(kind_of_id, "stripe"),
        subject_id=order_id or stripe_subject_id(stripe_id or difference.about),
        reason=difference.reason,
        stripe_id=stripe_id,
        job_id=_job_of(difference),
        currency=difference.currency,
        expected_amount=difference.expected,
        found_amount=difference.found,
        is_healing=difference.is_healing,
    )


def _job_of(difference: Difference) -> str | None:
    """The job whose business it is, if there is one."""
    stripe_id = difference.stripe_id
    match difference.kind:
        case FindingKind.DOUBLE_PAYMENT | FindingKind.UNKNOWN_PAYMENT if stripe_id is not None:
            return unmatched_payment_workflow_id(stripe_id)
        case FindingKind.ORPHAN_REFUND | FindingKind.REFUND_MISMATCH | FindingKind.REFUND_NOT_REVOKED:
            return None if stripe_id is None else refund_watch_workflow_id(stripe_id)
        case FindingKind.UNKNOWN_DISPUTE if stripe_id is not None:
            return dispute_workflow_id(stripe_id)
        case _:
            return None if difference.order_id is None else order_workflow_id(difference.order_id)
