"""What is said about comparing the record with Stripe, and about catching up on what Stripe has told."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from models.messages.message import Message, WorkflowId

Scope = Literal["recent", "nightly"]


class Reconcile(Message):
    """The input of `ReconciliationWorkflow`: `recent` looks back a day, `nightly` a week, and makes a workbook."""

    scope: Scope = "recent"
    settle_minutes: int = Field(default=10, ge=0, le=1440, description="what is younger is still on its way")
    healing_minutes: int = Field(
        default=5, ge=0, le=1440, description="what jobs have to put right what they were told"
    )


class CompareBooks(Message):
    """Compare what happened in this span (UTC), and whatever is open of earlier ones."""

    scope: Scope
    looked_from: datetime
    looked_until: datetime
    workflow_id: WorkflowId


class ComparedBooks(Message):
    """The run of the check, what it has found, and how much of that a job can put right."""

    run_id: UUID
    found: int = Field(ge=0)
    healing: int = Field(ge=0)


class TellJobs(Message):
    """Tell the jobs that can put right what a run has found."""

    run_id: UUID


class ToldJobs(Message):
    """How many were reached."""

    told: int = Field(ge=0)


class EndReconciliation(Message):
    """Write down what a run came to."""

    run_id: UUID
    told: int = Field(ge=0)
    asked: int = Field(ge=0)


class WriteFindings(Message):
    """Make the workbook of what a run has found."""

    run_id: UUID


class ReconciliationOutcome(Message):
    """The result of `ReconciliationWorkflow`."""

    run_id: UUID
    found: int = Field(ge=0)
    told: int = Field(ge=0)
    asked: int = Field(ge=0)


class CatchUp(Message):
    """The input of `StripeCatchUpWorkflow`: read again what Stripe has told since it was read last."""

    overlap_minutes: int = Field(default=60, ge=0, le=1440, description="before that, since events may appear late")


class CaughtUp(Message):
    """The result of `StripeCatchUpWorkflow`: events that were read, of them new, and of them passed on."""

    read: int = Field(ge=0)
    missed: int = Field(ge=0)
    passed_on: int = Field(ge=0)
    read_until: datetime | None = None
