"""The order in the record: placed with its holds, completed into enrollments, or released. One transaction each."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.holds import book_slots, hold_seats, hold_slots, release_holds, reserve_coupon
from activities.numbers import Series, next_number
from activities.sale import Sale, load_sale
from models.errors import Reason
from models.identifiers import new_id
from models.messages.orders import (
    CompletedOrder,
    CompleteOrder,
    OrderRequest,
    PaymentFacts,
    PlacedOrder,
    PlaceOrder,
    ReleaseOrder,
)
from models.money import Money
from models.quote import Quote
from models.tables import Academy, Course, Document, Enrollment, Order, OrderLine, Payment
from models.tables.columns import now
from models.vocabulary import DocumentKind, EnrollmentStatus, OrderStatus, PaymentStatus, SlotStatus
from rules.decision import Refused
from rules.holds import hold_length
from rules.lifecycle import require_transition
from rules.pricing import quote_order

_Decided = TypeVar("_Decided")


class _RefusedError(Exception):
    """Leaves the transaction, so that what was held so far is given back."""

    def __init__(self, refused: Refused) -> None:
        self.refused = refused


@dataclass
class OrderActivities:
    """Steps of an order that touch PostgreSQL only. Each may be repeated: the second time finds the work done."""

    sessions: Sessions

    @activity.defn
    async def place_order(self, step: PlaceOrder) -> PlacedOrder:
        """Price the order, hold seats, slots and coupon, and write it all down; or refuse and write nothing."""
        try:
            async with self.sessions.begin() as session:
                order = await session.get(Order, step.request.order_id)
                if order is None:
                    order = await _place(session, step.request, step.workflow_id)
                return PlacedOrder(
                    number=order.number,
                    total=Money(amount=order.total_amount, currency=order.currency),
                    hold_expires_at=order.hold_expires_at,
                )
        except _RefusedError as no:
            return PlacedOrder(refusal=no.refused.reason, refusal_detail=no.refused.detail)

    @activity.defn
    async def complete_order(self, step: CompleteOrder) -> CompletedOrder:
        """The order is paid or free: activate its enrollments, book its slots, number its receipt."""
        async with self.sessions.begin() as session:
            order = await session.get_one(Order, step.order_id, with_for_update=True)
            if order.completed_at is not None:
                return await _completed_before(session, order)
            require_transition(OrderStatus(order.status), OrderStatus.COMPLETED)
            return await _complete(session, order, step)

    @activity.defn
    async def release_order(self, step: ReleaseOrder) -> None:
        """The order is off: give back what it held and close it as failed or cancelled, with the reason."""
        async with self.sessions.begin() as session:
            order = await session.get_one(Order, step.order_id, with_for_update=True)
            if order.status == step.status:
                return
            require_transition(OrderStatus(order.status), step.status)
            changes = [StateChange("order", order.id, OrderStatus.PENDING_PAYMENT, step.status)]
            changes += await release_holds(session, order.id, order.coupon_id)
            changes += await _write_payment(session, order.id, step.payment)
            order.status, order.status_reason, order.updated_at = step.status, step.reason, now()
            await write_audit(session, changes, actor=step.actor, reason=step.reason, workflow_id=step.workflow_id)


async def _place(session: AsyncSession, request: OrderRequest, workflow_id: str) -> Order:
    moment = now()
    sale = _or_refuse(await load_sale(session, request))
    quote = _or_refuse(
        quote_order(request.lines, sale.courses, sale.coupon, academy_zone=ZoneInfo(sale.academy_zone), moment=moment)
    )
    line_ids = [new_id() for _ in request.lines]
    await _hold(session, request, sale, line_ids)
    order = Order(
        id=request.order_id,
        number=await next_number(
            session,
            Series.ORDER,
            year=moment.astimezone(ZoneInfo(sale.academy_zone)).year,
            is_test=request.is_test,
        ),
        payer_id=request.payer_id,
        payment_method=request.payment_method,
        currency=quote.currency,
        list_amount=quote.list_amount,
        discount_amount=quote.discount_amount,
        total_amount=quote.total_amount,
        coupon_id=sale.coupon_id,
        quote=quote.model_dump(mode="json"),
        request_digest=request.digest,
        hold_expires_at=moment + hold_length(sale.courses[line.course_id].kind for line in request.lines),
        is_test=request.is_test,
    )
    session.add(order)
    await session.flush()
    changes = [StateChange("order", order.id, None, OrderStatus.PENDING_PAYMENT)]
    changes += await _write_lines(session, order, quote, line_ids)
    changes += await _write_enrollments(session, request, sale, line_ids)
    changes += [
        StateChange("lesson_slot", slot_id, SlotStatus.FREE, SlotStatus.HELD)
        for line in request.lines
        for slot_id in line.slot_ids
    ]
    await write_audit(session, changes, actor=request.requested_by, reason="order placed", workflow_id=workflow_id)
    return order


async def _hold(session: AsyncSession, request: OrderRequest, sale: Sale, line_ids: list[UUID]) -> None:
    _or_refuse(await hold_seats(session, [line.course_id for line in request.lines], sale.limited))
    for line, line_id in zip(request.lines, line_ids, strict=True):
        _or_refuse(await hold_slots(session, line_id, line.course_id, line.student_id, line.slot_ids))
    _or_refuse(await reserve_coupon(session, sale.coupon_id))


async def _write_lines(session: AsyncSession, order: Order, quote: Quote, line_ids: list[UUID]) -> list[StateChange]:
    session.add_all(
        OrderLine(id=line_id, order_id=order.id, position=position, **line.model_dump(exclude={"shares"}))
        for position, (line_id, line) in enumerate(zip(line_ids, quote.lines, strict=True), start=1)
    )
    if order.total_amount == 0:
        await session.flush()
        return []
    payment = Payment(order_id=order.id, amount=order.total_amount, currency=order.currency)
    session.add(payment)
    await session.flush()
    return [StateChange("payment", payment.id, None, PaymentStatus.REQUIRES_PAYMENT_METHOD)]


async def _write_enrollments(
    session: AsyncSession, request: OrderRequest, sale: Sale, line_ids: list[UUID]
) -> list[StateChange]:
    rows = [
        {
            "id": new_id(),
            "created_at": now(),
            "updated_at": now(),
            "order_line_id": line_id,
            "course_id": line.course_id,
            "student_id": line.student_id,
            "status": EnrollmentStatus.PENDING_PAYMENT,
            "refund_policy": sale.refund_policies[line.course_id],
        }
        for line, line_id in zip(request.lines, line_ids, strict=True)
    ]
    written = await session.execute(
        insert(Enrollment).values(rows).on_conflict_do_nothing().returning(col(Enrollment.id))
    )
    ids = list(written.scalars())
    if len(ids) < len(rows):
        raise _RefusedError(
            Refused(
                Reason.ALREADY_ENROLLED, "A student already has a place, or is about to get one, in the same course."
            )
        )
    return [StateChange("enrollment", row, None, EnrollmentStatus.PENDING_PAYMENT) for row in ids]


async def _complete(session: AsyncSession, order: Order, step: CompleteOrder) -> CompletedOrder:
    moment = now()
    changes = [StateChange("order", order.id, OrderStatus.PENDING_PAYMENT, OrderStatus.COMPLETED)]
    changes += await _write_payment(session, order.id, step.payment)
    enrollment_ids = await _activate_enrollments(session, order.id, moment)
    changes += [
        StateChange("enrollment", row, EnrollmentStatus.PENDING_PAYMENT, EnrollmentStatus.ACTIVE)
        for row in enrollment_ids
    ]
    changes += await book_slots(session, order.id)
    zone = ZoneInfo((await session.execute(select(col(Academy.time_zone)))).scalar_one())
    receipt = Document(
        order_id=order.id,
        kind=DocumentKind.RECEIPT,
        number=await next_number(session, Series.RECEIPT, year=moment.astimezone(zone).year, is_test=order.is_test),
        issued_at=moment,
    )
    session.add(receipt)
    order.status, order.completed_at, order.updated_at = OrderStatus.COMPLETED, moment, moment
    actor, reason = ("stripe", "payment succeeded") if step.payment else ("system", "nothing to pay")
    await write_audit(session, changes, actor=actor, reason=reason, workflow_id=step.workflow_id)
    return CompletedOrder(payer_id=order.payer_id, receipt_id=receipt.id, enrollment_ids=tuple(enrollment_ids))


async def _activate_enrollments(session: AsyncSession, order_id: UUID, moment: datetime) -> list[UUID]:
    """Access lasts the course's `access_days` from now, or from its start where that is later."""
    activated = (
        update(Enrollment)
        .where(
            col(Enrollment.order_line_id) == col(OrderLine.id),
            col(OrderLine.order_id) == order_id,
            col(Course.id) == col(Enrollment.course_id),
            col(Enrollment.status) == EnrollmentStatus.PENDING_PAYMENT,
        )
        .values(
            status=EnrollmentStatus.ACTIVE,
            enrolled_at=moment,
            updated_at=moment,
            access_ends_at=func.greatest(moment, col(Course.starts_at))
            + func.make_interval(0, 0, 0, col(Course.access_days)),
        )
        .returning(col(Enrollment.id))
    )
    return list((await session.execute(activated)).scalars())


