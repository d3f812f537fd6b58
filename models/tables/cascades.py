"""Many enrollments ended at once, because their tutor or their course is gone."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from models.tables.columns import STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import CascadeKind, CascadeStatus, RefundShare


class Cascade(Row, table=True):
    """One such decision (TutorHub R61, R62). Why it was taken is its note, which is mailed to the students."""

    __tablename__ = "cascades"
    __table_args__ = (
        one_of("kind", CascadeKind),
        one_of("share", RefundShare),
        one_of("status", CascadeStatus),
        CheckConstraint("(kind = 'course_removed') = (course_id IS NOT NULL)", name="removal_has_course"),
        CheckConstraint("(kind <> 'course_removed') = (tutor_id IS NOT NULL)", name="ban_has_tutor"),
        CheckConstraint("(status = 'done') = (ended_at IS NOT NULL)", name="done_has_time"),
    )

    kind: CascadeKind = Field(sa_type=STATE)
    tutor_id: UUID | None = Field(default=None, foreign_key="people.id", index=True)
    course_id: UUID | None = Field(default=None, foreign_key="courses.id", index=True)
    share: RefundShare = Field(sa_type=STATE)
    status: CascadeStatus = Field(default=CascadeStatus.RUNNING, sa_type=STATE)
    requested_by: str = Field(max_length=80, description="the actor, e.g. `admin:<id>`")
    ended_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    workflow_id: str = Field(max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class CascadePlace(SQLModel, table=True):
    """An enrollment that was live when the cascade began. What has become of it is on the enrollment."""

    __tablename__ = "cascade_places"

    cascade_id: UUID = Field(primary_key=True, foreign_key="cascades.id")
    enrollment_id: UUID = Field(primary_key=True, foreign_key="enrollments.id")
    order_id: UUID = Field(foreign_key="orders.id")
