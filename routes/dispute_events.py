"""Stripe tells of a dispute: whoever follows it looks again, and somebody follows it from now on."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from models.identifiers import dispute_workflow_id
from models.messages.disputes import DisputedPayment
from workflows.dispute import DisputeWorkflow
from workflows.dispute_start import LISTED, SUMMARY
from workflows.queues import REGISTRAR_QUEUE

_PATIENCE = timedelta(seconds=5)


async def look_at_dispute(temporal: Client, stripe_dispute_id: str) -> None:
    """Signal the run that follows the dispute, starting it if there is none. Twice does what once does.

    A dispute whose run is over may go on all the same (a lost one may be won later): then another run looks at it.
    """
    await temporal.start_workflow(
        DisputeWorkflow.run,
        DisputedPayment(stripe_dispute_id=stripe_dispute_id),
        id=dispute_workflow_id(stripe_dispute_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal="dispute_changed",
        search_attributes=LISTED,
        static_summary=SUMMARY,
        rpc_timeout=_PATIENCE,
    )
