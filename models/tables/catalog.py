"""What can be bought: courses of every kind, their lessons and slots, and coupons."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Numeric, UniqueConstraint, text
from sqlmodel import Field

from models.tables.columns import CURRENCY, MINOR_UNITS, STATE, TIMESTAMP, Row, one_of
from models.vocabulary import CouponKind, CourseKind, CourseStatus, PeriodUnit, RefundPolicy, SchedulingType, SlotStatus


class Course(Row, table=True):
    """A self-paced course, a cohort with seats, or a tutor's pack of lessons (TutorHub CoursePack)."""

    __tablename__ = "courses"
    __table_args__ = (
        one_of("kind", CourseKind),
        one_of("status", CourseStatus),
        one_of("refund_policy", RefundPolicy),
        one_of("scheduling_type", SchedulingType),
        one_of("max_period_unit", PeriodUnit),
        CheckConstraint("price_amount >= 0", name="price_not_negative"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_iso"),
        CheckConstraint(
            "currency NOT IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') OR price_amount % 10 = 0",
            name="three_decimals_in_tens",
        ),
        CheckConstraint("capacity > 0", name="capacity_positive"),
        CheckConstraint("seats_taken >= 0 AND (capacity IS NULL OR seats_taken <= capacity)", name="not_oversold"),
        CheckConstraint("(kind = 'tutor_pack') = (lessons_included IS NOT NULL)", name="pack_has_lessons"),
        CheckConstraint("kind <> 'tutor_pack' OR tutor_id IS NOT NULL", name="pack_has_tutor"),
        CheckConstraint("(max_period_value IS NULL) = (max_period_unit IS NULL)", name="period_whole"),
    )

    code: str = Field(max_length=64, unique=True, description="the academy's own short name, unique")
    title: str = Field(max_length=200)
    description: str = Field(default="", max_length=4000)
    category: str = Field(max_length=80)
    kind: CourseKind = Field(sa_type=STATE)
    status: CourseStatus = Field(default=CourseStatus.DRAFT, sa_type=STATE)
    price_amount: int = Field(sa_type=MINOR_UNITS)
    currency: str = Field(sa_type=CURRENCY)
    refund_policy: RefundPolicy = Field(default=RefundPolicy.WINDOW, sa_type=STATE)
    capacity: int | None = Field(default=None, description="seats in all; none means unlimited")
    seats_taken: int = Field(default=0, description="held and occupied; counted only where capacity is set")
    starts_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    enrollment_closes_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    access_days: int | None = Field(default=None, description="how long access lasts; none means for good")
    tutor_id: UUID | None = Field(default=None, foreign_key="people.id")
    lessons_included: int | None = Field(default=None, description="slots a pack must be booked with")
    scheduling_type: SchedulingType | None = Field(default=None, sa_type=STATE)
    min_weekly_classes: int | None = None
    max_daily_lessons: int | None = None
    max_period_value: int | None = None
    max_period_unit: PeriodUnit | None = Field(default=None, sa_type=STATE)
    preliminary_meeting_required: bool = False


class Lesson(Row, table=True):
    """One lesson of a course, in order, with the day after enrollment on which it is released."""

    __tablename__ = "lessons"
    __table_args__ = (
        UniqueConstraint("course_id", "position"),
        CheckConstraint("release_after_days >= 0", name="release_not_negative"),
    )

    course_id: UUID = Field(foreign_key="courses.id")
    position: int
    title: str = Field(max_length=200)
    release_after_days: int = 0
    is_preview: bool = False


class LessonSlot(Row, table=True):
    """A bookable hour of a tutor (TutorHub LessonSlot), here with a zone-free moment and an end."""

    __tablename__ = "lesson_slots"
    __table_args__ = (
        one_of("status", SlotStatus),
        CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        CheckConstraint(
            "(status IN ('held', 'booked', 'completed')) = (order_line_id IS NOT NULL)", name="taken_has_owner"
        ),
        Index(
            "uq_lesson_slots_tutor_starts_at",
            "tutor_id",
            "starts_at",
            unique=True,
            postgresql_where=text("status <> 'canceled'"),
        ),
        Index("ix_lesson_slots_order_line_id", "order_line_id", postgresql_where=text("order_line_id IS NOT NULL")),
    )

    course_id: UUID = Field(foreign_key="courses.id", index=True)
    tutor_id: UUID = Field(foreign_key="people.id")
    starts_at: datetime = Field(sa_type=TIMESTAMP)
    ends_at: datetime = Field(sa_type=TIMESTAMP)
    status: SlotStatus = Field(default=SlotStatus.FREE, sa_type=STATE)
    order_line_id: UUID | None = Field(
        default=None,
        # Slots are held before the line is written; the reference is checked at commit.
        sa_column=Column(ForeignKey("order_lines.id", deferrable=True, initially="DEFERRED")),
    )


class Coupon(Row, table=True):
    """A discount code. `uses` counts reserved and confirmed uses alike, so a limit is never overrun."""

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
    )

    code: str = Field(max_length=40)
    kind: CouponKind = Field(sa_type=STATE)
    percent: Decimal | None = Field(default=None, sa_type=Numeric(5, 2))
    amount: int | None = Field(default=None, sa_type=MINOR_UNITS)
    currency: str | None = Field(default=None, sa_type=CURRENCY)
    expires_on: date | None = Field(default=None, description="last day it is good, in the academy's zone")
    usage_limit: int | None = None
    uses: int = 0
