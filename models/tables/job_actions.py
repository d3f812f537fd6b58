"""What operators did to many jobs at once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from models.tables.columns import STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import JobAction, JobActionOutcome, JobActionStatus


class BulkJobAction(Row, table=True):
    """An action on all jobs that a query found when it began."""

    __tablename__ = "job_actions"
    __table_args__ = (
        one_of("action", JobAction),
        one_of("status", JobActionStatus),
        CheckConstraint("(status = 'running') = (ended_at IS NULL)", name="ended_has_time"),
    )

    action: JobAction = Field(sa_type=STATE)
    status: JobActionStatus = Field(default=JobActionStatus.RUNNING, sa_type=STATE)
    query: str = Field(max_length=20_000, description="of Temporal's visibility; holds no personal data")
    requested_by: str = Field(max_length=80)
    asked_sha256: str = Field(max_length=64, description="of what was asked for, so that a repeat is told apart")
    ended_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    workflow_id: str = Field(max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class BulkJobActionLine(SQLModel, table=True):
    """One job of it, and what became of it; no outcome yet while it is its turn or before."""

    __tablename__ = "job_action_lines"
    __table_args__ = (one_of("outcome", JobActionOutcome),)

    job_action_id: UUID = Field(primary_key=True, foreign_key="job_actions.id")
    position: int = Field(primary_key=True, description="from 1, in which they are taken")
    job_id: str = Field(max_length=255, description="the workflow")
    outcome: JobActionOutcome | None = Field(default=None, sa_type=STATE)
    reason: str | None = Field(default=None, max_length=64, description="a word of ours")
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
