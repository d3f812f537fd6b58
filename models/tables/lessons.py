"""What became of lessons."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field

from models.tables.columns import STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import LessonOutcome


class LessonRecord(Row, table=True):
    """What became of one lesson of one student: a lesson of the course, or a booked hour of a tutor's pack."""

    __tablename__ = "lesson_records"
    __table_args__ = (
        one_of("outcome", LessonOutcome),
        CheckConstraint("(lesson_id IS NULL) <> (slot_id IS NULL)", name="lesson_or_slot"),
        UniqueConstraint("enrollment_id", "lesson_id"),
        UniqueConstraint("enrollment_id", "slot_id"),
    )

    enrollment_id: UUID = Field(foreign_key="enrollments.id")
    lesson_id: UUID | None = Field(default=None, foreign_key="lessons.id")
    slot_id: UUID | None = Field(default=None, foreign_key="lesson_slots.id")
    outcome: LessonOutcome = Field(sa_type=STATE)
    recorded_by: str = Field(max_length=80, description="the actor, e.g. `tutor:<id>`")
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
