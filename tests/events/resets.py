"""Taking every job of a path back to a moment of its history, as an operator does: what was done is done once."""

import asyncio
from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client


async def points_of(temporal: Client, workflow_id: str) -> tuple[str, list[int]]:
    """The latest run of a job, and the ends of its workflow tasks: to each of them it can be reset."""
    run_id = (await temporal.get_workflow_handle(workflow_id).describe()).run_id
    history = await temporal.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    ends = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return str(run_id), [event.event_id for event in history.events if event.event_type == ends]


async def reset_each(temporal: Client, points: dict[str, tuple[str, int]]) -> None:
    """Reset each of these jobs to its point, all at once. Signals and updates that came after it are given again."""
    await asyncio.gather(
        *(
            temporal.workflow_service.reset_workflow_execution(
                ResetWorkflowExecutionRequest(
                    namespace=temporal.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
                    reason="a drill",
                    workflow_task_finish_event_id=point,
                    request_id=uuid4().hex,
                )
            )
            for workflow_id, (run_id, point) in points.items()
        )
    )
