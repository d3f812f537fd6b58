"""What receipts and mails tell about a completed order, read in two statements."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.tables import Academy, Course, Document, LessonSlot, Order, OrderLine, Payment, Person
from models.vocabulary import DocumentKind


@dataclass(frozen=True)
class BoughtLine:
    """A line with whom it is for. `starts_at` is the first booked slot of a pack or the day a course begins, if any."""

    line: OrderLine
    student: Person
    starts_at: datetime | None


@dataclass(frozen=True)
class OrderFacts:
    """A completed order with all around it. `payment` is none if nothing was to be paid."""

    order: Order
    payer: Person
    academy: Academy
    receipt: Document
    payment: Payment | None
    lines: tuple[BoughtLine, ...]


async def facts_of_receipt(session: AsyncSession, receipt_id: UUID) -> OrderFacts | None:
    """The order that the receipt is for; none if there is no such receipt."""
    return await _load(session, col(Document.id) == receipt_id)


async def facts_of_order(session: AsyncSession, order_id: UUID) -> OrderFacts | None:
    """The order itself; none if it does not exist or was never completed."""
    return await _load(session, (col(Document.order_id) == order_id) & (col(Document.kind) == DocumentKind.RECEIPT))


async def _load(session: AsyncSession, which: ColumnElement[bool]) -> OrderFacts | None:
    around = (
        select(Order, Person, Academy, Document, Payment)
        .join(Document, col(Document.order_id) == col(Order.id))
        .join(Person, col(Person.id) == col(Order.payer_id))
        .join(Academy, true())
        .join(Payment, col(Payment.order_id) == col(Order.id), isouter=True)
        .where(which)
    )
    found = (await session.execute(around)).one_or_none()
    if found is None:
        return None
    order, payer, academy, receipt, payment = found
    first_slot = (
        select(func.min(LessonSlot.starts_at))
        .where(col(LessonSlot.order_line_id) == col(OrderLine.id))
        .scalar_subquery()
    )
    bought = (
        select(OrderLine, Person, func.coalesce(first_slot, col(Course.starts_at)))
        .join(Person, col(Person.id) == col(OrderLine.student_id))
        .join(Course, col(Course.id) == col(OrderLine.course_id))
        .where(col(OrderLine.order_id) == order.id)
        .order_by(col(OrderLine.position))
    )
    lines = tuple(BoughtLine(*row) for row in (await session.execute(bought)).all())
    return OrderFacts(order, payer, academy, receipt, payment, lines)
