"""What is said about actions of operators on jobs, one or many."""

from uuid import UUID

from pydantic import Field

from models.errors import Reason
from models.messages.message import Actor, Message, WorkflowId
from models.vocabulary import JobAction, JobActionStatus


class JobActionRequest(Message):
    """The input of `JobActionWorkflow`: do this to every job that the query finds."""

    job_action_id: UUID
    action: JobAction
    query: str = Field(min_length=1, max_length=20_000, description="of Temporal's visibility; holds no personal data")
    actor: Actor


class JobActionBegun(Message):
    """For how many jobs it is, or why it is refused."""

    job_action_id: UUID
    total: int = 0
    refusal: Reason | None = None
    refusal_detail: str | None = None


class JobActionPage(Message):
    """Act on the next jobs of it."""

    job_action_id: UUID
    limit: int = Field(default=100, ge=1, le=1000)


class JobActionPageDone(Message):
    """How many of them had their turn; none if nobody was left."""

    done: int = 0


class EndJobAction(Message):
    """Write the end down."""

    job_action_id: UUID
    is_stopped: bool
    workflow_id: WorkflowId
    stopped_by: Actor | None = Field(default=None, description="none where it came to its end, or nobody said who")


class StopJobAction(Message):
    """Act on no further job."""

    actor: Actor


class JobActionProgress(Message):
    """How far it is; the result of `JobActionWorkflow`."""

    status: JobActionStatus
    total: int
    done: int


class RetryJob(Message):
    """Have one job try again at once, as somebody who was asked about it has decided."""

    workflow_id: WorkflowId
    actor: Actor


class RetriedJob(Message):
    """What came of it; a refusal is told and holds up nobody."""

    refusal: Reason | None = None
