"""Carts, what reminds people of them, and who wants to be reminded of anything."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, Integer, text
from sqlmodel import Field, SQLModel

from models.tables.columns import CURRENCY, MINOR_UNITS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import CartStatus, ConsentMode, ConsentSource, MailList


class Cart(Row, table=True):
    """What a person is about to buy. A person has one that is not over at a time: the newest (reference list 10.4)."""

    __tablename__ = "carts"
    __table_args__ = (
        one_of("status", CartStatus),
        CheckConstraint("(total_amount IS NULL) = (currency IS NULL)", name="total_is_money"),
        CheckConstraint("status NOT IN ('recovered', 'ordered') OR order_id IS NOT NULL", name="bought_has_order"),
        CheckConstraint("reminders BETWEEN 0 AND 10", name="reminders_known"),
        Index(
            "uq_carts_person_live",
            "person_id",
            unique=True,
            postgresql_where=text("status IN ('open', 'abandoned')"),
        ),
        Index("ix_carts_abandoned_at", "abandoned_at"),
        Index("ix_carts_person_id", "person_id", "created_at"),
    )

    person_id: UUID = Field(foreign_key="people.id")
    status: CartStatus = Field(default=CartStatus.OPEN, sa_type=STATE)
    status_reason: str | None = Field(default=None, max_length=32, description="why it is over, in a word of ours")
    is_staff: bool = Field(default=False, description="whether who filled it works for the academy")
    coupon_code: str | None = Field(default=None, max_length=40)
    currency: str | None = Field(default=None, sa_type=CURRENCY)
    total_amount: int | None = Field(default=None, sa_type=MINOR_UNITS, description="as priced when it was changed")
    changed_at: datetime = Field(sa_type=TIMESTAMP)
    abandoned_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="for the last time")
    reminders: int = Field(default=0, description="how many of its mails are done with, sent or skipped")
    reminded_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="when the first one was sent")
    clicked_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="when a mail led back here last")
    order_id: UUID | None = Field(default=None, foreign_key="orders.id")
    attempts: int = Field(default=0, description="how many orders were placed from it")
    ended_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    erased_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="when it forgot what was in it")
    workflow_id: str = Field(max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class CartLine(SQLModel, table=True):
    """A course in a cart."""

    __tablename__ = "cart_lines"
    __table_args__ = (Index("ix_cart_lines_course_id", "course_id"),)

    cart_id: UUID = Field(primary_key=True, foreign_key="carts.id")
    course_id: UUID = Field(primary_key=True, foreign_key="courses.id")
    position: int
    price_amount: int | None = Field(
        default=None, sa_type=MINOR_UNITS, description="when it was changed, without coupon and tax on top"
    )


class CartSettings(SQLModel, table=True):
    """How the academy reminds of carts. One row; without it the numbers of rules/cart.py hold."""

    __tablename__ = "cart_settings"
    __table_args__ = (
        one_of("consent_mode", ConsentMode),
        CheckConstraint("cutoff_minutes BETWEEN 10 AND 1440", name="cutoff_known"),
        CheckConstraint("cardinality(delays_minutes) <= 5", name="delays_few"),
        CheckConstraint("coupon_percent BETWEEN 1 AND 100", name="coupon_percent_known"),
    )

    academy_id: UUID = Field(primary_key=True, foreign_key="academies.id")
    is_enabled: bool = Field(default=True, description="whether carts are watched at all")
    tracks_staff: bool = Field(default=False, description="whether those of staff are too")
    cutoff_minutes: int = Field(default=30, description="without a change, until a cart is abandoned")
    delays_minutes: list[int] = Field(sa_type=ARRAY(Integer), description="of each mail, since the cart was abandoned")
    coupon_percent: int | None = Field(default=None, description="off in the last mail; none offers no coupon")
    consent_mode: ConsentMode = Field(default=ConsentMode.OPT_IN, sa_type=STATE)
    utm_source: str | None = Field(default=None, max_length=64)
    utm_medium: str | None = Field(default=None, max_length=64)
    utm_campaign: str | None = Field(default=None, max_length=64)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class Subscription(SQLModel, table=True):
    """Whether a person has one kind of marketing mail, as they said last. No row is no word yet."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        one_of("list", MailList),
        CheckConstraint("NOT (consented_at IS NOT NULL AND withdrawn_at IS NOT NULL)", name="yes_or_no"),
    )

    person_id: UUID = Field(primary_key=True, foreign_key="people.id")
    list: MailList = Field(primary_key=True, sa_type=STATE)
    token: str = Field(
        max_length=43, unique=True, description="random, 128 bits or more: the key of its unsubscribe link"
    )
    consented_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    withdrawn_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    complained_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="called our mail spam")
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class Consent(Row, table=True):
    """One yes or no to a list, for good: when, how, and to which text. Rows are only added."""

    __tablename__ = "consents"
    __table_args__ = (
        one_of("list", MailList),
        one_of("source", ConsentSource),
        Index("ix_consents_person_id", "person_id", "created_at"),
    )

    person_id: UUID = Field(foreign_key="people.id")
    list: MailList = Field(sa_type=STATE)
    is_given: bool
    source: ConsentSource = Field(sa_type=STATE)
    text_version: str | None = Field(default=None, max_length=64, description="of the words that were agreed to")
    actor: str = Field(max_length=80, description="e.g. `student:<id>`")
