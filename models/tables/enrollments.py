"""Who may learn what, and since when."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from models.tables.columns import MINOR_UNITS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import EnrollmentStatus, Judgement, RefundPolicy


class Enrollment(Row, table=True):
    """A student's place in a course. Made with the order, holding the seat; active once paid.

    A bundle brings several.
    """

    __tablename__ = "enrollments"
    __table_args__ = (
        one_of("status", EnrollmentStatus),
        one_of("refund_policy", RefundPolicy),
        UniqueConstraint("order_line_id", "course_id"),
        CheckConstraint("share_amount >= 0", name="share_not_negative"),
        Index(
            "uq_enrollments_student_course_live",
            "student_id",
            "course_id",
            unique=True,
            postgresql_where=text(
                "status IN ('pending_approval', 'waitlisted', 'pending_payment', 'active', 'suspended')"
            ),
        ),
        CheckConstraint(
            "enrolled_at IS NOT NULL OR status NOT IN ('active', 'suspended', 'completed', 'expired')",
            name="active_has_time",
        ),
        one_of("judgement", Judgement),
        # What waits to be looked at (workflows/wake_drips.py).
        # What should have expired (activities/expiry_sweep.py).
        Index(
            "ix_enrollments_access_ends_at",
            "access_ends_at",
            "id",
            postgresql_where=text("status IN ('active', 'suspended')"),
        ),
        Index("ix_enrollments_wakes_at", "wakes_at", postgresql_where=text("wakes_at IS NOT NULL")),
        Index(
            "ix_enrollments_unplanned",
            "enrolled_at",
            postgresql_where=text("planned_at IS NULL AND status IN ('active', 'completed')"),
        ),
    )

    order_line_id: UUID = Field(foreign_key="order_lines.id")
    course_id: UUID = Field(foreign_key="courses.id", index=True)
    student_id: UUID = Field(foreign_key="people.id", index=True)
    status: EnrollmentStatus = Field(default=EnrollmentStatus.PENDING_PAYMENT, sa_type=STATE)
    refund_policy: RefundPolicy = Field(sa_type=STATE, description="pinned at purchase")
    share_amount: int = Field(
        default=0, sa_type=MINOR_UNITS, description="its part of the line's total, pinned at purchase"
    )
    enrolled_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="moment of completed enrollment, after payment (TutorHub R9)"
    )
    access_ends_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="none: for good, or not begun")
    access_days_from_start: int | None = Field(
        default=None, description="granted, from the first start on; none once that has come, or staff has set an end"
    )
    clock_started_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="from when its drip rules count; none: from `enrolled_at`"
    )
    started_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="when the learner first began with a lesson"
    )
    completed_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="for the first time; it stays until staff's reset begins anew"
    )
    judgement: Judgement | None = Field(default=None, sa_type=STATE, description="of staff, where the course is judged")
    planned_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="when its drip job last looked at it; none: not yet"
    )
    wakes_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="when that job means to look again; none: when something happens"
    )
    provisioned_at: datetime | None = Field(
        default=None,
        sa_type=TIMESTAMP,
        description="when the learning platform confirmed that it has opened the course",
    )
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
