"""Orders written straight into the record, for tests of what is printed of them: taxed, invoiced, paid back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from uuid import UUID

from activities.database import Sessions
from models.tables import Document, Enrollment, Invoice, InvoicePayment, Order, OrderLine, Payment, Refund
from models.vocabulary import (
    DocumentKind,
    EnrollmentStatus,
    InvoiceStatus,
    OfflineMethod,
    OrderStatus,
    PaymentMethod,
    PaymentStatus,
    RefundPolicy,
)
from sandbox.sample_academy import sample_id

ISSUED = datetime(2026, 3, 12, 23, 30, tzinfo=UTC)  # the thirteenth in Berlin
_NUMBERS = count(1)


@dataclass(frozen=True)
class Sold:
    """A line: what for, its price before tax and discount, and the tax on (or in) it, in minor units."""

    code: str
    price: int
    tax: int = 0
    discount: int = 0
    student: str = "grace"


@dataclass(frozen=True)
class WrittenOrder:
    """The ids of what was written; a place for each line."""

    order_id: UUID
    receipt_id: UUID
    line_ids: tuple[UUID, ...]
    place_ids: tuple[UUID, ...]


async def write_order(
    sessions: Sessions, sold: Sequence[Sold], *, percent: str | None = None, inclusive: bool = True,
    method: PaymentMethod = PaymentMethod.CHECKOUT, is_test: bool = False,
) -> WrittenOrder:  # fmt: skip
    """A completed order of Grace's; one that is not paid by invoice was paid by card."""
    on_top = 0 if inclusive else 1
    totals = [line.price - line.discount + on_top * line.tax for line in sold]
    order = Order(
        number=f"O-2026-{next(_NUMBERS):06d}", payer_id=sample_id("person", "grace"), status=OrderStatus.COMPLETED,
        payment_method=method, currency="EUR", list_amount=sum(line.price for line in sold),
        discount_amount=sum(line.discount for line in sold), tax_amount=sum(line.tax for line in sold),
        tax_inclusive=inclusive, tax_name=percent and "VAT", tax_percent=None if percent is None else Decimal(percent),
        total_amount=sum(totals), quote={}, request_digest="a" * 64, hold_expires_at=ISSUED, is_test=is_test,
        completed_at=ISSUED,
    )  # fmt: skip
    lines = [
        OrderLine(
            order_id=order.id, position=place, course_id=sample_id("course", line.code),
            student_id=sample_id("person", line.student), title=f"{line.code} as it was sold", list_amount=line.price,
            discount_amount=line.discount, tax_amount=line.tax, total_amount=total,
        )
        for place, (line, total) in enumerate(zip(sold, totals, strict=True))
    ]  # fmt: skip
    places = [
        Enrollment(
            order_line_id=line.id, course_id=line.course_id, student_id=line.student_id, enrolled_at=ISSUED,
            status=EnrollmentStatus.ACTIVE, refund_policy=RefundPolicy.WINDOW, share_amount=line.total_amount,
        )
        for line in lines
    ]  # fmt: skip
    receipt = Document(
        order_id=order.id, kind=DocumentKind.RECEIPT, number=f"R-2026-{next(_NUMBERS):06d}", issued_at=ISSUED
    )
    payment = Payment(
        order_id=order.id, status=PaymentStatus.SUCCEEDED, amount=order.total_amount, currency=order.currency,
        captured_amount=order.total_amount, charge_id=f"ch_{order.id.hex}", succeeded_at=ISSUED,
    )  # fmt: skip
    async with sessions.begin() as session:
        session.add(order)
        await session.flush()
        session.add_all([*lines, receipt, *([payment] if method is not PaymentMethod.INVOICE else [])])
        await session.flush()
        session.add_all(places)
    return WrittenOrder(order.id, receipt.id, tuple(line.id for line in lines), tuple(place.id for place in places))


async def write_invoice(
    sessions: Sessions, written: WrittenOrder, *paid: tuple[int, OfflineMethod, date], number: str = "I-2026-000007"
) -> UUID:
    """The order's invoice and what came in for it; answers the id of its document."""
    async with sessions.begin() as session:
        order = await session.get_one(Order, written.order_id)
        invoice = Invoice(
            order_id=order.id, currency=order.currency, amount=order.total_amount, due_on=date(2026, 3, 27),
            paid_amount=sum(amount for amount, _, _ in paid), status=InvoiceStatus.PAID if paid else InvoiceStatus.OPEN,
            closed_at=ISSUED if paid else None,
        )  # fmt: skip
        document = Document(order_id=order.id, kind=DocumentKind.INVOICE, number=number, issued_at=ISSUED)
        session.add_all([invoice, document])
        await session.flush()
        session.add_all(
            InvoicePayment(invoice_id=invoice.id, amount=amount, method=method, received_on=day, recorded_by="staff:1")
            for amount, method, day in paid
        )
    return document.id


async def write_credit_note(
    sessions: Sessions, written: WrittenOrder, amount: int, *, place_id: UUID | None = None, reason: str = "seat_lost"
) -> UUID:
    """A refund, of one place or of the whole order, and the document that tells of it; answers the document's id."""
    async with sessions.begin() as session:
        order = await session.get_one(Order, written.order_id)
        refund = Refund(
            order_id=order.id, enrollment_id=place_id, amount=amount, currency=order.currency, reason=reason,
            workflow_id=f"order-{order.id}",
        )  # fmt: skip
        session.add(refund)
        await session.flush()
        note = Document(
            order_id=order.id, kind=DocumentKind.CREDIT_NOTE, refund_id=refund.id,
            number=f"C-2026-{next(_NUMBERS):06d}", issued_at=ISSUED,
        )  # fmt: skip
        session.add(note)
    return note.id
