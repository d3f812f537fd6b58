"""What became of lessons."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field

from models.tables.columns import STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import Attendance, LessonOutcome


class LessonRecord(Row, table=True):
    """What became of one lesson of one student: a lesson of the course, a booked hour of a tutor's pack, or a meeting.

    Refunds count these (rules/refund.py). How well a lesson of the course went is its `LessonProgress`.
    """

    __tablename__ = "lesson_records"
    __table_args__ = (
        one_of("outcome", LessonOutcome),
        one_of("attendance", Attendance),
        CheckConstraint("num_nonnulls(lesson_id, slot_id, meeting_id) = 1", name="lesson_slot_or_meeting"),
        UniqueConstraint("enrollment_id", "lesson_id"),
        UniqueConstraint("enrollment_id", "slot_id"),
        UniqueConstraint("enrollment_id", "meeting_id"),
    )

    enrollment_id: UUID = Field(foreign_key="enrollments.id")
    lesson_id: UUID | None = Field(default=None, foreign_key="lessons.id")
    slot_id: UUID | None = Field(default=None, foreign_key="lesson_slots.id")
    meeting_id: UUID | None = Field(default=None, foreign_key="class_sessions.id")
    outcome: LessonOutcome = Field(sa_type=STATE)
    attendance: Attendance | None = Field(
        default=None, sa_type=STATE, description="of an hour or a meeting; what it comes to is the outcome"
    )
    recorded_by: str = Field(
        max_length=80, description="the actor, e.g. `tutor:<id>`; `system` where nobody said anything for 72 hours"
    )
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
