"""What makes an order complete: money written down, enrollments activated, slots booked, the receipt numbered."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import any_, literal, select, union, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.access import access_days_from_start, access_end
from activities.audit import StateChange, write_audit
from activities.cart_record import bought_carts, buy_carts
from activities.coupon_uses import confirm_coupon
from activities.holds import book_slots, retake_places
from activities.numbers import Series, next_number
from activities.people import lock_people
from activities.time_zones import zone_of_academy
from models.messages.orders import CompletedOrder, CompleteOrder, PaymentFacts
from models.tables import Course, Document, Enrollment, LessonSlot, Order, OrderLine, Payment
from models.tables.columns import now
from models.vocabulary import DocumentKind, EnrollmentStatus, OrderStatus, PaymentMethod, PaymentStatus


async def complete(session: AsyncSession, order: Order, step: CompleteOrder) -> CompletedOrder:
    """Complete the locked order. A place that was given back while the payment was on its way is taken again if it is
    still free; what cannot be had any more is told as lost."""
    await _lock_buyers(session, order)
    moment = now()
    cart_ids = await buy_carts(session, order, workflow_id=step.workflow_id, moment=moment)
    changes = [StateChange("order", order.id, OrderStatus.PENDING_PAYMENT, OrderStatus.COMPLETED)]
    changes += await write_payment(session, order.id, step.payment)
    lost: list[UUID] = []
    if order.hold_lapsed_at is not None:
        retaken, lost = await retake_places(session, order.id)
        changes += retaken
    activated = await _activate_enrollments(session, order.id, moment)
    changes += [
        StateChange("enrollment", row, EnrollmentStatus.PENDING_PAYMENT, EnrollmentStatus.ACTIVE) for row in activated
    ]
    changes += await book_slots(session, order.id)
    if order.coupon_id is not None:
        await confirm_coupon(session, order.id)
    zone = await zone_of_academy(session)
    receipt = Document(
        order_id=order.id,
        kind=DocumentKind.RECEIPT,
        number=await next_number(session, Series.RECEIPT, year=moment.astimezone(zone).year, is_test=order.is_test),
        issued_at=moment,
    )
    session.add(receipt)
    order.status, order.completed_at, order.updated_at = OrderStatus.COMPLETED, moment, moment
    actor, reason = _why(order, step)
    await write_audit(session, changes, actor=actor, reason=reason, workflow_id=step.workflow_id)
    return CompletedOrder(
        payer_id=order.payer_id,
        receipt_id=receipt.id,
        enrollment_ids=tuple(activated),
        lost_ids=tuple(lost),
        cart_ids=tuple(cart_ids),
        starts_drips=True,
    )


async def completed_before(session: AsyncSession, order: Order) -> CompletedOrder:
    """The same answer again, for an order that is complete already."""
    receipt = select(col(Document.id)).where(
        col(Document.order_id) == order.id, col(Document.kind) == DocumentKind.RECEIPT
    )
    enrollments = (
        select(col(Enrollment.id), col(Enrollment.enrolled_at))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .where(col(OrderLine.order_id) == order.id)
    )
    receipt_id = (await session.execute(receipt)).scalar_one()
    places = (await session.execute(enrollments)).all()
    return CompletedOrder(
        payer_id=order.payer_id,
        receipt_id=receipt_id,
        enrollment_ids=tuple(place for place, enrolled_at in places if enrolled_at is not None),
        lost_ids=tuple(place for place, enrolled_at in places if enrolled_at is None),
        cart_ids=tuple(await bought_carts(session, order)),
        starts_drips=True,
    )


async def write_payment(session: AsyncSession, order_id: UUID, facts: PaymentFacts | None) -> list[StateChange]:
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
    payment.checkout_url = payment.client_secret = payment.resting_until = None
    payment.updated_at = now()
    payment.succeeded_at = payment.updated_at if facts.status is PaymentStatus.SUCCEEDED else None
    return [change]


async def _lock_buyers(session: AsyncSession, order: Order) -> None:
    """Whoever is about to remind the payer or a student of a cart waits, and then sees that it was bought.

    Tutors whose hours may have to be taken again are locked with them: people are locked all at once, by their ids.
    """
    of_order = col(OrderLine.order_id) == order.id
    people = [select(literal(order.payer_id)), select(col(OrderLine.student_id)).where(of_order)]
    if order.hold_lapsed_at is not None:
        hours = col(LessonSlot.id) == any_(col(OrderLine.slot_ids))
        people.append(select(col(LessonSlot.tutor_id)).join(OrderLine, hours).where(of_order))
    await lock_people(session, union(*people))


async def _activate_enrollments(session: AsyncSession, order_id: UUID, moment: datetime) -> list[UUID]:
    """From now on the places are open, for as long as their courses say."""
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
            access_ends_at=access_end(moment),
            access_days_from_start=access_days_from_start(),
        )
        .returning(col(Enrollment.id))
    )
    return list((await session.execute(activated)).scalars())


def _why(order: Order, step: CompleteOrder) -> tuple[str, str]:
    if step.payment is not None:
        return "stripe", "payment succeeded"
    if order.payment_method == PaymentMethod.INVOICE and order.total_amount:
        return "system", "invoice paid"
    return "system", "nothing to pay"
