"""What can be bought: courses of every kind, what they consist of, and what they are taxed with."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Numeric, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.tables.columns import CURRENCY, MARKS, MINOR_UNITS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import (
    AccessRule,
    CompletionRule,
    CostScheme,
    CourseKind,
    CourseStatus,
    GradeRule,
    PeriodUnit,
    RefundPolicy,
    ReleaseMails,
    SchedulingType,
    ScreeningDecision,
    SlotStatus,
    TaxBehavior,
)


class Course(Row, table=True):
    """A self-paced course, a cohort with seats, a tutor's pack (TutorHub CoursePack), or a bundle of courses."""

    __tablename__ = "courses"
    __table_args__ = (
        one_of("kind", CourseKind),
        one_of("status", CourseStatus),
        one_of("refund_policy", RefundPolicy),
        one_of("cost_scheme", CostScheme),
        one_of("scheduling_type", SchedulingType),
        one_of("max_period_unit", PeriodUnit),
        CheckConstraint("price_amount >= 0", name="price_not_negative"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_iso"),
        CheckConstraint(
            "currency NOT IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND')"
            " OR (price_amount % 10 = 0 AND coalesce(sale_price_amount, 0) % 10 = 0)",
            name="three_decimals_in_tens",
        ),
        CheckConstraint("capacity > 0", name="capacity_positive"),
        CheckConstraint("kind <> 'bundle' OR capacity IS NULL", name="bundle_has_no_seats"),
        CheckConstraint("seats_taken >= 0 AND (capacity IS NULL OR seats_taken <= capacity)", name="not_oversold"),
        CheckConstraint("(kind = 'tutor_pack') = (lessons_included IS NOT NULL)", name="pack_has_lessons"),
        CheckConstraint("kind <> 'tutor_pack' OR tutor_id IS NOT NULL", name="pack_has_tutor"),
        CheckConstraint("(max_period_value IS NULL) = (max_period_unit IS NULL)", name="period_whole"),
        CheckConstraint("sale_price_amount >= 0 AND sale_price_amount < price_amount", name="sale_price_below_price"),
        CheckConstraint("sale_ends_at > sale_starts_at", name="sale_ends_after_start"),
        one_of("access_rule", AccessRule),
        one_of("completion_rule", CompletionRule),
        one_of("release_mails", ReleaseMails),
        CheckConstraint("access_days > 0", name="access_days_positive"),
        CheckConstraint(
            "(access_rule IN ('days_after_enrollment', 'days_after_start')) = (access_days IS NOT NULL)"
            " AND (access_rule = 'until_date') = (access_until IS NOT NULL)",
            name="access_whole",
        ),
        CheckConstraint("credits >= 0", name="credits_not_negative"),
        CheckConstraint(
            "sale_price_amount IS NOT NULL OR (sale_starts_at IS NULL AND sale_ends_at IS NULL)",
            name="sale_window_has_price",
        ),
    )

    code: str = Field(max_length=64, unique=True, description="the academy's own short name, unique")
    title: str = Field(max_length=200)
    description: str = Field(default="", max_length=4000)
    category: str = Field(max_length=80)
    kind: CourseKind = Field(sa_type=STATE)
    status: CourseStatus = Field(default=CourseStatus.DRAFT, sa_type=STATE)
    price_amount: int = Field(sa_type=MINOR_UNITS)
    currency: str = Field(sa_type=CURRENCY)
    cost_scheme: CostScheme = Field(default=CostScheme.STUDENT, sa_type=STATE)
    sale_price_amount: int | None = Field(
        default=None, sa_type=MINOR_UNITS, description="asked for within the sale window; without a window always"
    )
    sale_starts_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    sale_ends_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    approver_id: UUID | None = Field(
        default=None, foreign_key="people.id", description="who decides on enrollments; none means nobody has to"
    )
    refund_policy: RefundPolicy = Field(default=RefundPolicy.WINDOW, sa_type=STATE)
    capacity: int | None = Field(default=None, description="seats in all; none means unlimited")
    seats_taken: int = Field(default=0, description="held and occupied; counted only where capacity is set")
    starts_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    enrollment_closes_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    access_rule: AccessRule = Field(default=AccessRule.UNLIMITED, sa_type=STATE)
    access_days: int | None = Field(default=None, description="after enrollment or first start, as the rule says")
    access_until: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    completion_rule: CompletionRule = Field(default=CompletionRule.NA, sa_type=STATE)
    release_mails: ReleaseMails = Field(default=ReleaseMails.EACH, sa_type=STATE)
    credits: int | None = Field(default=None, description="study points, as printed on certificates")
    tutor_id: UUID | None = Field(default=None, foreign_key="people.id")
    lessons_included: int | None = Field(default=None, description="slots a pack must be booked with")
    scheduling_type: SchedulingType | None = Field(default=None, sa_type=STATE)
    min_weekly_classes: int | None = None
    max_daily_lessons: int | None = None
    max_period_value: int | None = None
    max_period_unit: PeriodUnit | None = Field(default=None, sa_type=STATE)
    preliminary_meeting_required: bool = False


class BundleCourse(SQLModel, table=True):
    """A course that comes with a bundle (Academy of Mine: one product maps to many courses)."""

    __tablename__ = "bundle_courses"
    __table_args__ = (CheckConstraint("bundle_id <> course_id", name="not_itself"),)

    bundle_id: UUID = Field(primary_key=True, foreign_key="courses.id")
    course_id: UUID = Field(primary_key=True, foreign_key="courses.id")
    position: int


class ClassSession(Row, table=True):
    """A meeting of a cohort at a fixed time (Academy of Mine class, Eduframe meeting)."""

    __tablename__ = "class_sessions"
    __table_args__ = (CheckConstraint("ends_at > starts_at", name="ends_after_start"),)

    course_id: UUID = Field(foreign_key="courses.id", index=True)
    title: str = Field(max_length=200)
    starts_at: datetime = Field(sa_type=TIMESTAMP)
    ends_at: datetime = Field(sa_type=TIMESTAMP)
    location: str | None = Field(default=None, max_length=200, description="a room or an address of a web conference")
    canceled_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class CourseModule(Row, table=True):
    """A part of a course: some of its lessons in a row."""

    __tablename__ = "course_modules"
    __table_args__ = (UniqueConstraint("course_id", "position"),)

    course_id: UUID = Field(foreign_key="courses.id")
    position: int
    title: str = Field(max_length=200)


class Lesson(Row, table=True):
    """One lesson of a course, in order, with the rule by which it opens and how it is graded (LMS Service lesson)."""

    __tablename__ = "lessons"
    __table_args__ = (
        one_of("grade_rule", GradeRule),
        # Checked at commit, so that lessons can change places.
        UniqueConstraint("course_id", "position", deferrable=True, initially="DEFERRED"),
        CheckConstraint("max_attempts >= 0", name="attempts_not_negative"),
        CheckConstraint("(passing_marks IS NULL) = (total_marks IS NULL)", name="marks_whole"),
        CheckConstraint("passing_marks >= 0 AND passing_marks <= total_marks AND total_marks > 0", name="marks_known"),
    )

    course_id: UUID = Field(foreign_key="courses.id")
    module_id: UUID | None = Field(default=None, foreign_key="course_modules.id", index=True)
    position: int
    title: str = Field(max_length=200)
    drip_rule: dict[str, object] = Field(
        default_factory=lambda: {"kind": "immediately"}, sa_type=JSONB, description="as in models/drip.py"
    )
    is_preview: bool = Field(default=False, description="free for everybody, and never counted as a lesson had")
    is_considered: bool = Field(
        default=True, description="whether it counts for completion (LMS Service considerMarks)"
    )
    max_attempts: int = Field(default=0, description="0 is without limit")
    grade_rule: GradeRule = Field(default=GradeRule.HIGHEST, sa_type=STATE)
    total_marks: Decimal | None = Field(default=None, sa_type=MARKS, description="none of a lesson without a grade")
    passing_marks: Decimal | None = Field(default=None, sa_type=MARKS)
    applies_from: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="whoever enrolled before does not have this lesson; none: all do"
    )
    removed_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="no longer part of the course; what was learned stays"
    )
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class LessonSlot(Row, table=True):
    """A bookable hour of a tutor (TutorHub LessonSlot), here with a zone-free moment and an end."""

    __tablename__ = "lesson_slots"
    __table_args__ = (
        one_of("status", SlotStatus),
        CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        CheckConstraint(
            "(status IN ('held', 'booked', 'completed')) = (order_line_id IS NOT NULL)"
            " AND (order_line_id IS NULL) = (student_id IS NULL)",
            name="taken_has_owner",
        ),
        Index(
            "uq_lesson_slots_tutor_starts_at",
            "tutor_id",
            "starts_at",
            unique=True,
            postgresql_where=text("status IN ('held', 'booked', 'completed')"),
        ),
        Index(
            "ix_lesson_slots_student_id_starts_at",
            "student_id",
            "starts_at",
            postgresql_where=text("student_id IS NOT NULL"),
        ),
        Index("ix_lesson_slots_order_line_id", "order_line_id", postgresql_where=text("order_line_id IS NOT NULL")),
    )

    course_id: UUID = Field(foreign_key="courses.id", index=True)
    tutor_id: UUID = Field(foreign_key="people.id")
    starts_at: datetime = Field(sa_type=TIMESTAMP)
    ends_at: datetime = Field(sa_type=TIMESTAMP)
    status: SlotStatus = Field(default=SlotStatus.FREE, sa_type=STATE)
    student_id: UUID | None = Field(
        default=None, foreign_key="people.id", description="set with the hold (TutorHub R4)"
    )
    order_line_id: UUID | None = Field(
        default=None,
        # Slots are held before the line is written; the reference is checked at commit.
        sa_column=Column(ForeignKey("order_lines.id", deferrable=True, initially="DEFERRED")),
    )


