"""What a job is doing: as its workflow tells it, and as the server remembers it if no worker can be asked."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import SearchAttributes, WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState, WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse
from temporalio.client import Client, RPCTimeoutOrCancelledError, WorkflowQueryFailedError
from temporalio.common import TypedSearchAttributes
from temporalio.converter import decode_typed_search_attributes
from temporalio.service import RPCError, RPCStatusCode

from models import search
from models.messages.jobs import JobState
from rules.jobs import is_failing, is_wedged, tried_for

PATIENCE = timedelta(seconds=5)
OPEN = frozenset({"running", "paused", "continued_as_new"})
BROKEN = frozenset({"failed", "terminated", "timed_out", "canceled"})
_ERROR_TYPE = re.compile(r"[A-Za-z0-9_.]{1,80}")


@dataclass(frozen=True)
class Step:
    """A step that is being tried. `failures` is how often it failed so far, over at least `tried_for`."""

    id: str
    activity: str
    attempt: int
    last_failure: str | None
    next_attempt_at: datetime | None
    is_paused: bool
    is_under_way: bool
    failures: int
    tried_for: timedelta

    @property
    def times(self) -> str:
        """How often it failed, in words."""
        return "once" if self.failures == 1 else f"{self.failures} times"

    @property
    def waits(self) -> bool:
        """Whether it rests after a failure, or was paused: trying again makes it run now."""
        return self.is_paused or (self.last_failure is not None and not self.is_under_way)

    @property
    def is_failing(self) -> bool:
        """Whether it will hardly come right by itself."""
        return self.last_failure is not None and is_failing(self.failures, self.tried_for)


@dataclass(frozen=True)
class Listed:
    """A job as lists have it: the latest that was written to its search attributes."""

    workflow_id: str
    run_id: str
    type: str
    run_status: str
    job: str | None
    state: str | None
    waiting_for: str | None
    needs_human: bool
    due_at: datetime | None
    started_at: datetime
    closed_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it still runs, or another run goes on with it."""
        return self.run_status in OPEN

    @property
    def is_broken(self) -> bool:
        """Whether it ended otherwise than by its own word."""
        return self.run_status in BROKEN


@dataclass(frozen=True)
class Job(Listed):
    """A job as it stands. `told` is its own word, none if no worker could be asked; `task_attempts` counts the tries of
    a workflow task that fails."""

    pending: tuple[Step, ...]
    task_attempts: int
    told: JobState | None = None

    @property
    def failing(self) -> Step | None:
        """The first step that has failed and is tried again."""
        return next((step for step in self.pending if step.last_failure is not None), None)

    @property
    def is_wedged(self) -> bool:
        """Whether its code cannot go on."""
        return self.is_open and is_wedged(self.task_attempts)

    @property
    def since(self) -> datetime:
        """Since when it waits as it does (UTC)."""
        return self.told.since if self.told else self.started_at

    @property
    def now_state(self) -> str | None:
        """The state of the business thing."""
        return self.told.status if self.told else self.state

    @property
    def now_waits_for(self) -> str | None:
        """Whose turn it is."""
        return str(self.told.waiting_for) if self.told else self.waiting_for

    @property
    def waits_until(self) -> datetime | None:
        """Until when it waits, if it still does."""
        return (self.told.due_at if self.told else self.due_at) if self.is_open else None

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody has to act; of what broke somebody always has."""
        return self.is_broken or (self.told.needs_human if self.told else self.needs_human)

    @property
    def task_id(self) -> UUID | None:
        """The open task that a person has to decide."""
        return self.told.task_id if self.told and self.is_open else None


async def read_job(temporal: Client, workflow_id: str) -> Job | None:
    """The latest run of a job with its own word, none if there is none."""
    described = await describe(temporal, workflow_id, PATIENCE)
    if described is None:
        return None
    return job_of(workflow_id, described, await _ask(temporal, workflow_id))


async def describe(temporal: Client, workflow_id: str, patience: timedelta) -> DescribeWorkflowExecutionResponse | None:
    """The latest run of a workflow, none if there is none. Needs no worker.

    Asked in the server's own words: the client's `describe` raises on a status newer than itself, such as paused.
    """
    try:
        return await temporal.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=temporal.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
            ),
            retry=True,
            timeout=patience,
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


def job_of(workflow_id: str, run: DescribeWorkflowExecutionResponse, told: JobState | None = None) -> Job:
    """A job as the server describes it, and as it was told by itself."""
    waits = run.HasField("pending_workflow_task")
    return Job(
        **{**vars(listed_of(run.workflow_execution_info)), "workflow_id": workflow_id},
        pending=tuple(map(_step, run.pending_activities)),
        task_attempts=run.pending_workflow_task.attempt if waits else 0,
        told=told,
    )


def listed_of(info: WorkflowExecutionInfo) -> Listed:
    """A run as lists show it."""
    known = _attributes(info.search_attributes)
    return Listed(
        workflow_id=info.execution.workflow_id,
        run_id=info.execution.run_id,
        type=info.type.name,
        run_status=_run_status(info.status),
        job=known.get(search.JOB),
        state=known.get(search.STATE),
        waiting_for=known.get(search.WAITING_FOR),
        needs_human=known.get(search.NEEDS_HUMAN) or False,
        due_at=known.get(search.DUE_AT),
        started_at=info.start_time.ToDatetime(UTC),
        closed_at=_moment(info.close_time) if info.HasField("close_time") else None,
    )


def _attributes(attributes: SearchAttributes) -> TypedSearchAttributes:
    return decode_typed_search_attributes(attributes)


def _moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)


async def _ask(temporal: Client, workflow_id: str) -> JobState | None:
    handle: Any = temporal.get_workflow_handle(workflow_id)
    try:
        told: JobState = await handle.query("status", result_type=JobState, rpc_timeout=PATIENCE)
    except (RPCError, RPCTimeoutOrCancelledError, WorkflowQueryFailedError):
        return None
    return told


def _run_status(number: int) -> str:
    try:
        return WorkflowExecutionStatus.Name(WorkflowExecutionStatus.ValueType(number)).rpartition("STATUS_")[2].lower()
    except ValueError:  # newer than this library
        return f"status_{number}"


def _step(activity: PendingActivityInfo) -> Step:
    policy = activity.activity_options.retry_policy
    failures = max(0, activity.attempt - 1)
    return Step(
        id=activity.activity_id,
        activity=activity.activity_type.name,
        attempt=activity.attempt,
        last_failure=_kind(activity.last_failure) if activity.HasField("last_failure") else None,
        next_attempt_at=(
            _moment(activity.next_attempt_schedule_time) if activity.HasField("next_attempt_schedule_time") else None
        ),
        is_paused=activity.paused,
        is_under_way=activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        failures=failures,
        tried_for=tried_for(
            failures,
            policy.initial_interval.ToTimedelta(),
            policy.backoff_coefficient,
            policy.maximum_interval.ToTimedelta(),
        ),
    )


def _kind(failure: Failure) -> str:
    """The type of a failure, in words that cannot hold what somebody typed."""
    info = failure.WhichOneof("failure_info")
    if info != "application_failure_info":
        return (info or "unknown").removesuffix("_failure_info")
    kind = failure.application_failure_info.type
    return kind if _ERROR_TYPE.fullmatch(kind) else "application"
