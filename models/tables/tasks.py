"""What a person has to decide."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, String, text
from sqlmodel import Field

from models.tables.columns import STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import TaskKind, TaskStatus


class HumanTask(Row, table=True):
    """A decision that a workflow waits for. Its id follows from the workflow and what it is about."""

    __tablename__ = "human_tasks"
    __table_args__ = (
        one_of("kind", TaskKind),
        one_of("status", TaskStatus),
        CheckConstraint("(status = 'done') = (decided_at IS NOT NULL)", name="done_has_time"),
        CheckConstraint("cardinality(allowed_actions) > 0", name="has_actions"),
        Index("ix_human_tasks_open", "due_at", postgresql_where=text("status = 'open'")),
        Index("ix_human_tasks_subject", "subject_kind", "subject_id"),
    )

    kind: TaskKind = Field(sa_type=STATE)
    status: TaskStatus = Field(default=TaskStatus.OPEN, sa_type=STATE)
    subject_kind: str = Field(max_length=32, description="e.g. `order`")
    subject_id: UUID
    workflow_id: str = Field(max_length=255, description="who waits for the decision")
    reason: str = Field(max_length=500, description="why a person has to look, in words for staff; no personal data")
    allowed_actions: list[str] = Field(sa_type=ARRAY(String(32)))
    due_at: datetime = Field(sa_type=TIMESTAMP)
    decision: str | None = Field(default=None, max_length=32)
    decided_by: str | None = Field(default=None, max_length=80, description="the actor, e.g. `staff:<id>`")
    decided_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
