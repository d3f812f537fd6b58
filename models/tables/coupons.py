"""Discount codes and who used them."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, Numeric, String, Uuid, text
from sqlmodel import Field

from models.tables.columns import CURRENCY, MINOR_UNITS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import CouponKind, CouponUseStatus


class Coupon(Row, table=True):
    """A discount code. `uses` counts reserved and confirmed uses alike, so a limit is never overrun.

    An empty list allows everybody and everything. One order takes one coupon.
    """

    __tablename__ = "coupons"
    __table_args__ = (
        one_of("kind", CouponKind),
        Index("uq_coupons_code", text("lower(code)"), unique=True),
        CheckConstraint("(kind = 'percent_amount') = (percent IS NOT NULL)", name="percent_where_percent"),
        CheckConstraint(
            "(kind = 'fixed_amount') = (amount IS NOT NULL) AND (amount IS NULL) = (currency IS NULL)",
            name="amount_where_fixed",
        ),
        CheckConstraint("percent > 0 AND percent <= 100", name="percent_range"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("uses >= 0 AND (usage_limit IS NULL OR uses <= usage_limit)", name="within_limit"),
        CheckConstraint("usage_limit >= 0 AND per_person_limit > 0", name="limits_positive"),
        CheckConstraint("(minimum_amount IS NULL) = (minimum_currency IS NULL)", name="minimum_whole"),
    )

    code: str = Field(max_length=40)
    kind: CouponKind = Field(sa_type=STATE)
    percent: Decimal | None = Field(default=None, sa_type=Numeric(5, 2))
    amount: int | None = Field(default=None, sa_type=MINOR_UNITS)
    currency: str | None = Field(default=None, sa_type=CURRENCY)
    expires_on: date | None = Field(default=None, description="last day it is good, in the academy's zone")
    expires_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="when it ends, of one that is good for hours"
    )
    usage_limit: int | None = Field(default=None, description="uses in all")
    per_person_limit: int | None = Field(default=None, description="uses by one payer")
    minimum_amount: int | None = Field(
        default=None, sa_type=MINOR_UNITS, description="what its courses must cost together, before the coupon"
    )
    minimum_currency: str | None = Field(default=None, sa_type=CURRENCY)
    allowed_emails: list[str] = Field(
        default_factory=list, sa_type=ARRAY(String(254)), description="of payers, in lower case"
    )
    allowed_course_ids: list[UUID] = Field(default_factory=list, sa_type=ARRAY(Uuid))
    excluded_course_ids: list[UUID] = Field(default_factory=list, sa_type=ARRAY(Uuid))
    allowed_categories: list[str] = Field(default_factory=list, sa_type=ARRAY(String(80)))
    excluded_categories: list[str] = Field(default_factory=list, sa_type=ARRAY(String(80)))
    excludes_sale_prices: bool = Field(default=False, description="whether courses on sale are left out")
    uses: int = 0


class CouponUse(Row, table=True):
    """One order's use of a coupon."""

    __tablename__ = "coupon_uses"
    __table_args__ = (
        one_of("status", CouponUseStatus),
        Index("ix_coupon_uses_coupon_id_person_id", "coupon_id", "person_id"),
    )

    coupon_id: UUID = Field(foreign_key="coupons.id")
    order_id: UUID = Field(foreign_key="orders.id", unique=True)
    person_id: UUID = Field(foreign_key="people.id", description="the payer")
    status: CouponUseStatus = Field(default=CouponUseStatus.RESERVED, sa_type=STATE)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
