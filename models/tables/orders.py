"""Orders, their lines and their payment."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, Numeric, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.tables.columns import CURRENCY, MINOR_UNITS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import OrderStatus, PaymentMethod, PaymentStatus


class Order(Row, table=True):
    """One purchase by one payer. Its id is the id of the workflow that owns it."""

    __tablename__ = "orders"
    __table_args__ = (
        one_of("status", OrderStatus),
        one_of("payment_method", PaymentMethod),
        CheckConstraint(
            "list_amount >= 0 AND discount_amount >= 0 AND tax_amount >= 0 AND total_amount >= 0 AND total_amount ="
            " list_amount - discount_amount + CASE WHEN tax_inclusive THEN 0 ELSE tax_amount END",
            name="amounts_add_up",
        ),
        CheckConstraint("(tax_percent IS NULL) = (tax_name IS NULL)", name="tax_whole"),
        CheckConstraint("tax_percent IS NOT NULL OR tax_amount = 0", name="untaxed_without_tax"),
        CheckConstraint(
            "(status IN ('completed', 'partially_refunded', 'refunded')) = (completed_at IS NOT NULL)",
            name="completed_has_time",
        ),
        Index("ix_orders_payer_id_created_at", "payer_id", "created_at"),
        Index("ix_orders_completed_at", "completed_at", postgresql_where=text("completed_at IS NOT NULL")),
        Index("ix_orders_created_at", "created_at"),
        Index("ix_orders_open", "hold_expires_at", postgresql_where=text("status = 'pending_payment'")),
    )

    number: str = Field(max_length=32, unique=True, description="gapless per series, e.g. O-2026-000042")
    payer_id: UUID = Field(foreign_key="people.id")
    status: OrderStatus = Field(default=OrderStatus.PENDING_PAYMENT, sa_type=STATE)
    status_reason: str | None = Field(default=None, max_length=200, description="why it failed or was cancelled")
    payment_method: PaymentMethod = Field(sa_type=STATE)
    currency: str = Field(sa_type=CURRENCY)
    list_amount: int = Field(sa_type=MINOR_UNITS)
    discount_amount: int = Field(sa_type=MINOR_UNITS)
    tax_amount: int = Field(default=0, sa_type=MINOR_UNITS)
    tax_inclusive: bool = Field(default=True, description="whether the tax is within list and discount amounts")
    tax_name: str | None = Field(default=None, max_length=40)
    tax_percent: Decimal | None = Field(default=None, sa_type=Numeric(5, 2))
    total_amount: int = Field(sa_type=MINOR_UNITS)
    coupon_id: UUID | None = Field(default=None, foreign_key="coupons.id")
    quote: dict[str, object] = Field(sa_type=JSONB, description="the pinned quote with its reasons")
    request_digest: str = Field(max_length=64, description="sha256 of what was asked, to tell a repeat from a reuse")
    hold_expires_at: datetime = Field(sa_type=TIMESTAMP, description="until when seats and slots are held")
    hold_lapsed_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="when they were given back while the payment was still on its way"
    )
    is_test: bool = False
    completed_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class OrderLine(Row, table=True):
    """One course for one student within an order."""

    __tablename__ = "order_lines"
    __table_args__ = (
        UniqueConstraint("order_id", "position"),
        UniqueConstraint("order_id", "course_id", "student_id"),
        CheckConstraint(
            "list_amount >= 0 AND discount_amount >= 0 AND tax_amount >= 0 AND total_amount >= 0"
            " AND total_amount IN (list_amount - discount_amount, list_amount - discount_amount + tax_amount)",
            name="amounts_add_up",
        ),
        CheckConstraint("NOT already_entitled OR total_amount = 0", name="entitled_costs_nothing"),
    )

    order_id: UUID = Field(foreign_key="orders.id")
    position: int
    course_id: UUID = Field(foreign_key="courses.id", index=True)
    student_id: UUID = Field(foreign_key="people.id", index=True)
    title: str = Field(max_length=200, description="the course's title at purchase")
    list_amount: int = Field(sa_type=MINOR_UNITS)
    discount_amount: int = Field(sa_type=MINOR_UNITS)
    tax_amount: int = Field(default=0, sa_type=MINOR_UNITS)
    total_amount: int = Field(sa_type=MINOR_UNITS)
    slot_ids: list[UUID] = Field(default_factory=list, sa_type=ARRAY(Uuid), description="the slots that were chosen")
    already_entitled: bool = Field(default=False, description="the student had access before; nothing was charged")


class Payment(Row, table=True):
    """The money side of an order as Stripe last told it (TutorHub R20: one per order).

    After too many declines Stripe's object is given up; after a rest another one takes its place: `attempt` counts.
    """

    __tablename__ = "payments"
    __table_args__ = (
        one_of("status", PaymentStatus),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("captured_amount >= 0", name="captured_not_negative"),
        CheckConstraint("refunded_amount BETWEEN 0 AND captured_amount", name="refunded_within_captured"),
        CheckConstraint("(status = 'succeeded') = (succeeded_at IS NOT NULL)", name="succeeded_has_time"),
        CheckConstraint("status <> 'succeeded' OR client_secret IS NULL", name="secret_forgotten"),
        Index("ix_payments_succeeded_at", "succeeded_at", postgresql_where=text("succeeded_at IS NOT NULL")),
    )

    order_id: UUID = Field(foreign_key="orders.id", unique=True)
    status: PaymentStatus = Field(default=PaymentStatus.REQUIRES_PAYMENT_METHOD, sa_type=STATE)
    amount: int = Field(sa_type=MINOR_UNITS)
    currency: str = Field(sa_type=CURRENCY)
    captured_amount: int = Field(default=0, sa_type=MINOR_UNITS)
    refunded_amount: int = Field(default=0, sa_type=MINOR_UNITS)
    payment_intent_id: str | None = Field(default=None, max_length=255, unique=True)
    checkout_session_id: str | None = Field(default=None, max_length=255, unique=True)
    charge_id: str | None = Field(default=None, max_length=255, unique=True)
    attempt: int = 1
    declined_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="the latest decline")
    decline_code: str | None = Field(default=None, max_length=64, description="Stripe's word for why")
    resting_until: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="no payment before")
    checkout_url: str | None = Field(default=None, max_length=2048)
    client_secret: str | None = Field(default=None, max_length=255)
    succeeded_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
