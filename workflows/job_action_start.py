"""Starting an action on many jobs, for the API and the command line."""

from datetime import timedelta

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.starts import leave_no_start_unread
from models.identifiers import job_action_workflow_id
from models.listing import job_action_attributes, job_action_summary
from models.messages.job_actions import JobActionBegun, JobActionProgress, JobActionRequest, StopJobAction
from workflows.job_action import JobActionWorkflow
from workflows.queues import REGISTRAR_QUEUE


async def start_job_action(temporal: Client, request: JobActionRequest, patience: timedelta) -> JobActionBegun:
    """Start an action on many jobs, or find it, and return once it is written down which jobs it is for.

    Raises `WorkflowUpdateFailedError` if it is refused. One that was terminated may be started anew: the record says
    which jobs had their turn.
    """
    start: WithStartWorkflowOperation[JobActionWorkflow, JobActionProgress] = WithStartWorkflowOperation(
        JobActionWorkflow.run,
        request,
        id=job_action_workflow_id(request.job_action_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=job_action_attributes(),
        static_summary=job_action_summary(request.action),
        static_details=f"Asked for by `{request.actor}`.",
    )
    leave_no_start_unread(start)
    begun: JobActionBegun = await temporal.execute_update_with_start_workflow(
        "begun", start_workflow_operation=start, result_type=JobActionBegun, rpc_timeout=patience
    )
    return begun


async def stop_job_action(temporal: Client, request: JobActionRequest, actor: str, patience: timedelta) -> None:
    """Act on no further job. One that has lost its workflow gets another, which closes it."""
    await temporal.start_workflow(
        JobActionWorkflow.run,
        request,
        id=job_action_workflow_id(request.job_action_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal="stop",
        start_signal_args=[StopJobAction(actor=actor)],
        search_attributes=job_action_attributes(),
        static_summary=job_action_summary(request.action),
        rpc_timeout=patience,
    )
