"""What is said about checks that look over the record, and what they find."""

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
    healing_minutes: int = Field(
        default=5, ge=0, le=1440, description="how long a job that was told to put it right has for that, at least"
    )


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
    times: int | None = Field(default=None, ge=1, description="which coming up of it the person was asked about")


class FindingOutcome(Message):
    """The result of `FindingWorkflow`."""

    status: FindingStatus
