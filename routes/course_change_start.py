"""Starting a change of a course with update-with-start, and stopping one that is under way."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from models import search
from models.errors import Reason
from models.identifiers import course_change_workflow_id
from models.messages.learning import CourseChangeRequest
from models.vocabulary import CourseChangeStatus, WaitingFor
from routes.drip_start import RUN_CLOSED
from routes.outages import is_not_found
from routes.problems import ProblemError
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
    # A failed start fails this second future too; unread, the event loop would log its text.
    asyncio.create_task(start.workflow_handle()).add_done_callback(_read)
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            _ = await temporal.execute_update_with_start_workflow(
                CourseChangeWorkflow.begin, start_workflow_operation=start, id="begin", rpc_timeout=_PATIENCE
            )
    except WorkflowUpdateFailedError as failed:
        raise _problem_of(failed) from failed
    except (RPCTimeoutOrCancelledError, TimeoutError):
        raise _not_answered() from None
    except RPCError as error:
        if is_not_found(error):  # the run closed while the update was on its way
            raise _not_answered() from None
        raise


async def stop_course_change(temporal: Client, change_id: UUID) -> None:
    """Have it go no further. Raises `ProblemError` if it is over."""
    handle = temporal.get_workflow_handle_for(CourseChangeWorkflow.run, course_change_workflow_id(change_id))
    try:
        await handle.signal(CourseChangeWorkflow.stop, rpc_timeout=_PATIENCE)
    except RPCError as error:
        if is_not_found(error):
            raise ProblemError(Reason.COURSE_CHANGE_NOT_RUNNING, "The change is over.") from error
        raise


def _start_operation(request: CourseChangeRequest) -> "WithStartWorkflowOperation[CourseChangeWorkflow, object]":
    attributes: list[SearchAttributePair[Any]] = [
        SearchAttributePair(search.JOB, "course_change"),
        SearchAttributePair(search.STATE, CourseChangeStatus.RUNNING.value),
        SearchAttributePair(search.WAITING_FOR, WaitingFor.NOTHING.value),
        SearchAttributePair(search.NEEDS_HUMAN, False),
        SearchAttributePair(search.COURSE_ID, [str(request.course_id)]),
    ]
    change = request.content or (None if request.members is None else request.members.change)
    return WithStartWorkflowOperation(
        CourseChangeWorkflow.run,
        request,
        id=course_change_workflow_id(request.change_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=TypedSearchAttributes(attributes),
        static_summary=f"Change of a course: {str(change).replace('_', ' ')}",
        static_details=f"Asked for by `{request.actor}`.",
    )


def _not_answered() -> ProblemError:
    return ProblemError(Reason.UNAVAILABLE, "No worker has answered; repeat it with the same key.")


def _problem_of(failed: WorkflowUpdateFailedError) -> Exception:
    cause = failed.cause
    if isinstance(cause, ApplicationError) and cause.type in set(COURSE_CHANGE_REFUSALS):
        return ProblemError(Reason(cause.type), cause.message)
    if isinstance(cause, ApplicationError) and cause.type == RUN_CLOSED:
        return _not_answered()
    return failed


def _read(handle: asyncio.Task[Any]) -> None:
    if not handle.cancelled():
        handle.exception()
