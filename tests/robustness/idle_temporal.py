"""Stands in for a Temporal that takes starts and signals while no worker answers: nothing runs, nothing is found."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsResponse,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsResponse,
)

from tests.api.recording_temporal import RecordingHandle, RecordingService, RecordingTemporal, not_found, unreachable


class IdleTemporal(RecordingTemporal):
    """Every update goes unanswered, as every query does."""

    async def execute_update_with_start_workflow(
        self, update: Any, argument: object = None, *, start_workflow_operation: Any, **_options: Any
    ) -> object:
        """Nobody answers."""
        start_workflow_operation._workflow_handle.cancel()
        raise unreachable()

    def get_workflow_handle_for(self, _workflow: object, workflow_id: str) -> "IdleHandle":
        """A handle of a workflow that does not answer."""
        return IdleHandle(self, workflow_id)

    def get_workflow_handle(self, workflow_id: str) -> "IdleHandle":
        """A handle of a workflow that does not answer."""
        return IdleHandle(self, workflow_id)

    @property
    def workflow_service(self) -> "IdleService":
        """The server's own words."""
        return IdleService(self)


@dataclass
class IdleHandle(RecordingHandle):
    """A workflow that nobody works on."""

    async def execute_update(self, *_arguments: object, **_options: Any) -> None:
        """Nobody answers."""
        raise unreachable()

    async def result(self, **_options: Any) -> object:
        """It does not end."""
        raise unreachable()


class IdleService(RecordingService):
    """The server, which knows no run."""

    async def describe_workflow_execution(
        self,
        request: DescribeWorkflowExecutionRequest,
        *,
        retry: bool = False,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - Temporal's name
    ) -> DescribeWorkflowExecutionResponse:
        """There is none."""
        raise not_found()

    async def list_workflow_executions(self, _request: object, **_options: Any) -> ListWorkflowExecutionsResponse:
        """None."""
        return ListWorkflowExecutionsResponse()

    async def count_workflow_executions(self, _request: object, **_options: Any) -> CountWorkflowExecutionsResponse:
        """None."""
        return CountWorkflowExecutionsResponse()
