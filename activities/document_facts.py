"""What a document says, read from the record: in two statements, in three where an invoice was paid, in four for the
credit note of a place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypedDict, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ScalarSelect, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from activities.printed import (
    BoughtLine,
    Buyer,
    CreditedLine,
    PaidByCard,
    PaidByInvoice,
    PrintedCreditNote,
    PrintedDocument,
    PrintedInvoice,
    PrintedReceipt,
    Seller,
    Tax,
)
from models.money import Money, split
from models.tables import (
    Academy,
    Course,
    Document,
    Enrollment,
    Invoice,
    InvoicePayment,
    LessonSlot,
    Order,
    OrderLine,
    Payment,
    Person,
    Refund,
)
from models.vocabulary import DocumentKind, OfflineMethod, RefundStatus, TaxBehavior

_T = TypeVar("_T")
_ADDRESS_LINES = 8  # more than any envelope shows


@dataclass(frozen=True)
class _Around:
    """The document with all that stands around its lines. `refund` is what a credit note is for, `place` the one
    enrollment that it pays back, if it is not for the whole order, and `course` that enrollment's course."""

    document: Document
    order: Order
    payer: Person
    academy: Academy
    payment: Payment | None
    invoice: Invoice | None
    refund: Refund | None
    place: Enrollment | None
    course: Course | None
    receipt_number: str | None
    invoice_number: str | None

    def money(self, amount: int) -> Money:
        return Money(amount=amount, currency=self.order.currency)

    def day(self, moment: datetime) -> date:
        return moment.astimezone(ZoneInfo(self.academy.time_zone)).date()


@dataclass(frozen=True)
class _Bought:
    """A line with whom it is for, and the first booked slot of a pack or the moment a course begins, if any."""

    line: OrderLine
    student_name: str
    starts_at: datetime | None


class _Common(TypedDict):
    number: str
    order_number: str
    issued_at: datetime
    issued_on: date
    locale: str
    seller: Seller
    buyer: Buyer
    is_test: bool


class _Sold(TypedDict):
    lines: tuple[BoughtLine, ...]
    subtotal: Money
    discount: Money
    tax: Tax | None
    total: Money


async def facts_to_print(session: AsyncSession, document: Document) -> PrintedDocument:
    """All that the document says, as it is on record now."""
    around = await _load_around(session, document)
    bought = await _load_lines(session, around)
    match DocumentKind(document.kind):
        case DocumentKind.RECEIPT:
            return _receipt(around, bought, await _load_received(session, around))
        case DocumentKind.INVOICE:
            return _invoice(around, bought)
        case DocumentKind.CREDIT_NOTE:
            shares, before = await _load_shares(session, around), await _load_credited(session, around)
            return _credit_note(around, bought, shares, before)


async def _load_around(session: AsyncSession, document: Document) -> _Around:
    query = (
        select(
            Order, Person, Academy, Payment, Invoice, Refund, Enrollment, Course,
            _number(DocumentKind.RECEIPT),
            _number(DocumentKind.INVOICE),
        )
        .join(Person, col(Person.id) == col(Order.payer_id))
        .join(Academy, true())
        .join(Payment, col(Payment.order_id) == col(Order.id), isouter=True)
        .join(Invoice, col(Invoice.order_id) == col(Order.id), isouter=True)
        .join(Refund, col(Refund.id) == document.refund_id, isouter=True)
        .join(Enrollment, col(Enrollment.id) == col(Refund.enrollment_id), isouter=True)
        .join(Course, col(Course.id) == col(Enrollment.course_id), isouter=True)
        .where(col(Order.id) == document.order_id)
    )  # fmt: skip
    order, payer, academy, payment, invoice, refund, place, course, receipt, invoiced = (
        await session.execute(query)
    ).one()
    return _Around(document, order, payer, academy, payment, invoice, refund, place, course, receipt, invoiced)


def _number(kind: DocumentKind) -> ScalarSelect[str]:
    named = aliased(Document)
    return (
        select(col(named.number)).where(col(named.order_id) == col(Order.id), col(named.kind) == kind).scalar_subquery()
    )


