"""What a person has to decide."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, String, text
from sqlmodel import Field, SQLModel

from models.tables.columns import STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import TaskKind, TaskQueue, TaskStatus


class HumanTask(Row, table=True):
    """A decision that a workflow waits for. Its id follows from the workflow and what it is about."""

    __tablename__ = "human_tasks"
    __table_args__ = (
        one_of("kind", TaskKind),
        one_of("status", TaskStatus),
        one_of("queue", TaskQueue),
        CheckConstraint("escalation BETWEEN 0 AND 3", name="escalation_known"),
        CheckConstraint("(status = 'done') = (decided_at IS NOT NULL)", name="done_has_time"),
        CheckConstraint("cardinality(allowed_actions) > 0", name="has_actions"),
        Index("ix_human_tasks_open", "due_at", postgresql_where=text("status = 'open'")),
        Index("ix_human_tasks_workflow_id", "workflow_id"),
        Index("ix_human_tasks_subject", "subject_kind", "subject_id"),
    )

    kind: TaskKind = Field(sa_type=STATE)
    status: TaskStatus = Field(default=TaskStatus.OPEN, sa_type=STATE)
    subject_kind: str = Field(max_length=32, description="e.g. `order`")
    subject_id: UUID
    workflow_id: str = Field(max_length=255, description="who waits for the decision")
    reason: str = Field(max_length=500, description="why a person has to look, in words for staff; no personal data")
    allowed_actions: list[str] = Field(sa_type=ARRAY(String(32)))
    queue: TaskQueue = Field(default=TaskQueue.FINANCE, sa_type=STATE, description="whom it is for")
    assignee: str | None = Field(default=None, max_length=80, description="the actor who has taken it, if any")
    due_at: datetime = Field(sa_type=TIMESTAMP)
    remind_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="the moments of its academy's")
    escalate_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="working days, pinned")
    escalate_again_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    escalation: int = Field(default=0, description="0, reminded 1, escalated 2, escalated again 3")
    decision: str | None = Field(default=None, max_length=32)
    decided_by: str | None = Field(default=None, max_length=80, description="the actor, e.g. `staff:<id>`")
    decided_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class TaskContact(SQLModel, table=True):
    """Who is written to when a queue's tasks wait too long. A queue without a row is only listed."""

    __tablename__ = "task_contacts"
    __table_args__ = (one_of("queue", TaskQueue),)

    queue: TaskQueue = Field(primary_key=True, sa_type=STATE)
    remind_id: UUID = Field(foreign_key="people.id", description="after one working day")
    escalate_id: UUID | None = Field(default=None, foreign_key="people.id", description="after two")
    escalate_again_id: UUID | None = Field(default=None, foreign_key="people.id", description="after four")


class Note(Row, table=True):
    """What somebody has written down about a decision. Kept here alone, since it may name people."""

    __tablename__ = "notes"
    __table_args__ = (Index("ix_notes_subject", "subject_kind", "subject_id", "created_at"),)

    subject_kind: str = Field(max_length=32, description="`task`, `applicant_message`, `refund_request` or `cascade`")
    subject_id: UUID
    author: str = Field(max_length=80, description="the actor, e.g. `staff:<id>`")
    text: str = Field(max_length=2000)
