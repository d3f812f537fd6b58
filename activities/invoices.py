"""Invoices of orders that are paid later."""

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.numbers import Series, next_number
from models.identifiers import new_id
from models.messages.orders import IssuedInvoice
from models.tables import Academy, Document, Invoice, Order
from models.vocabulary import DocumentKind
from rules.invoicing import cancelled_at, due_day


async def issue_invoice(session: AsyncSession, order: Order, moment: datetime) -> IssuedInvoice:
    """Bill the written order at `moment` (UTC) and keep its places until the invoice is given up.

    An order is billed once: a second time answers the same invoice. The invoice and its numbered document share one id,
    under which the audit log knows it. Takes a number: call it late in the transaction.
    """
    zone_name, issued = await _zone_and_invoice(session, order.id)
    if issued is not None:
        return issued
    zone = ZoneInfo(zone_name)
    due_on, invoice_id = due_day(moment, zone), new_id()
    number = await next_number(session, Series.INVOICE, year=moment.astimezone(zone).year, is_test=order.is_test)
    session.add(
        Invoice(id=invoice_id, order_id=order.id, currency=order.currency, amount=order.total_amount, due_on=due_on)
    )
    session.add(Document(id=invoice_id, order_id=order.id, kind=DocumentKind.INVOICE, number=number, issued_at=moment))
    order.hold_expires_at = cancelled_at(due_on, zone)
    await session.flush()
    return IssuedInvoice(document_id=invoice_id, due_on=due_on, zone=zone_name)


async def issued_invoice(session: AsyncSession, order_id: UUID) -> IssuedInvoice | None:
    """The invoice of the order, if it has one."""
    _, issued = await _zone_and_invoice(session, order_id)
    return issued


async def _zone_and_invoice(session: AsyncSession, order_id: UUID) -> tuple[str, IssuedInvoice | None]:
    query = select(col(Academy.time_zone), col(Document.id), col(Invoice.due_on)).select_from(Academy)
    query = query.join(Invoice, col(Invoice.order_id) == order_id, isouter=True).join(
        Document,
        (col(Document.order_id) == col(Invoice.order_id)) & (col(Document.kind) == DocumentKind.INVOICE),
        isouter=True,
    )
    zone, document_id, due_on = (await session.execute(query)).one()
    if document_id is None:
        return zone, None
    return zone, IssuedInvoice(document_id=document_id, due_on=due_on, zone=zone)
