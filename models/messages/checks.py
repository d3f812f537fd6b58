"""What is said about checks that look over the record, and what they find."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.messages.message import Actor, Message, WorkflowId
from models.vocabulary import CheckKind, FindingKind, FindingStatus


class LookInto(Message):
    """The input of `FindingWorkflow`: something is wrong that no program can put right."""

    finding_id: UUID
    found_by: CheckKind
    kind: FindingKind
    subject_kind: str = Field(max_length=32)
    subject_id: UUID
    reason: str = Field(min_length=1, max_length=500, description="for staff; holds no personal data")
    times: int = Field(default=1, ge=1, description="how often it came up again after it was settled, and the first")
    job_id: WorkflowId | None = Field(default=None, description="the workflow that it is about")


class PursueFindings(Message):
    """Have somebody asked about every open finding of a check, and nobody about one that is settled."""

    found_by: CheckKind
    limit: int = Field(default=1000, ge=1, le=10_000)


class PursuedFindings(Message):
    """How many jobs were reached."""

    asked: int = 0
    told: int = 0


class SettleFinding(Message):
    """Write down what a person decided about a finding. One that is settled already stays as it is."""

    finding_id: UUID
    status: FindingStatus
    actor: Actor
    workflow_id: WorkflowId


class FindingOutcome(Message):
    """The result of `FindingWorkflow`."""

    status: FindingStatus


class FindStuckJobs(Message):
    """The input of `StuckJobsWorkflow`."""


class LookForStuckJobs(Message):
    """Look over the jobs that run, and those that broke of late."""

    moment: datetime
    workflow_id: WorkflowId


class StuckJobsFound(Message):
    """What one look came to, in jobs."""

    looked_at: int = 0
    stuck: int = 0
    asked: int = 0
