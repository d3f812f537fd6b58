"""Payments that their payers have disputed at their banks."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import Field

from models.tables.columns import CURRENCY, MINOR_UNITS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import DisputeStatus


class Dispute(Row, table=True):
    """A dispute as Stripe last told it. While it is open nothing of its payment is paid back."""

    __tablename__ = "disputes"
    __table_args__ = (
        one_of("status", DisputeStatus),
        CheckConstraint("amount >= 0", name="amount_not_negative"),
    )

    stripe_dispute_id: str = Field(max_length=255, unique=True)
    order_id: UUID | None = Field(default=None, foreign_key="orders.id", index=True, description="none if not ours")
    payment_intent_id: str | None = Field(default=None, max_length=255)
    amount: int = Field(sa_type=MINOR_UNITS)
    currency: str = Field(sa_type=CURRENCY)
    reason: str = Field(max_length=64, description="Stripe's word, e.g. `fraudulent`")
    status: DisputeStatus = Field(sa_type=STATE)
    evidence_due_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="until when to answer it")
    opened_at: datetime = Field(sa_type=TIMESTAMP)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
