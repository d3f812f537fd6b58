"""Orders, their lines, their payment and their receipt."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.tables.columns import CURRENCY, MINOR_UNITS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import OrderStatus, PaymentMethod, PaymentStatus


class Order(Row, table=True):
    """One purchase by one payer. Its id is the id of the workflow that owns it."""

    __tablename__ = "orders"
    __table_args__ = (
        one_of("status", OrderStatus),
        one_of("payment_method", PaymentMethod),
        CheckConstraint(
            "list_amount >= 0 AND discount_amount >= 0 AND total_amount = list_amount - discount_amount"
            " AND total_amount >= 0",
            name="amounts_add_up",
        ),
        CheckConstraint(
            "(status IN ('completed', 'partially_refunded', 'refunded')) = (completed_at IS NOT NULL)",
            name="completed_has_time",
        ),
        Index("ix_orders_payer_id_created_at", "payer_id", "created_at"),
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
    total_amount: int = Field(sa_type=MINOR_UNITS)
    coupon_id: UUID | None = Field(default=None, foreign_key="coupons.id")
    quote: dict[str, object] = Field(sa_type=JSONB, description="the pinned quote with its reasons")
    request_digest: str = Field(max_length=64, description="sha256 of what was asked, to tell a repeat from a reuse")
    hold_expires_at: datetime = Field(sa_type=TIMESTAMP, description="until when seats and slots are held")
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
            "list_amount >= 0 AND discount_amount >= 0 AND total_amount = list_amount - discount_amount"
            " AND total_amount >= 0",
            name="amounts_add_up",
        ),
    )

    order_id: UUID = Field(foreign_key="orders.id")
    position: int
    course_id: UUID = Field(foreign_key="courses.id", index=True)
    student_id: UUID = Field(foreign_key="people.id", index=True)
    title: str = Field(max_length=200, description="the course's title at purchase")
    list_amount: int = Field(sa_type=MINOR_UNITS)
    discount_amount: int = Field(sa_type=MINOR_UNITS)
    total_amount: int = Field(sa_type=MINOR_UNITS)


class Payment(Row, table=True):
    """The money side of an order as Stripe last told it (TutorHub R20: one per order)."""

    __tablename__ = "payments"
    __table_args__ = (
        one_of("status", PaymentStatus),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("captured_amount >= 0", name="captured_not_negative"),
        CheckConstraint("refunded_amount BETWEEN 0 AND captured_amount", name="refunded_within_captured"),
        CheckConstraint("(status = 'succeeded') = (succeeded_at IS NOT NULL)", name="succeeded_has_time"),
        CheckConstraint("status <> 'succeeded' OR client_secret IS NULL", name="secret_forgotten"),
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
    checkout_url: str | None = Field(default=None, max_length=2048)
    client_secret: str | None = Field(default=None, max_length=255)
    succeeded_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class Receipt(Row, table=True):
    """The receipt of a completed order. Numbered when the order completes, its file follows."""

    __tablename__ = "receipts"
    __table_args__ = (CheckConstraint("(file_key IS NULL) = (sha256 IS NULL)", name="file_whole"),)

    order_id: UUID = Field(foreign_key="orders.id", unique=True)
    number: str = Field(max_length=32, unique=True)
    issued_at: datetime = Field(sa_type=TIMESTAMP)
    file_key: str | None = Field(default=None, max_length=255)
    sha256: str | None = Field(default=None, max_length=64)


class NumberSeries(SQLModel, table=True):
    """A gapless counter: the number is taken in the transaction that uses it (DESIGN §4)."""

    __tablename__ = "number_series"
    __table_args__ = (CheckConstraint("last_number >= 0", name="not_negative"),)

    name: str = Field(primary_key=True, max_length=40)
    last_number: int = 0
