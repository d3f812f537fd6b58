"""What is said about checks that look over the record, and what they find."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.messages.message import Actor, Message, WorkflowId
from models.vocabulary import CheckKind, FindingKind, FindingStatus, MailTemplate


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


class FindStuckJobs(Message):
    """The input of `StuckJobsWorkflow`."""


class CheckCriticalMail(Message):
    """The input of `CriticalMailWorkflow`."""


class LookOverMail(Message):
    """Look over the mails and papers that people rely on, of the days before this moment (UTC)."""

    moment: datetime
    workflow_id: WorkflowId
    papers: int = Field(default=0, ge=0, description="how many papers were found missing before")


class MailToSend(Message):
    """A mail that has to go out, by its key in the ledger."""

    recipient_id: UUID
    template: MailTemplate
    subject_id: UUID
    occasion: str = Field(default="", max_length=48)


class ToPutRight(Message):
    """What a check, or a person, wants done at once: papers to be made, then mails to be sent."""

    document_ids: tuple[UUID, ...] = ()
    mails: tuple[MailToSend, ...] = ()
    found: int = Field(default=0, ge=0, description="how many findings there are now")


class PutRightAgain(Message):
    """A person says that a finding is mended: find what has to be done for it once more."""

    finding_id: UUID
    times: int = Field(ge=1, description="how often it came up; each time is another word of theirs")
    actor: Actor
    workflow_id: WorkflowId


class CriticalMailChecked(Message):
    """The result of `CriticalMailWorkflow`."""

    papers: int = 0
    mails: int = 0
    found: int = 0


class LookForStuckJobs(Message):
    """Look over the jobs that run, and those that broke of late."""

    moment: datetime
    workflow_id: WorkflowId


class StuckJobsFound(Message):
    """What one look came to, in jobs."""

    looked_at: int = 0
    stuck: int = 0
    asked: int = 0
