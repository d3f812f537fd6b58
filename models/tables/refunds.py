"""Money that goes back."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, String, text
from sqlmodel import Field

from models.tables.columns import CURRENCY, MINOR_UNITS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import RefundAccess, RefundCause, RefundRequestStatus, RefundShare, RefundStatus


class Refund(Row, table=True):
    """One repayment of (a part of) an order's payment, for one enrollment. Its id makes Stripe's idempotency key."""

    __tablename__ = "refunds"
    __table_args__ = (
        one_of("status", RefundStatus),
        CheckConstraint("amount > 0", name="amount_positive"),
        Index("ix_refunds_created_at", "created_at"),
        Index("ix_refunds_updated_at", "updated_at"),
    )

    order_id: UUID = Field(foreign_key="orders.id", index=True)
    enrollment_id: UUID | None = Field(
        default=None,
        foreign_key="enrollments.id",
        index=True,
        description="none where it is for the order as a whole, or for a payment beside it",
    )
    request_id: UUID | None = Field(
        default=None, foreign_key="refund_requests.id", unique=True, description="the wish that it grants, if any"
    )
    payment_intent_id: str | None = Field(
        default=None, max_length=255, index=True, description="what it pays back; none where money came by invoice"
    )
    amount: int = Field(sa_type=MINOR_UNITS)
    currency: str = Field(sa_type=CURRENCY)
    reason: str = Field(max_length=64, description="a word of ours, e.g. `seat_lost`")
    status: RefundStatus = Field(default=RefundStatus.PENDING, sa_type=STATE)
    stripe_refund_id: str | None = Field(default=None, max_length=255, unique=True)
    failure_reason: str | None = Field(default=None, max_length=64, description="Stripe's word for why it failed")
    workflow_id: str = Field(max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class RefundRequest(Row, table=True):
    """Somebody wants their money back for one enrollment (TutorHub RefundRequest): what was decided, and why."""

    __tablename__ = "refund_requests"
    __table_args__ = (
        one_of("cause", RefundCause),
        one_of("status", RefundRequestStatus),
        CheckConstraint("(status = 'in_review') = (decided_at IS NULL)", name="decided_has_time"),
        one_of("share", RefundShare),
        one_of("access", RefundAccess),
        CheckConstraint("amount >= 0", name="amount_not_negative"),
        Index(
            "uq_refund_requests_enrollment_live",
            "enrollment_id",
            unique=True,
            postgresql_where=text("status = 'in_review' OR (status = 'approved' AND access = 'revoked')"),
        ),
    )

    enrollment_id: UUID = Field(foreign_key="enrollments.id", index=True)
    cause: RefundCause = Field(sa_type=STATE)
    status: RefundRequestStatus = Field(sa_type=STATE)
    grounds: list[str] = Field(sa_type=ARRAY(String(32)), description="what spoke for it, and for asking a person")
    amount: int = Field(sa_type=MINOR_UNITS)
    currency: str = Field(sa_type=CURRENCY)
    share: RefundShare = Field(default=RefundShare.FULL, sa_type=STATE, description="how the amount was found")
    access: RefundAccess = Field(default=RefundAccess.REVOKED, sa_type=STATE, description="once it is approved")
    cascade_id: UUID | None = Field(default=None, foreign_key="cascades.id", index=True)
    requested_by: str = Field(max_length=80, description="the actor, e.g. `student:<id>`")
    decided_by: str | None = Field(default=None, max_length=80, description="`rule`, or who decided")
    decided_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    workflow_id: str = Field(max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
