"""Starting a change of a course with update-with-start, and stopping one that is under way."""

import asyncio
from datetime import timedelta
from uuid import UUID

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import SearchAttributePair, WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.starts import is_delivered, leave_no_start_unread
from models import search
from models.errors import Reason
from models.identifiers import course_change_workflow_id
from models.messages.learning import CourseChangeRequest
from models.vocabulary import CourseChangeStatus, WaitingFor
from routes.problems import ProblemError
from routes.refusals import answered
from workflows.course_change import CourseChangeWorkflow
from workflows.queues import REGISTRAR_QUEUE

_PATIENCE = timedelta(seconds=15)
COURSE_CHANGE_REFUSALS = (
    Reason.NOT_FOUND,
    Reason.IDEMPOTENCY_KEY_REUSED,
    Reason.DRIP_RULE_INVALID,
    Reason.MEETING_OVER,
    Reason.INVALID_REQUEST,
)


async def start_course_change(temporal: Client, request: CourseChangeRequest) -> None:
    """Start it, or join it, and return once the change itself is made. Enrollments follow page by page.

    Raises `ProblemError` if it is refused or takes too long.
    """
    start = _start_operation(request)
    leave_no_start_unread(start)
    async with answered(COURSE_CHANGE_REFUSALS, "repeat it with the same key"):
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            _ = await temporal.execute_update_with_start_workflow(
                CourseChangeWorkflow.begin, start_workflow_operation=start, id="begin", rpc_timeout=_PATIENCE
            )


async def stop_course_change(temporal: Client, change_id: UUID) -> None:
    """Have it go no further. Raises `ProblemError` if it is over."""
    handle = temporal.get_workflow_handle_for(CourseChangeWorkflow.run, course_change_workflow_id(change_id))
    if not await is_delivered(handle.signal(CourseChangeWorkflow.stop, rpc_timeout=_PATIENCE)):
        raise ProblemError(Reason.COURSE_CHANGE_NOT_RUNNING, "The change is over.")


def _start_operation(request: CourseChangeRequest) -> "WithStartWorkflowOperation[CourseChangeWorkflow, object]":
    change = request.content or (None if request.members is None else request.members.change)
    return WithStartWorkflowOperation(
        CourseChangeWorkflow.run,
        request,
        id=course_change_workflow_id(request.change_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=search.at_start(
            "course_change",
            CourseChangeStatus.RUNNING,
            WaitingFor.NOTHING,
            SearchAttributePair(search.COURSE_ID, [str(request.course_id)]),
        ),
        static_summary=f"Change of a course: {str(change).replace('_', ' ')}",
        static_details=f"Asked for by `{request.actor}`.",
    )