async def _load_lines(session: AsyncSession, around: _Around) -> Sequence[_Bought]:
    first_slot = (
        select(func.min(LessonSlot.starts_at))
        .where(col(LessonSlot.order_line_id) == col(OrderLine.id))
        .scalar_subquery()
    )
    query = (
        select(OrderLine, col(Person.full_name), func.coalesce(first_slot, col(Course.starts_at)))
        .join(Person, col(Person.id) == col(OrderLine.student_id))
        .join(Course, col(Course.id) == col(OrderLine.course_id))
        .where(col(OrderLine.order_id) == around.order.id)
        .order_by(col(OrderLine.position))
    )
    if around.place is not None:
        query = query.where(col(OrderLine.id) == around.place.order_line_id)
    return [_Bought(*row) for row in (await session.execute(query)).all()]


async def _load_shares(session: AsyncSession, around: _Around) -> Mapping[UUID, int]:
    """What each place of the line that is paid back has cost, by the place, in the order of their ids."""
    if around.place is None:
        return {}
    query = (
        select(col(Enrollment.id), col(Enrollment.share_amount))
        .where(col(Enrollment.order_line_id) == around.place.order_line_id)
        .order_by(col(Enrollment.id))
    )
    return {row.id: row.share_amount for row in await session.execute(query)}


async def _load_credited(session: AsyncSession, around: _Around) -> int:
    """What earlier credit notes have taken back of the same place, in minor units, as far as it has gone back."""
    if around.place is None:
        return 0
    note = around.document
    earlier = (col(Document.issued_at) < note.issued_at) | (
        (col(Document.issued_at) == note.issued_at) & (col(Document.id) < note.id)
    )
    query = (
        select(func.coalesce(func.sum(col(Refund.amount)), 0))
        .join(Document, col(Document.refund_id) == col(Refund.id))
        .where(
            col(Refund.enrollment_id) == around.place.id,
            col(Refund.status).not_in((RefundStatus.FAILED, RefundStatus.CANCELED)),
            earlier,
        )
    )
    return int((await session.execute(query)).scalar_one())


async def _load_received(session: AsyncSession, around: _Around) -> Sequence[InvoicePayment]:
    if around.invoice is None:
        return ()
    query = select(InvoicePayment).where(col(InvoicePayment.invoice_id) == around.invoice.id)
    return (await session.execute(query)).scalars().all()


def _receipt(around: _Around, bought: Sequence[_Bought], received: Sequence[InvoicePayment]) -> PrintedReceipt:
    issued_on = around.day(around.document.issued_at)
    return PrintedReceipt(
        **_common(around),
        **_sold(around, bought),
        paid_on=max((part.received_on for part in received), default=issued_on),
        payment=_payment(around, received),
        received=_another_amount(around),
    )


def _invoice(around: _Around, bought: Sequence[_Bought]) -> PrintedInvoice:
    invoice = _there(around.invoice)
    return PrintedInvoice(
        **_common(around),
        **_sold(around, bought),
        due_on=invoice.due_on,
        amount_due=around.money(invoice.amount),
        instructions=_lines_of(around.academy.payment_instructions),
    )


def _credit_note(
    around: _Around, bought: Sequence[_Bought], shares: Mapping[UUID, int], before: int
) -> PrintedCreditNote:
    refund = _there(around.refund)
    amounts = split(refund.amount, [line.line.total_amount for line in bought])
    lines = tuple(_credited(around, line, amount, shares, before) for line, amount in zip(bought, amounts, strict=True))
    return PrintedCreditNote(
        **_common(around),
        receipt_number=around.receipt_number,
        invoice_number=around.invoice_number,
        lines=lines,
        tax=_tax(around, refund.amount, sum(line.tax.amount for line in lines)),
        total=around.money(refund.amount),
        reason=refund.reason,
    )


