"""How jobs are shown: one with why it waits, many as lists have them."""

from datetime import UTC, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from activities.job_reading import Job, Listed
from activities.job_story import OnRecord, story_of
from models.vocabulary import WaitingFor
from routes.runs import web_address
from settings import Settings

_WHO = {
    WaitingFor.PAYMENT.value: "payer",
    WaitingFor.REVIEWER.value: "reviewer",
    WaitingFor.APPLICANT.value: "applicant",
    WaitingFor.OPERATOR.value: "operator",
    WaitingFor.STRIPE.value: "stripe",
}
_EXAMPLE_ID = "order-5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"
_EXAMPLE_HREF = f"http://127.0.0.1:8233/namespaces/default/workflows/{_EXAMPLE_ID}"


class PendingStep(BaseModel):
    """A step that is being tried, with the kind of its last failure. What the failure says stays in the Web UI."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    activity: str
    attempt: int
    last_failure: str | None = Field(description="the type of the last failure, none if nothing failed yet")
    next_attempt_at: datetime | None


class JobView(BaseModel):
    """Where a job stands, what it waits for and who has to act."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workflow_id: str
    type: str
    run_status: str = Field(description="what Temporal says: `running`, `completed`, `failed`, `paused`, …")
    state: str | None = Field(description="the state of the business thing, e.g. `pending_payment`")
    waiting_for: str | None
    since: datetime
    next_action: str | None = Field(description="none if no worker could be asked")
    who_must_act: str = Field(description="`payer`, `reviewer`, `operator`, `stripe`, `applicant`, `nobody`")
    due_at: datetime | None = Field(description="until when it waits")
    needs_human: bool
    task_id: UUID | None = Field(description="the open task that a person has to decide")
    last_failure: str | None = Field(description="of the step that is being tried, if one failed")
    next_attempt_at: datetime | None = Field(description="when that step is tried again")
    pending: tuple[PendingStep, ...]
    stuck: tuple[str, ...] = Field(description="what the last scan for stuck jobs has found, and nobody has settled")
    why: str = Field(description="all of it in full sentences, for people")
    href: str = Field(description="the Temporal Web UI")


class ListedJobView(BaseModel):
    """A job as lists have it: what its search attributes say. The job itself tells more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workflow_id: str
    type: str
    job: str | None = Field(description="the kind of job, e.g. `order`")
    run_status: str
    state: str | None
    waiting_for: str | None
    needs_human: bool
    due_at: datetime | None
    started_at: datetime
    closed_at: datetime | None
    href: str = Field(description="the Temporal Web UI")


EXAMPLE = JobView(
    workflow_id=_EXAMPLE_ID,
    type="OrderWorkflow",
    run_status="running",
    state="pending_payment",
    waiting_for="payment",
    since=datetime(2026, 3, 2, 10, 15, tzinfo=UTC),
    next_action="The payer has to pay; after that the seat is theirs.",
    who_must_act="payer",
    due_at=datetime(2026, 3, 2, 10, 30, tzinfo=UTC),
    needs_human=False,
    task_id=None,
    last_failure="stripe_unreachable",
    next_attempt_at=None,
    pending=(PendingStep(activity="read_payment", attempt=3, last_failure="stripe_unreachable", next_attempt_at=None),),
    stuck=(),
    why=f"OrderWorkflow {_EXAMPLE_ID} runs as pending_payment and waits for whoever pays, since 2026-03-02 10:15 UTC,"
    " until 2026-03-02 10:30 UTC. The payer has to pay; after that the seat is theirs. The step read_payment has failed"
    " 2 times, the last time with stripe_unreachable; it is being tried now.",
    href=_EXAMPLE_HREF,
)
LISTED_EXAMPLE = ListedJobView(
    workflow_id=_EXAMPLE_ID,
    type="OrderWorkflow",
    job="order",
    run_status="running",
    state="pending_payment",
    waiting_for="payment",
    needs_human=False,
    due_at=None,
    started_at=datetime(2026, 3, 2, 10, 15, tzinfo=UTC),
    closed_at=None,
    href=_EXAMPLE_HREF,
)


def view_of(job: Job, known: OnRecord, settings: Settings) -> JobView:
    """The job, as it tells itself and as the record knows it."""
    waiting_for, failing = job.now_waits_for, job.failing
    return JobView(
        workflow_id=job.workflow_id,
        type=job.type,
        run_status=job.run_status,
        state=job.now_state,
        waiting_for=waiting_for,
        since=job.since,
        next_action=job.told.next_action if job.told else None,
        # A run that broke still tells its last words; what it waited for will not come any more.
        who_must_act=(
            "operator" if job.is_broken else _WHO.get(waiting_for or "", "nobody") if job.is_open else "nobody"
        ),
        due_at=job.waits_until,
        needs_human=job.needs_a_person,
        task_id=job.task_id,
        last_failure=None if failing is None else failing.last_failure,
        next_attempt_at=None if failing is None else failing.next_attempt_at,
        pending=tuple(
            PendingStep(
                activity=step.activity,
                attempt=step.attempt,
                last_failure=step.last_failure,
                next_attempt_at=step.next_attempt_at,
            )
            for step in job.pending
        ),
        stuck=known.findings,
        why=story_of(job, known),
        href=web_address(settings, job.workflow_id),
    )


def listed_view_of(job: Listed, settings: Settings) -> ListedJobView:
    """The job as lists have it."""
    return ListedJobView(
        workflow_id=job.workflow_id,
        type=job.type,
        job=job.job,
        run_status=job.run_status,
        state=job.state,
        waiting_for=job.waiting_for,
        needs_human=job.needs_human or job.is_broken,
        due_at=job.due_at if job.is_open else None,
        started_at=job.started_at,
        closed_at=job.closed_at,
        href=web_address(settings, job.workflow_id),
    )
