"""Refunds in the record: requested within what came in, and written down as Stripe tells them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.coupon_uses import release_coupon
from activities.holds import end_places
from activities.numbers import Series, next_number
from models.identifiers import refund_id_for
from models.messages.orders import RefundedPlaces, RefundPayment, RefundPlaces, RefundReport
from models.tables import Academy, Document, Enrollment, Invoice, Order, OrderLine, Payment, Refund
from models.tables.columns import now
from models.vocabulary import DocumentKind, OrderStatus, RefundStatus
from rules.lifecycle import may_follow

# The others have taken nothing back.
_LIVE = (RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION, RefundStatus.SUCCEEDED)


@dataclass(frozen=True)
class Told:
    """What Stripe says of a refund; without an id it was never made there."""

    status: RefundStatus
    stripe_refund_id: str | None


@dataclass(frozen=True)
class _Received:
    """What came in for an order, in minor units, and through which PaymentIntent; none for an invoice."""

    amount: int
    payment_intent_id: str | None


async def request_refunds(session: AsyncSession, step: RefundPlaces) -> tuple[list[Refund], str | None]:
    """End the places and write a refund for each that was paid for, never more together than what came in.

    Answers the refunds and the PaymentIntent that they go back through; none where the money came by invoice.
    """
    order = await session.get_one(Order, step.order_id, with_for_update=True)
    received = await _received(session, order.id)
    refunds = await _refunds_of(session, order.id)
    places = await _places(session, step)
    place_ids = [place.id for place in places]
    changes = await end_places(session, place_ids)
    known = {refund.enrollment_id for refund in refunds}
    remaining = received.amount - sum(refund.amount for refund in refunds if refund.status in _LIVE)
    for place in places:
        amount = min(place.share_amount, remaining)
        if amount and place.id not in known:
            remaining -= amount
            refund = _refund(order, place.id, amount, step, offline=received.payment_intent_id is None)
            session.add(refund)
            refunds.append(refund)
            changes.append(StateChange("refund", refund.id, None, refund.status))
    await write_audit(session, changes, actor=step.actor, reason=step.reason, workflow_id=step.workflow_id)
    return [refund for refund in refunds if refund.enrollment_id in place_ids], received.payment_intent_id


async def request_whole_refund(session: AsyncSession, step: RefundPayment) -> Refund:
    """Write the refund of everything that came in for an order that is not completed."""
    refund_id = refund_id_for(step.workflow_id, "payment")
    wanted = insert(Refund).values(
        id=refund_id,
        created_at=now(),
        updated_at=now(),
        order_id=step.order_id,
        amount=step.amount.amount,
        currency=step.amount.currency,
        reason=step.reason,
        status=RefundStatus.PENDING,
        workflow_id=step.workflow_id,
    )
    made = await session.execute(wanted.on_conflict_do_nothing().returning(col(Refund.id)))
    if made.first() is not None:
        change = StateChange("refund", refund_id, None, RefundStatus.PENDING)
        await write_audit(session, [change], actor="system", reason=step.reason, workflow_id=step.workflow_id)
    return await session.get_one(Refund, refund_id)


async def write_refunds(
    session: AsyncSession, order_id: UUID, told: Mapping[UUID, Told], *, reason: str, workflow_id: str
) -> RefundedPlaces:
    """Write down how the refunds stand, with the order, its payment and, where there is a receipt, credit notes."""
    order = await session.get_one(Order, order_id, with_for_update=True)
    refunds = await _refunds_of(session, order_id)
    changes: list[StateChange] = []
    for refund in refunds:
        if (news := told.get(refund.id)) is not None:
            if refund.status != news.status:
                changes.append(StateChange("refund", refund.id, refund.status, news.status))
            refund.status, refund.stripe_refund_id, refund.updated_at = news.status, news.stripe_refund_id, now()
    notes: dict[UUID, UUID] = {}
    if order.completed_at is not None:
        live = sum(refund.amount for refund in refunds if refund.status in _LIVE)
        changes += await _close_order(session, order, live)
        notes = await _issue_credit_notes(session, order, [refund for refund in refunds if refund.id in told])
    await write_audit(session, changes, actor="stripe", reason=reason, workflow_id=workflow_id)
    return RefundedPlaces(
        order_status=OrderStatus(order.status),
        refunds=tuple(
            RefundReport(refund_id=refund.id, status=RefundStatus(refund.status), credit_note_id=notes.get(refund.id))
            for refund in refunds
            if refund.id in told
        ),
    )


async def _received(session: AsyncSession, order_id: UUID) -> _Received:
    query = (
        select(
            col(Payment.captured_amount),
            col(Payment.payment_intent_id),
            func.least(col(Invoice.paid_amount), col(Invoice.amount)),
        )
        .select_from(Order)
        .join(Payment, col(Payment.order_id) == col(Order.id), isouter=True)
        .join(Invoice, col(Invoice.order_id) == col(Order.id), isouter=True)
        .where(col(Order.id) == order_id)
    )
    captured, intent_id, invoiced = (await session.execute(query)).one()
    return _Received(captured or invoiced or 0, intent_id)


async def _places(session: AsyncSession, step: RefundPlaces) -> Sequence[Enrollment]:
    lines = select(col(OrderLine.id)).where(col(OrderLine.order_id) == step.order_id)
    query = select(Enrollment).where(col(Enrollment.order_line_id).in_(lines)).order_by(col(Enrollment.id))
    if step.enrollment_ids:
        query = query.where(col(Enrollment.id).in_(step.enrollment_ids))
    return (await session.execute(query)).scalars().all()


async def _refunds_of(session: AsyncSession, order_id: UUID) -> list[Refund]:
    query = select(Refund).where(col(Refund.order_id) == order_id).order_by(col(Refund.id)).with_for_update()
    return list((await session.execute(query)).scalars())


def _refund(order: Order, enrollment_id: UUID, amount: int, step: RefundPlaces, *, offline: bool) -> Refund:
    return Refund(
        id=refund_id_for(step.workflow_id, str(enrollment_id)),
        order_id=order.id,
        enrollment_id=enrollment_id,
        amount=amount,
        currency=order.currency,
        reason=step.reason,
        workflow_id=step.workflow_id,
        status=RefundStatus.REQUIRES_ACTION if offline else RefundStatus.PENDING,
    )


async def _close_order(session: AsyncSession, order: Order, refunded: int) -> list[StateChange]:
    found = select(Payment).where(col(Payment.order_id) == order.id).with_for_update()
    payment = (await session.execute(found)).scalar_one_or_none()
    if payment is not None:
        payment.refunded_amount, payment.updated_at = refunded, now()
    paid = order.total_amount if payment is None else payment.captured_amount
    if paid and not refunded:
        return []
    status = OrderStatus.REFUNDED if refunded >= paid else OrderStatus.PARTIALLY_REFUNDED
    if not may_follow(OrderStatus(order.status), status):
        return []
    change = StateChange("order", order.id, order.status, status)
    order.status, order.updated_at = status, now()
    if status is OrderStatus.REFUNDED and order.coupon_id is not None:
        await release_coupon(session, order.id)
    return [change]


async def _issue_credit_notes(session: AsyncSession, order: Order, refunds: Sequence[Refund]) -> dict[UUID, UUID]:
    """One document per refund that takes something back, numbered once."""
    query = select(col(Document.refund_id), col(Document.id)).where(
        col(Document.order_id) == order.id, col(Document.refund_id).is_not(None)
    )
    issued = (await session.execute(query)).all()
    notes = {refund_id: document_id for refund_id, document_id in issued if refund_id is not None}
    owed = [refund for refund in refunds if refund.status in _LIVE and refund.id not in notes]
    if not owed:
        return notes
    moment = now()
    zone = ZoneInfo((await session.execute(select(col(Academy.time_zone)))).scalar_one())
    year = moment.astimezone(zone).year
    for refund in owed:
        note = Document(
            order_id=order.id,
            kind=DocumentKind.CREDIT_NOTE,
            refund_id=refund.id,
            number=await next_number(session, Series.CREDIT_NOTE, year=year, is_test=order.is_test),
            issued_at=moment,
        )
        session.add(note)
        notes[refund.id] = note.id
    return notes