async def _completed_before(session: AsyncSession, order: Order) -> CompletedOrder:
    receipt_id = (
        await session.execute(
            select(col(Document.id)).where(
                col(Document.order_id) == order.id, col(Document.kind) == DocumentKind.RECEIPT
            )
        )
    ).scalar_one()
    enrollments = (
        select(col(Enrollment.id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .where(col(OrderLine.order_id) == order.id)
    )
    ids = tuple((await session.execute(enrollments)).scalars())
    return CompletedOrder(payer_id=order.payer_id, receipt_id=receipt_id, enrollment_ids=ids)


async def _write_payment(session: AsyncSession, order_id: UUID, facts: PaymentFacts | None) -> list[StateChange]:
    """Record how the payment ended. It can no longer be made: its link and secret are forgotten."""
    if facts is None:
        return []
    found = select(Payment).where(col(Payment.order_id) == order_id).with_for_update()
    payment = (await session.execute(found)).scalar_one()
    change = StateChange("payment", payment.id, payment.status, facts.status)
    payment.status = facts.status
    payment.captured_amount, payment.refunded_amount = facts.captured.amount, facts.refunded_amount
    payment.payment_intent_id = facts.payment_intent_id or payment.payment_intent_id
    payment.charge_id = facts.charge_id
    payment.checkout_url = payment.client_secret = None
    payment.updated_at = now()
    payment.succeeded_at = payment.updated_at if facts.status is PaymentStatus.SUCCEEDED else None
    return [change]


def _or_refuse(decision: _Decided | Refused) -> _Decided:
    if isinstance(decision, Refused):
        raise _RefusedError(decision)
    return decision
