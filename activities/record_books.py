"""What the record has of payments, refunds and disputes, set-based, for comparing it with Stripe."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, String, Uuid, any_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.kept_places import kept_places
from activities.refund_record import GOES_BACK
from models.identifiers import unmatched_payment_workflow_id
from models.tables import Dispute, HumanTask, Order, Payment, Refund
from models.vocabulary import DisputeStatus, OrderStatus, PaymentStatus, RefundStatus, TaskAction, TaskStatus
from rules.reconciliation import KeptPlace, PaymentOnRecord, RefundOnRecord


async def payments_on_record(
    session: AsyncSession, since: datetime, until: datetime, intents: Collection[str], orders: Collection[UUID]
) -> list[PaymentOnRecord]:
    """The payments of orders that were paid or completed in that span, that Stripe tells of, or that are named."""
    payment = Payment
    wanted = (
        select(col(payment.order_id)).where(_is_in(payment.payment_intent_id, intents))
        .union(
            select(col(payment.order_id)).where(_is_id_in(payment.order_id, orders)),
            select(col(payment.order_id)).where(col(payment.succeeded_at).between(since, until)),
            select(col(payment.order_id))
            .join(Order, col(Order.id) == col(payment.order_id))
            .where(col(Order.completed_at).between(since, until)),
        )
        .subquery()
    )  # fmt: skip
    query = (
        select(
            col(Order.id),
            col(Order.status),
            col(payment.payment_intent_id),
            col(payment.status),
            col(payment.amount),
            col(payment.captured_amount),
            col(payment.currency),
        )
        .join(Payment, col(Payment.order_id) == col(Order.id))
        .join(wanted, wanted.c.order_id == col(Order.id))
    )
    # Columns: there may be hundreds of thousands of them, and an object of each takes twenty times as much.
    return [
        PaymentOnRecord(
            order_id=row[0],
            order_status=OrderStatus(row[1]),
            payment_intent_id=row[2],
            status=PaymentStatus(row[3]),
            due=row[4],
            captured=row[5],
            currency=row[6],
        )
        for row in await (await session.connection()).execute(query)
    ]


async def going_back_of(session: AsyncSession, intents: Collection[str]) -> dict[str, int]:
    """How much the record pays back of each payment, in minor units."""
    query = (
        select(col(Refund.payment_intent_id), func.sum(col(Refund.amount)))
        .where(_is_in(Refund.payment_intent_id, intents), col(Refund.status).in_(GOES_BACK))
        .group_by(col(Refund.payment_intent_id))
    )
    return {str(intent): int(amount) for intent, amount in (await session.execute(query)).all()}


async def kept_payments(session: AsyncSession, intents: Collection[str]) -> frozenset[str]:
    """The payments of which a person has decided that the money stays where it is."""
    jobs = {unmatched_payment_workflow_id(intent): intent for intent in intents}
    query = select(col(HumanTask.workflow_id)).where(
        _is_in(HumanTask.workflow_id, jobs),
        col(HumanTask.status) == TaskStatus.DONE,
        col(HumanTask.decision) == TaskAction.DISMISS,
        col(HumanTask.decided_by) != "system",
    )
    return frozenset(jobs[each] for each in (await session.execute(query)).scalars())


async def orders_of(session: AsyncSession, intents: Collection[str]) -> dict[str, UUID]:
    """The orders that these payments are the own payments of."""
    query = select(col(Payment.payment_intent_id), col(Payment.order_id)).where(
        _is_in(Payment.payment_intent_id, intents)
    )
    return {str(intent): order_id for intent, order_id in (await session.execute(query)).all()}


async def refunds_on_record(
    session: AsyncSession, since: datetime, until: datetime, stripe_ids: Collection[str], refund_ids: Collection[UUID]
) -> list[RefundOnRecord]:
    """The refunds that were asked of Stripe in that span, or that Stripe tells of."""
    query = select(Refund).where(
        or_(
            _is_in(Refund.stripe_refund_id, stripe_ids),
            _is_id_in(Refund.id, refund_ids),
            col(Refund.stripe_refund_id).is_not(None) & col(Refund.created_at).between(since, until),
        )
    )
    return [
        RefundOnRecord(
            refund_id=row.id,
            order_id=row.order_id,
            stripe_refund_id=row.stripe_refund_id,
            status=RefundStatus(row.status),
            amount=row.amount,
            currency=row.currency,
        )
        for row in (await session.execute(query)).scalars()
    ]


async def places_on_record(
    session: AsyncSession, since: datetime, until: datetime, orders: Collection[UUID]
) -> list[KeptPlace]:
    """Places that give access though their money is back, of orders refunded in that span, and of those named."""
    changed = select(col(Refund.order_id)).where(col(Refund.updated_at).between(since, until))
    named = select(func.unnest(literal(list(orders), ARRAY(Uuid))))
    # One set of ids instead of one or the other condition, for which every order would have to be looked at.
    query = kept_places(col(Order.id).in_(changed.union(named)))
    return [KeptPlace(row[0], row[1], row[2], row[3], row[4]) for row in (await session.execute(query)).all()]


async def disputes_on_record(session: AsyncSession, stripe_ids: Collection[str]) -> dict[str, DisputeStatus]:
    """How these disputes stand, by Stripe's ids; those that are not in the record are left out."""
    query = select(col(Dispute.stripe_dispute_id), col(Dispute.status)).where(
        _is_in(Dispute.stripe_dispute_id, stripe_ids)
    )
    return {stripe_id: DisputeStatus(status) for stripe_id, status in (await session.execute(query)).all()}


def _is_in(column: str | None, values: Collection[str]) -> ColumnElement[bool]:
    return col(column) == any_(literal(list(values), ARRAY(String)))


def _is_id_in(column: UUID, values: Collection[UUID]) -> ColumnElement[bool]:
    return col(column) == any_(literal(list(values), ARRAY(Uuid)))
