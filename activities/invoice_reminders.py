"""Reminders of invoices that are due and that nobody has sent: the orders' own jobs should have."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Date, Select, String, column, exists, select, values
from sqlalchemy.orm import aliased
from sqlmodel import col
from temporalio import activity

from activities.database import Sessions
from activities.time_zones import zone_if_any
from models.messages.recurring import DueReminder, DueReminders, FindReminders
from models.tables import Document, Invoice, Mail, Order
from models.vocabulary import DocumentKind, InvoiceStatus, MailTemplate, OrderStatus
from rules.invoicing import DAYS_UNTIL_CANCELLED, REMINDER_DAYS, reminder_due

# So long the order's own job has for it.
_PATIENCE = timedelta(minutes=15)


@dataclass
class InvoiceReminderActivities:
    """Steps that look for reminders."""

    sessions: Sessions

    @activity.defn
    async def find_reminders(self, step: FindReminders) -> DueReminders:
        """A page of what is due by rules/invoicing.py and not in the ledger, of open invoices that went out."""
        async with self.sessions() as session:
            zone = await zone_if_any(session)
            due = [] if zone is None else _due(step.moment - _PATIENCE, zone)
            if not due:
                return DueReminders()
            rows = (await session.execute(_unsent(due, step))).all()
        reminders = tuple(
            DueReminder(order_id=order_id, payer_id=payer, occasion=occasion) for order_id, payer, occasion in rows
        )
        return DueReminders(reminders=reminders, last=reminders[-1].order_id if len(reminders) == step.limit else None)


def _due(moment: datetime, zone: ZoneInfo) -> list[tuple[date, str]]:
    """Which reminder is due at this moment, by the last day to pay."""
    today = moment.astimezone(zone).date()
    days = (today + timedelta(days=each) for each in range(-DAYS_UNTIL_CANCELLED, 1 - min(REMINDER_DAYS)))
    return [(day, found.occasion) for day in days if (found := reminder_due(day, moment, zone)) is not None]


def _unsent(due: Sequence[tuple[date, str]], step: FindReminders) -> Select[UUID, UUID, str]:
    table = values(column("due_on", Date), column("occasion", String), name="due").data(list(due))
    invoiced = aliased(Mail)
    is_known = exists().where(
        col(Mail.template) == MailTemplate.INVOICE_REMINDER,
        col(Mail.recipient_id) == col(Order.payer_id),
        col(Mail.subject_id) == col(Order.id),
        col(Mail.occasion) == table.c.occasion,
    )
    was_sent = exists().where(
        col(invoiced.template) == MailTemplate.INVOICE,
        col(invoiced.recipient_id) == col(Order.payer_id),
        col(invoiced.subject_id) == col(Order.id),
    )
    query = (
        select(col(Order.id), col(Order.payer_id), table.c.occasion)
        .join(Invoice, col(Invoice.order_id) == col(Order.id))
        .join(table, table.c.due_on == col(Invoice.due_on))
        .join(Document, (col(Document.order_id) == col(Order.id)) & (col(Document.kind) == DocumentKind.INVOICE))
        .where(
            col(Order.status) == OrderStatus.PENDING_PAYMENT,
            col(Invoice.status) == InvoiceStatus.OPEN,
            col(Document.file_key).is_not(None),
            was_sent,
            ~is_known,
        )
    )
    if step.after is not None:
        query = query.where(col(Order.id) > step.after)
    return query.order_by(col(Order.id)).limit(step.limit)
