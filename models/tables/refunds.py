"""Money that goes back."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, String, text
from sqlmodel import Field

from models.tables.columns import CURRENCY, MINOR_UNITS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import RefundCause, RefundRequestStatus, RefundStatus


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


class RefundRequest(Row, table=True):
    """Somebody wants their money back for one enrollment (TutorHub RefundRequest): what was decided, and why."""

    __tablename__ = "refund_requests"
    __table_args__ = (
        one_of("cause", RefundCause),
        one_of("status", RefundRequestStatus),
        CheckConstraint("(status = 'in_review') = (decided_at IS NULL)", name="decided_has_time"),
        CheckConstraint("amount > 0", name="amount_positive"),
        Index(
            "uq_refund_requests_enrollment_live",
            "enrollment_id",
            unique=True,
            postgresql_where=text("status IN ('in_review', 'approved')"),
        ),
    )

    enrollment_id: UUID = Field(foreign_key="enrollments.id", index=True)
    cause: RefundCause = Field(sa_type=STATE)
    status: RefundRequestStatus = Field(sa_type=STATE)
    grounds: list[str] = Field(sa_type=ARRAY(String(32)), description="what spoke for it, and for asking a person")
    amount: int = Field(sa_type=MINOR_UNITS)
    currency: str = Field(sa_type=CURRENCY)
    requested_by: str = Field(max_length=80, description="the actor, e.g. `student:<id>`")
    decided_by: str | None = Field(default=None, max_length=80, description="`rule`, or who decided")
    decided_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    workflow_id: str = Field(max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
