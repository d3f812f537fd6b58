"""How learners get on: what has opened for them, what they tried, and changes of the course they are in."""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Interval, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.tables.columns import MARKS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import CourseChangeStatus, DripKind, LessonStatus


class LessonRelease(Row, table=True):
    """That a lesson is open for a learner, for good. Written once; when and why, and whether it was told."""

    __tablename__ = "lesson_releases"
    __table_args__ = (
        one_of("reason", DripKind),
        UniqueConstraint("enrollment_id", "lesson_id"),
        Index("ix_lesson_releases_untold", "enrollment_id", postgresql_where=text("tell_at IS NOT NULL")),
        Index("ix_lesson_releases_mail_key", "enrollment_id", "mail_key"),
    )

    enrollment_id: UUID = Field(foreign_key="enrollments.id")
    lesson_id: UUID = Field(foreign_key="lessons.id")
    opened_at: datetime = Field(sa_type=TIMESTAMP, description="as planned; the row may be a moment younger")
    reason: DripKind = Field(sa_type=STATE, description="the kind of the rule that decided")
    actor: str = Field(max_length=80, description="`system`, or who released it by hand")
    tell_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="when the learner is to be told by mail; none: not, or done"
    )
    mail_key: str | None = Field(
        default=None, max_length=48, description="the occasion of the mail that tells of it, and of others with it"
    )


class LessonProgress(SQLModel, table=True):
    """How far a learner is with one lesson of the course: the result that counts of all attempts."""

    __tablename__ = "lesson_progress"
    __table_args__ = (
        one_of("status", LessonStatus),
        CheckConstraint("attempts >= 0 AND time_spent_seconds >= 0", name="counts_not_negative"),
        CheckConstraint("current_position >= 0 AND current_position <= total_content", name="position_known"),
        CheckConstraint("(current_position IS NULL) = (total_content IS NULL)", name="position_whole"),
    )

    enrollment_id: UUID = Field(primary_key=True, foreign_key="enrollments.id")
    lesson_id: UUID = Field(primary_key=True, foreign_key="lessons.id", index=True)
    status: LessonStatus = Field(default=LessonStatus.IN_PROGRESS, sa_type=STATE)
    score: Decimal | None = Field(default=None, sa_type=MARKS, description="that counts, by the lesson's grade rule")
    attempts: int = Field(default=0, description="that are finished")
    time_spent_seconds: int = 0
    current_position: int | None = Field(default=None, description="where to go on (LMS Service resume)")
    total_content: int | None = Field(default=None, description="of how much")
    last_attempt_id: UUID | None = Field(
        default=None, description="of the last message that told of time: the time of a repeat is not counted again"
    )
    started_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP)
    done_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="finished for the first time; stays")
    passed_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="passed for the first time; stays")
    last_accessed_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP)


class LessonAttempt(Row, table=True):
    """One finished attempt at a lesson. Never changed, except that staff may strike it out by a reset."""

    __tablename__ = "lesson_attempts"
    __table_args__ = (
        one_of("status", LessonStatus),
        UniqueConstraint("enrollment_id", "lesson_id", "number"),
        CheckConstraint("number > 0 AND time_spent_seconds >= 0 AND score >= 0", name="numbers_known"),
    )

    enrollment_id: UUID = Field(foreign_key="enrollments.id")
    lesson_id: UUID = Field(foreign_key="lessons.id")
    number: int
    status: LessonStatus = Field(sa_type=STATE)
    score: Decimal | None = Field(default=None, sa_type=MARKS)
    time_spent_seconds: int = 0
    recorded_by: str = Field(max_length=80, description="the actor, e.g. `student:<id>`")


class EnrollmentPause(Row, table=True):
    """A time in which an enrollment stood still. One without an end goes on."""

    __tablename__ = "enrollment_pauses"
    __table_args__ = (
        CheckConstraint("until > paused_at AND resumed_at >= paused_at", name="ends_after_start"),
        Index("uq_enrollment_pauses_open", "enrollment_id", unique=True, postgresql_where=text("resumed_at IS NULL")),
        Index("ix_enrollment_pauses_enrollment_id", "enrollment_id", "paused_at"),
    )

    enrollment_id: UUID = Field(foreign_key="enrollments.id")
    paused_at: datetime = Field(sa_type=TIMESTAMP)
    until: datetime = Field(sa_type=TIMESTAMP, description="when it ends by itself")
    resumed_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    prolonged_by: timedelta = Field(
        default=timedelta(), sa_type=Interval, description="access, which ends so much later because of it"
    )
    actor: str = Field(max_length=80)


class AppliedChange(SQLModel, table=True):
    """That a change of an enrollment was made already: a repeat finds it, and says the same."""

    __tablename__ = "enrollment_changes"
    __table_args__ = (Index("ix_enrollment_changes_enrollment_id", "enrollment_id", "created_at"),)

    id: UUID = Field(primary_key=True, description="of the caller's Idempotency-Key, or of a change of all")
    enrollment_id: UUID = Field(foreign_key="enrollments.id")
    change: str = Field(max_length=32, description="a word of `EnrollmentChange`")
    digest: str = Field(max_length=64, description="sha256 of what was asked, to tell a repeat from a reuse")
    actor: str = Field(max_length=80)
    created_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class CourseChange(Row, table=True):
    """A change of a course, or of all enrollments in it, and how many of them it has reached."""

    __tablename__ = "course_changes"
    __table_args__ = (
        one_of("status", CourseChangeStatus),
        CheckConstraint("enrollments >= 0 AND done >= 0 AND refused >= 0", name="counts_not_negative"),
        CheckConstraint("(status = 'running') = (ended_at IS NULL)", name="ended_has_time"),
    )

    course_id: UUID = Field(foreign_key="courses.id", index=True)
    change: str = Field(max_length=32, description="a word of `ContentChange` or `EnrollmentChange`")
    status: CourseChangeStatus = Field(default=CourseChangeStatus.RUNNING, sa_type=STATE)
    enrollments: int = Field(default=0, description="that it concerns")
    done: int = 0
    refused: int = Field(default=0, description="enrollments for which it makes no sense")
    actor: str = Field(max_length=80)
    ended_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    request: dict[str, object] = Field(sa_type=JSONB, description="the `CourseChangeRequest`, as it was asked for")
    last_id: UUID | None = Field(default=None, description="the last enrollment, in the order of ids, that is reached")
    workflow_id: str = Field(max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
