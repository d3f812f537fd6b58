"""Starting to follow a dispute from within another job."""

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from models.identifiers import dispute_workflow_id
    from models.listing import DISPUTE_SUMMARY, dispute_attributes
    from models.messages.disputes import DisputedPayment
    from workflows.dispute import DisputeWorkflow


async def follow_dispute(stripe_dispute_id: str) -> None:
    """From within a workflow: have the dispute looked at again, by the run that follows it or by a new one.

    The run outlives the workflow that started it.
    """
    workflow_id = dispute_workflow_id(stripe_dispute_id)
    try:
        await workflow.start_child_workflow(
            DisputeWorkflow.run,
            DisputedPayment(stripe_dispute_id=stripe_dispute_id),
            id=workflow_id,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            search_attributes=dispute_attributes(),
            static_summary=DISPUTE_SUMMARY,
        )
    except WorkflowAlreadyStartedError:
        running = workflow.get_external_workflow_handle_for(DisputeWorkflow.run, workflow_id)
        try:
            await running.signal(DisputeWorkflow.dispute_changed)
        except ApplicationError:
            # It ended at this very moment, having looked; if that was too early, the next look finds it.
            return