def _credited(around: _Around, bought: _Bought, amount: int, shares: Mapping[UUID, int], before: int) -> CreditedLine:
    """A part of a line takes the same part of its tax with it, half up: no more than all, for money beyond the price
    was never taxed. The tax is split over the places once, and over the refunds of a place by what had gone back up to
    each, so that credit notes never take back more of it than there is."""
    line = bought.line
    price, taxed = line.total_amount, line.tax_amount
    if around.place is not None and len(shares) > 1:
        parts = dict(zip(shares, split(line.tax_amount, list(shares.values())), strict=True))
        price, taxed = shares[around.place.id], parts[around.place.id]

    def tax_of(credited: int) -> int:
        # Of two parts the first has the better of a tie: it is rounded half up.
        priced = min(credited, price)
        return split(taxed, (priced, price - priced))[0] if priced else 0

    part = around.course if around.place is not None and around.place.course_id != line.course_id else None
    return CreditedLine(
        title=line.title,
        part=None if part is None else part.title,
        student_name=bought.student_name,
        tax=around.money(tax_of(before + amount) - tax_of(before)),
        total=around.money(amount),
    )


def _common(around: _Around) -> _Common:
    document, order, payer, academy = around.document, around.order, around.payer, around.academy
    return _Common(
        number=document.number,
        order_number=order.number,
        issued_at=document.issued_at,
        issued_on=around.day(document.issued_at),
        locale=payer.locale,
        seller=Seller(
            name=academy.name,
            legal_name=academy.legal_name,
            address=_lines_of(academy.address, _ADDRESS_LINES),
            tax_number=academy.tax_number,
            email=academy.email,
        ),
        buyer=Buyer(
            name=payer.billing_name or payer.full_name,
            contact=payer.full_name if payer.billing_name else None,
            address=_lines_of(payer.billing_address, _ADDRESS_LINES),
            tax_number=payer.tax_number,
            email=payer.email,
        ),
        is_test=order.is_test,
    )


def _sold(around: _Around, bought: Sequence[_Bought]) -> _Sold:
    order, money = around.order, around.money
    return _Sold(
        lines=tuple(
            BoughtLine(
                title=sold.line.title,
                student_name=sold.student_name,
                starts_on=None if sold.starts_at is None else around.day(sold.starts_at),
                list_price=money(sold.line.list_amount),
                discount=money(sold.line.discount_amount),
                tax=money(sold.line.tax_amount),
                total=money(sold.line.total_amount),
            )
            for sold in bought
        ),
        subtotal=money(order.list_amount),
        discount=money(order.discount_amount),
        tax=_tax(around, order.total_amount, order.tax_amount),
        total=money(order.total_amount),
    )


def _tax(around: _Around, total: int, amount: int) -> Tax | None:
    order = around.order
    if order.tax_name is None or order.tax_percent is None:
        return None
    return Tax(
        name=order.tax_name,
        percent=order.tax_percent,
        behavior=TaxBehavior.INCLUSIVE if order.tax_inclusive else TaxBehavior.EXCLUSIVE,
        net=around.money(total - amount),
        amount=around.money(amount),
    )


def _payment(around: _Around, received: Sequence[InvoicePayment]) -> PaidByCard | PaidByInvoice | None:
    if not around.order.total_amount:
        return None
    if around.invoice_number is not None:
        used = {part.method for part in received} or {OfflineMethod.OTHER}
        return PaidByInvoice(number=around.invoice_number, methods=tuple(way for way in OfflineMethod if way in used))
    payment = around.payment
    return PaidByCard(reference=None if payment is None else payment.charge_id or payment.payment_intent_id)


def _another_amount(around: _Around) -> Money | None:
    """What came in through Stripe, where staff accepted another amount than was asked."""
    payment, total = around.payment, around.order.total_amount
    if payment is None or payment.captured_amount in (0, total):
        return None
    return around.money(payment.captured_amount)


def _lines_of(text: str | None, most: int | None = None) -> tuple[str, ...]:
    """The lines that have something on them; what is beyond the most of them is put on the last one."""
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    if most is not None and len(lines) > most:
        lines = [*lines[: most - 1], ", ".join(lines[most - 1 :])]
    return tuple(lines)


def _there(found: _T | None) -> _T:
    if found is None:
        raise LookupError("the document's invoice or refund is not on record")
    return found
