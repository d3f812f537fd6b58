"""Stripe's own books, as last read: what each movement of money cost, and which payout it went into."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from models.tables.columns import CURRENCY, MINOR_UNITS, TIMESTAMP, now


class BalanceTransaction(SQLModel, table=True):
    """One line of the balance of the Stripe account (Stripe's balance transaction); amounts leave it where negative."""

    __tablename__ = "balance_transactions"
    __table_args__ = (Index("ix_balance_transactions_created", "stripe_created_at"),)

    stripe_id: str = Field(primary_key=True, max_length=255)
    type: str = Field(max_length=64, description="Stripe's word, e.g. `charge`, `refund`, `adjustment`, `payout`")
    source_id: str | None = Field(default=None, max_length=255, index=True, description="the charge, refund or dispute")
    order_id: UUID | None = Field(default=None, foreign_key="orders.id", index=True, description="none if not ours")
    amount: int = Field(sa_type=MINOR_UNITS, description="gross, of the currency of the balance")
    fee: int = Field(sa_type=MINOR_UNITS)
    net: int = Field(sa_type=MINOR_UNITS)
    currency: str = Field(sa_type=CURRENCY)
    payout_id: str | None = Field(default=None, max_length=255, index=True, description="which payout it went into")
    available_on: datetime = Field(sa_type=TIMESTAMP)
    stripe_created_at: datetime = Field(sa_type=TIMESTAMP)
    read_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class StripeEventCursor(SQLModel, table=True):
    """Up to where the events of the account were read again, so that a webhook that never came is caught up on."""

    __tablename__ = "stripe_event_cursors"

    name: str = Field(primary_key=True, max_length=40)
    read_until: datetime = Field(sa_type=TIMESTAMP, description="every event made before was seen")
    last_event_id: str | None = Field(default=None, max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
