"""Starting a refund: update-with-start, and what every way in which it can end means for the caller."""

import asyncio
from datetime import timedelta

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.starts import leave_no_start_unread
from models.errors import Reason
from models.identifiers import refund_workflow_id
from models.messages.refunds import RefundWish
from routes.refusals import answered
from workflows.queues import REGISTRAR_QUEUE
from workflows.refund import RefundWorkflow
from workflows.refund_listing import refund_attributes, refund_details, refund_summary

_PATIENCE = timedelta(seconds=15)
_REFUSALS = {Reason.NOT_FOUND, Reason.REFUND_NOT_ELIGIBLE, Reason.REFUND_IN_PROGRESS}


async def start_refund(temporal: Client, wish: RefundWish) -> None:
    """Start the refund, or join the one of the same wish. Raises `ProblemError` if it is refused or takes too long.

    A wish that was refused leaves a closed run, so that the next one may start another; what was granted once is on
    record, and found there.
    """
    start = _start_operation(wish)
    leave_no_start_unread(start)
    async with answered(_REFUSALS, "repeat it with the same key"), asyncio.timeout(_PATIENCE.total_seconds()):
        _ = await temporal.execute_update_with_start_workflow(
            RefundWorkflow.request,
            wish,
            start_workflow_operation=start,
            id=f"request-{wish.request_id}",
            rpc_timeout=_PATIENCE,
        )


def _start_operation(wish: RefundWish) -> "WithStartWorkflowOperation[RefundWorkflow, object]":
    return WithStartWorkflowOperation(
        RefundWorkflow.run,
        wish,
        id=refund_workflow_id(wish.enrollment_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=refund_attributes(wish),
        static_summary=refund_summary(wish),
        static_details=refund_details(wish),
    )
