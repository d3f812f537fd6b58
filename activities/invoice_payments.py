"""What comes in for an invoice, and the end of an invoice that nobody owes any more."""

from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from models.messages.orders import InvoiceBalance, RecordInvoicePayment
from models.money import Money
from models.tables import Invoice, InvoicePayment
from models.tables.columns import now
from models.vocabulary import InvoiceStatus


async def record_payment(session: AsyncSession, step: RecordInvoicePayment) -> InvoiceBalance:
    """Add money that came in, once per entry. A paid invoice takes more all the same: the money is there.

    A void invoice stays void; what came in is written down for whoever pays it back.
    """
    found = select(Invoice).where(col(Invoice.order_id) == step.order_id).with_for_update()
    invoice = (await session.execute(found)).scalar_one()
    received = step.received
    written = (
        insert(InvoicePayment)
        .values(
            # Of this invoice: an entry id that somebody copies from another order is another entry here.
            id=uuid5(received.entry_id, str(invoice.id)),
            created_at=now(),
            invoice_id=invoice.id,
            amount=received.amount,
            received_on=received.received_on,
            method=received.method,
            reference=received.reference,
            recorded_by=received.actor,
        )
        .on_conflict_do_nothing()
        .returning(col(InvoicePayment.id))
    )
    if (await session.execute(written)).first() is not None:
        invoice.paid_amount, invoice.updated_at = invoice.paid_amount + received.amount, now()
        if invoice.status == InvoiceStatus.OPEN and invoice.paid_amount >= invoice.amount:
            invoice.status, invoice.closed_at = InvoiceStatus.PAID, now()
            change = StateChange("invoice", invoice.id, InvoiceStatus.OPEN, InvoiceStatus.PAID)
            await write_audit(session, [change], actor=received.actor, reason="mark_paid", workflow_id=step.workflow_id)
    return InvoiceBalance(
        amount=Money(amount=invoice.amount, currency=invoice.currency),
        paid=Money(amount=invoice.paid_amount, currency=invoice.currency),
    )


async def void_invoice(session: AsyncSession, order_id: UUID) -> list[StateChange]:
    """Nothing is owed any more; an order that was never invoiced is left alone."""
    found = select(Invoice).where(col(Invoice.order_id) == order_id).with_for_update()
    invoice = (await session.execute(found)).scalar_one_or_none()
    if invoice is None or invoice.status != InvoiceStatus.OPEN:
        return []
    invoice.status, invoice.closed_at, invoice.updated_at = InvoiceStatus.VOID, now(), now()
    return [StateChange("invoice", invoice.id, InvoiceStatus.OPEN, InvoiceStatus.VOID)]
