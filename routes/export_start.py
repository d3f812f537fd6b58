"""Messages to the workflows of exports: started, told to stop, and found again when they are lost."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from temporalio.client import Client, RPCTimeoutOrCancelledError, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.starts import is_delivered, leave_no_start_unread
from models.errors import Reason
from models.identifiers import export_workflow_id
from models.listing import EXPORT_SUMMARY, export_attributes
from models.messages.exports import ExportRequest
from routes.refusals import PATIENCE, problem_of
from workflows.export import ExportWorkflow
from workflows.queues import REGISTRAR_QUEUE

_BEGIN_PATIENCE = timedelta(seconds=10)
_REFUSALS = frozenset({Reason.TOO_MANY_ROWS, Reason.FORMAT_NOT_AVAILABLE})
_BEGIN = "begin"
_CANCEL = "cancel"


async def start_export(temporal: Client, request: ExportRequest) -> bool:
    """Start an export, or find it; true once it has begun, false if that takes long: then it goes on by itself.

    Raises `ProblemError` if it is refused. One that was terminated may be started anew: what is written is found.
    """
    start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        ExportWorkflow.run,
        request,
        id=export_workflow_id(request.export_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=export_attributes(),
        static_summary=EXPORT_SUMMARY,
        static_details=f"Asked for by `{request.actor}`.",
    )
    leave_no_start_unread(start)
    try:
        async with asyncio.timeout(_BEGIN_PATIENCE.total_seconds()):
            _ = await temporal.execute_update_with_start_workflow(
                _BEGIN, start_workflow_operation=start, rpc_timeout=_BEGIN_PATIENCE
            )
    except WorkflowUpdateFailedError as failed:
        raise problem_of(failed, _REFUSALS) from failed
    except (RPCTimeoutOrCancelledError, TimeoutError):
        return False
    return True


async def cancel_export(temporal: Client, export_id: UUID) -> bool:
    """Have the export stop; false if no workflow follows it."""
    handle = temporal.get_workflow_handle_for(ExportWorkflow.run, export_workflow_id(export_id))
    return await is_delivered(handle.signal(ExportWorkflow.cancel, rpc_timeout=PATIENCE))


async def end_lost_export(temporal: Client, request: ExportRequest) -> None:
    """Have an export that has lost its workflow canceled by another one."""
    await temporal.start_workflow(
        ExportWorkflow.run,
        request,
        id=export_workflow_id(request.export_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=_CANCEL,
        search_attributes=export_attributes(),
        static_summary=EXPORT_SUMMARY,
        static_details=f"Canceled for `{request.actor}`: its workflow was lost.",
        rpc_timeout=PATIENCE,
    )
