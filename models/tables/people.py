"""People and the academy they learn at."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, Integer, String, text
from sqlmodel import Field, SQLModel

from models.tables.columns import CURRENCY, MINOR_UNITS, TIMESTAMP, Row, now


class Academy(Row, table=True):
    """The school itself: the seller on every receipt. One row."""

    __tablename__ = "academies"
    __table_args__ = (
        Index("uq_academies_only_one", text("(true)"), unique=True),
        CheckConstraint(
            "(automatic_refund_amount IS NULL) = (automatic_refund_currency IS NULL)", name="refund_limit_is_money"
        ),
        CheckConstraint("cardinality(access_warning_days) <= 5", name="access_warnings_few"),
    )

    name: str = Field(max_length=200)
    legal_name: str = Field(max_length=200)
    address: str = Field(max_length=500, description="lines separated by newlines, as printed on receipts")
    country: str = Field(sa_type=String(2))
    tax_number: str | None = Field(default=None, max_length=40)
    email: str = Field(max_length=254)
    time_zone: str = Field(max_length=64, description="IANA zone of the academy's day")
    locale: str = Field(max_length=16)
    payment_instructions: str | None = Field(
        default=None, max_length=1000, description="the bank details on invoices, lines separated by newlines"
    )
    automatic_refund_amount: int | None = Field(
        default=None,
        sa_type=MINOR_UNITS,
        description="window refunds up to this approve themselves; none means none do",
    )
    automatic_refund_currency: str | None = Field(default=None, sa_type=CURRENCY)
    refund_releases_coupon: bool = Field(
        default=False, description="whether who gets all the money back on request may use the coupon again"
    )
    refund_revokes_certificate: bool = Field(
        default=False, description="whether a certificate falls with the place that is paid back"
    )
    access_warning_days: list[int] = Field(
        default_factory=lambda: [7, 1],
        sa_type=ARRAY(Integer),
        description="how many days before access ends learners are told",
    )


class Person(Row, table=True):
    """A student, tutor or member of staff. The only place that holds a name and an address."""

    __tablename__ = "people"
    __table_args__ = (
        Index("uq_people_email", text("lower(email)"), unique=True),
        Index("uq_people_email_digest", "email_digest", unique=True, postgresql_where=text("is_guest")),
    )

    email: str = Field(max_length=254)
    full_name: str = Field(max_length=200)
    locale: str = Field(default="en", max_length=16, description="BCP 47 language of mails and receipts")
    time_zone: str = Field(default="UTC", max_length=64, description="IANA zone")
    country: str | None = Field(default=None, sa_type=String(2))
    billing_name: str | None = Field(default=None, max_length=200, description="the company that invoices are made to")
    billing_address: str | None = Field(default=None, max_length=500, description="lines separated by newlines")
    tax_number: str | None = Field(default=None, max_length=40)
    cart_mails_quiet_until: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="no mail about a cart before; set by refunds"
    )
    is_guest: bool = Field(default=False, description="known by a cart alone, without an account")
    email_digest: str | None = Field(
        default=None,
        max_length=64,
        description="keyed, of a guest's address: what they are known by when it is forgotten",
    )
    may_pay_by_invoice: bool = Field(default=False, description="trusted to pay later; staff may always grant it")
    legal_name: str | None = Field(default=None, max_length=200, description="as certificates are to bear it")
    legal_name_confirmed_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="when its bearer, or staff, said that it is right"
    )
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class PersonField(SQLModel, table=True):
    """Something more about a person that a certificate may show (Academy of Mine custom user field)."""

    __tablename__ = "person_fields"
    __table_args__ = (CheckConstraint("key ~ '^[a-z][a-z0-9_]{0,39}$'", name="key_is_word"),)

    person_id: UUID = Field(primary_key=True, foreign_key="people.id")
    key: str = Field(primary_key=True, max_length=40)
    value: str = Field(max_length=200)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class CustomField(SQLModel, table=True):
    """What a key of `person_fields` is called, and which exports show it (Academy of Mine `includeInReportExports`)."""

    __tablename__ = "custom_fields"
    __table_args__ = (CheckConstraint("key ~ '^[a-z][a-z0-9_]{0,39}$'", name="key_is_word"),)

    key: str = Field(primary_key=True, max_length=40)
    label: str = Field(max_length=80)
    position: int = Field(default=0, description="in which they are shown")
    reports: list[str] = Field(
        default_factory=list, sa_type=ARRAY(String(32)), description="words of `ExportReport` that show it"
    )
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class StripeCustomer(SQLModel, table=True):
    """The one Stripe customer of a person (TutorHub R27)."""

    __tablename__ = "stripe_customers"

    person_id: UUID = Field(primary_key=True, foreign_key="people.id")
    customer_id: str = Field(max_length=255, unique=True)
    created_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
