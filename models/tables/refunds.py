"""Money that goes back."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import Field

from models.tables.columns import CURRENCY, MINOR_UNITS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import RefundStatus


class Refund(Row, table=True):
    """One repayment of (a part of) an order's payment, for one enrollment. Its id makes Stripe's idempotency key."""

    __tablename__ = "refunds"
    __table_args__ = (one_of("status", RefundStatus), CheckConstraint("amount > 0", name="amount_positive"))

    order_id: UUID = Field(foreign_key="orders.id", index=True)
    enrollment_id: UUID | None = Field(
        default=None, foreign_key="enrollments.id", unique=True, description="none where the whole payment goes back"
    )
    amount: int = Field(sa_type=MINOR_UNITS)
    currency: str = Field(sa_type=CURRENCY)
    reason: str = Field(max_length=64, description="a word of ours, e.g. `seat_lost`")
    status: RefundStatus = Field(default=RefundStatus.PENDING, sa_type=STATE)
    stripe_refund_id: str | None = Field(default=None, max_length=255, unique=True)
    workflow_id: str = Field(max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
