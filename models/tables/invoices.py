"""Orders paid by invoice: what is owed, until when, and what came in."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import Field

from models.tables.columns import CURRENCY, MINOR_UNITS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import InvoiceStatus, OfflineMethod


class Invoice(Row, table=True):
    """What an order owes. Its number and its PDF are the order's document of the kind `invoice`."""

    __tablename__ = "invoices"
    __table_args__ = (
        one_of("status", InvoiceStatus),
        CheckConstraint("amount > 0 AND paid_amount >= 0", name="amounts_positive"),
        CheckConstraint("status <> 'paid' OR paid_amount >= amount", name="paid_in_full"),
        CheckConstraint("(status = 'open') = (closed_at IS NULL)", name="closed_has_time"),
    )

    order_id: UUID = Field(foreign_key="orders.id", unique=True)
    status: InvoiceStatus = Field(default=InvoiceStatus.OPEN, sa_type=STATE)
    currency: str = Field(sa_type=CURRENCY)
    amount: int = Field(sa_type=MINOR_UNITS)
    paid_amount: int = Field(default=0, sa_type=MINOR_UNITS)
    due_on: date = Field(description="last day to pay, in the academy's zone")
    closed_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="when it was paid or voided")
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class InvoicePayment(Row, table=True):
    """Money that came in for an invoice, as staff wrote it down. Its id says which of two equal ones it is."""

    __tablename__ = "invoice_payments"
    __table_args__ = (one_of("method", OfflineMethod), CheckConstraint("amount > 0", name="amount_positive"))

    invoice_id: UUID = Field(foreign_key="invoices.id", index=True)
    amount: int = Field(sa_type=MINOR_UNITS)
    received_on: date
    method: OfflineMethod = Field(sa_type=STATE)
    reference: str | None = Field(default=None, max_length=80, description="as on the bank statement")
    recorded_by: str = Field(max_length=80, description="the actor, e.g. `staff:<id>`")
