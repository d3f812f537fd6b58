"""Stands in for the Temporal client where a test is about what the API does before and after calling it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetSystemInfoRequest,
    GetSystemInfoResponse,
)
from temporalio.client import ScheduleListDescription, WorkflowExecutionCount, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode


def not_found() -> RPCError:
    """What the server says of a workflow that does not run."""
    return RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b"")


def unreachable() -> RPCError:
    """What the client says of a server that is away."""
    return RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")


@dataclass
class RecordingTemporal:
    """Records signals as (workflow id, signal); fails with `failure` while one is set."""

    namespace: str = "default"
    failure: RPCError | None = None
    signals: list[tuple[str, str]] = field(default_factory=list)
    queues: dict[tuple[str, int], DescribeTaskQueueResponse] = field(default_factory=dict)
    runs: dict[str, DescribeWorkflowExecutionResponse] = field(default_factory=dict)
    answers: dict[str, object] = field(default_factory=dict)
    started: list[tuple[str, object]] = field(default_factory=list)
    started_with: dict[str, str] = field(default_factory=dict)
    updates: list[tuple[str, str, object]] = field(default_factory=list)
    refused: ApplicationError | None = None

    async def start_workflow(self, _workflow: object, argument: object, **options: Any) -> None:
        """Record the start as (workflow id, argument), and the signal that comes with it."""
        self.started.append((options["id"], argument))
        if "start_signal" in options:
            self.started_with[options["id"]] = options["start_signal"]

    async def execute_update_with_start_workflow(
        self, update: str, argument: object = None, *, start_workflow_operation: Any, **_options: Any
    ) -> object:
        """Record the update, and the start as (workflow id, argument); refuse with `refused` while one is set."""
        start = start_workflow_operation._start_workflow_input
        start_workflow_operation._workflow_handle.set_result(None)
        self.started.append((start.id, start.args[0]))
        self.take(start.id, update, argument)
        return self.answers.get(update)

    def take(self, workflow_id: str, update: str, argument: object) -> None:
        """Record an update as (workflow id, update, argument), or fail as it was told to."""
        if self.failure is not None:
            raise self.failure
        self.updates.append((workflow_id, update, argument))
        if self.refused is not None:
            raise WorkflowUpdateFailedError(self.refused)

    def get_workflow_handle_for(self, _workflow: object, workflow_id: str) -> "RecordingHandle":
        """A handle whose signals are recorded."""
        return RecordingHandle(self, workflow_id)

    def get_workflow_handle(self, workflow_id: str) -> "RecordingHandle":
        """A handle whose signals are recorded."""
        return RecordingHandle(self, workflow_id)

    async def count_workflows(self, _query: str, **_options: Any) -> WorkflowExecutionCount:
        """None, or fail."""
        if self.failure is not None:
            raise self.failure
        return WorkflowExecutionCount(count=0, groups=[])

    async def list_schedules(self, **_options: Any) -> AsyncIterator[ScheduleListDescription]:
        """None."""

        async def none() -> AsyncIterator[ScheduleListDescription]:
            return
            yield

        return none()

    @property
    def workflow_service(self) -> "RecordingService":
        """The server's own words."""
        return RecordingService(self)


@dataclass
class RecordingHandle:
    """One workflow as its callers see it."""

    temporal: RecordingTemporal
    workflow_id: str

    async def signal(
        self, signal: Callable[..., object] | str, _argument: object = None, *, rpc_timeout: timedelta | None = None
    ) -> None:
        """Record the signal, or fail."""
        if self.temporal.failure is not None:
            raise self.temporal.failure
        self.temporal.signals.append((self.workflow_id, signal if isinstance(signal, str) else signal.__name__))

    async def execute_update(self, update: str, argument: object, **_options: Any) -> None:
        """Record the update, or fail."""
        self.temporal.take(self.workflow_id, update, argument)

    async def query(self, _query: str, *, result_type: type, rpc_timeout: timedelta | None = None) -> object:
        """Answer, if a worker could."""
        if self.workflow_id not in self.temporal.answers:
            raise unreachable()
        return self.temporal.answers[self.workflow_id]


@dataclass
class RecordingService:
    """The calls that have no counterpart in the client."""

    temporal: RecordingTemporal

    async def get_system_info(self, _request: GetSystemInfoRequest) -> GetSystemInfoResponse:
        """Answer, or fail."""
        if self.temporal.failure is not None:
            raise self.temporal.failure
        return GetSystemInfoResponse()

    async def describe_task_queue(self, request: DescribeTaskQueueRequest) -> DescribeTaskQueueResponse:
        """Who polls."""
        if self.temporal.failure is not None:
            raise self.temporal.failure
        key = (request.task_queue.name, request.task_queue_type)
        return self.temporal.queues.get(key, DescribeTaskQueueResponse())

    async def describe_workflow_execution(
        self,
        request: DescribeWorkflowExecutionRequest,
        *,
        retry: bool,
        timeout: timedelta,  # noqa: ASYNC109 - Temporal's name
    ) -> DescribeWorkflowExecutionResponse:
        """The run that was put there, if any."""
        if self.temporal.failure is not None:
            raise self.temporal.failure
        if request.execution.workflow_id not in self.temporal.runs:
            raise not_found()
        return self.temporal.runs[request.execution.workflow_id]