class ScreeningMeeting(Row, table=True):
    """A first talk between student and tutor; the latest decision counts (TutorHub R90-R93, G24)."""

    __tablename__ = "screening_meetings"
    __table_args__ = (
        one_of("decision", ScreeningDecision),
        CheckConstraint("(decision = 'pending') = (decided_at IS NULL)", name="decided_has_time"),
        Index("ix_screening_meetings_course_id_student_id", "course_id", "student_id"),
    )

    course_id: UUID = Field(foreign_key="courses.id")
    student_id: UUID = Field(foreign_key="people.id")
    scheduled_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="none until both agree")
    decision: ScreeningDecision = Field(default=ScreeningDecision.PENDING, sa_type=STATE)
    decided_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)


class TaxRate(SQLModel, table=True):
    """What sales to payers of a country are taxed with. A country without a row is not taxed."""

    __tablename__ = "tax_rates"
    __table_args__ = (
        one_of("behavior", TaxBehavior),
        CheckConstraint("percent > 0 AND percent < 100", name="percent_range"),
    )

    country: str = Field(primary_key=True, sa_type=String(2), description="ISO 3166, of the payer")
    name: str = Field(max_length=40, description="as printed on receipts, e.g. VAT")
    percent: Decimal = Field(sa_type=Numeric(5, 2))
    behavior: TaxBehavior = Field(sa_type=STATE)
