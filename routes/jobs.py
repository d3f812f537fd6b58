"""Jobs: what a workflow is doing and why it waits, for operators."""

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import exists, select
from sqlmodel import col
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client, RPCTimeoutOrCancelledError, WorkflowQueryFailedError
from temporalio.converter import decode_typed_search_attributes
from temporalio.service import RPCError

from activities.database import Sessions
from models import search
from models.errors import Reason
from models.messages.jobs import JobState
from models.tables import TutorApplication
from models.vocabulary import Role, WaitingFor
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.runs import describe, web_address
from routes.tokens import Principal

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=AuthenticatedRoute)

_PATIENCE = timedelta(seconds=5)
_WHO = {
    WaitingFor.PAYMENT.value: "payer",
    WaitingFor.REVIEWER.value: "reviewer",
    WaitingFor.APPLICANT.value: "applicant",
    WaitingFor.OPERATOR.value: "operator",
    WaitingFor.STRIPE.value: "stripe",
}
_APPLICATIONS = "tutor-application-"
_OPEN = frozenset({"running", "paused", "continued_as_new"})
_BROKEN = frozenset({"failed", "terminated", "timed_out", "canceled"})
_ERROR_TYPE = re.compile(r"[A-Za-z0-9_.]{1,80}")


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
    href: str = Field(description="the Temporal Web UI")


_JOB = JobView(
    workflow_id=f"order-{UUID('5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21')}",
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
    href="http://127.0.0.1:8233/namespaces/default/workflows/order-5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21",
)


@router.get(
    "/{workflow_id}",
    summary="Read what a job is doing",
    responses={
        **answer(HTTPStatus.OK, "The job", _JOB),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_job(
    workflow_id: Annotated[str, Path(pattern=r"^[A-Za-z0-9._:-]{1,255}$", description="e.g. `order-<order id>`")],
    principal: Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))],
    parts: TheParts,
    connections: TheConnections,
) -> JobView:
    """From the workflow itself; if no worker can be asked, from what the server remembers of it.

    Of their own application nobody reads what the reviewers are doing.
    """
    is_own = await _is_about_own(connections.sessions, workflow_id, principal)
    run = None if is_own else await describe(connections.temporal, workflow_id, _PATIENCE)
    if run is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such job, or it was long ago.")
    info = run.workflow_execution_info
    told = await _ask(connections.temporal, workflow_id)
    remembered = decode_typed_search_attributes(info.search_attributes)
    waiting_for = told.waiting_for if told else remembered.get(search.WAITING_FOR)
    run_status, pending = _run_status(info.status), _pending(run)
    is_open, is_broken = run_status in _OPEN, run_status in _BROKEN
    failing = next((step for step in pending if step.last_failure is not None), None)
    return JobView(
        workflow_id=workflow_id,
        type=info.type.name,
        run_status=run_status,
        state=told.status if told else remembered.get(search.STATE),
        waiting_for=waiting_for,
        since=told.since if told else info.start_time.ToDatetime(UTC),
        next_action=told.next_action if told else None,
        # A run that broke still tells its last words; what it waited for will not come any more.
        who_must_act="operator" if is_broken else _WHO.get(waiting_for or "", "nobody") if is_open else "nobody",
        due_at=(told.due_at if told else remembered.get(search.DUE_AT)) if is_open else None,
        needs_human=is_broken or (told.needs_human if told else remembered.get(search.NEEDS_HUMAN) or False),
        task_id=told.task_id if told and is_open else None,
        last_failure=None if failing is None else failing.last_failure,
        next_attempt_at=None if failing is None else failing.next_attempt_at,
        pending=pending,
        href=web_address(parts.settings, workflow_id),
    )


async def _is_about_own(sessions: Sessions, workflow_id: str, principal: Principal) -> bool:
    if principal.person_id is None or not workflow_id.startswith(_APPLICATIONS):
        return False
    own = exists().where(
        col(TutorApplication.workflow_id) == workflow_id, col(TutorApplication.applicant_id) == principal.person_id
    )
    async with sessions() as session:
        return bool((await session.execute(select(own))).scalar_one())


async def _ask(temporal: Client, workflow_id: str) -> JobState | None:
    handle = temporal.get_workflow_handle(workflow_id)
    try:
        told: JobState = await handle.query("status", result_type=JobState, rpc_timeout=_PATIENCE)
    except (RPCError, RPCTimeoutOrCancelledError, WorkflowQueryFailedError):
        return None
    return told


def _run_status(number: int) -> str:
    try:
        return WorkflowExecutionStatus.Name(WorkflowExecutionStatus.ValueType(number)).rpartition("STATUS_")[2].lower()
    except ValueError:  # newer than this library
        return f"status_{number}"


def _pending(run: DescribeWorkflowExecutionResponse) -> tuple[PendingStep, ...]:
    return tuple(_step(activity) for activity in run.pending_activities)


def _step(activity: PendingActivityInfo) -> PendingStep:
    waits = activity.HasField("next_attempt_schedule_time")
    return PendingStep(
        activity=activity.activity_type.name,
        attempt=activity.attempt,
        last_failure=_kind(activity.last_failure) if activity.HasField("last_failure") else None,
        next_attempt_at=activity.next_attempt_schedule_time.ToDatetime(UTC) if waits else None,
    )


def _kind(failure: Failure) -> str:
    """The type of a failure, in words that cannot hold what somebody typed."""
    info = failure.WhichOneof("failure_info")
    if info != "application_failure_info":
        return (info or "unknown").removesuffix("_failure_info")
    kind = failure.application_failure_info.type
    return kind if _ERROR_TYPE.fullmatch(kind) else "application"
