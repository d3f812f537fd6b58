"""What people have to decide: listed, read, taken, decided."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio.client import RPCTimeoutOrCancelledError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.database import Sessions
from activities.task_record import assign_task, notes_of, staff_actor, take_note_back, write_note
from models.errors import Reason
from models.messages.tasks import DecideTask, TaskDecided
from models.tables import HumanTask
from models.vocabulary import Role, TaskAction, TaskStatus
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.outages import is_not_found
from routes.pagination import LIST_HEADERS, Page, example_page, page_of, sorted_page
from routes.parts import Connections, TheConnections, TheParts
from routes.problems import ProblemError
from routes.task_views import (
    EXAMPLE,
    SORTABLE,
    WHOLE_EXAMPLE,
    TaskQuery,
    TaskView,
    WholeTaskView,
    conditions_of,
    view_of,
    whole_view_of,
)
from routes.tokens import Principal
from routes.validation import NoteText
from rules.decision import Refused
from settings import Settings

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=AuthenticatedRoute)

_PATIENCE = timedelta(seconds=5)
_TheStaff = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))]


class DecisionBody(BaseModel):
    """What is decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: TaskAction
    note: NoteText | None = Field(default=None, description="why; kept with the task alone, so it may name people")


class AssignmentBody(BaseModel):
    """Who takes care of a task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    assignee: Literal["me"] | UUID | None = Field(description="`me`, the id of a member of staff, or null for nobody")


@router.get(
    "",
    summary="List what people have to decide",
    responses={
        **answer(HTTPStatus.OK, "One page of tasks", example_page(EXAMPLE), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_tasks(
    asked: Annotated[TaskQuery, Query()],
    principal: _TheStaff,
    parts: TheParts,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[TaskView]:
    """The open ones unless asked otherwise, the most urgent first."""
    conditions = conditions_of(asked, principal)
    page = sorted_page(select(HumanTask).where(*conditions), asked, asked.sort, SORTABLE, col(HumanTask.id))
    async with connections.sessions() as session:
        total = (await session.execute(select(func.count()).select_from(HumanTask).where(*conditions))).scalar_one()
        rows = (await session.execute(page)).scalars().all()
    return page_of(request, response, asked, [view_of(row, parts.settings) for row in rows], total)


@router.get(
    "/{task_id}",
    summary="Read a task",
    responses={
        **answer(HTTPStatus.OK, "The task", WHOLE_EXAMPLE),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_task(task_id: UUID, principal: _TheStaff, parts: TheParts, connections: TheConnections) -> WholeTaskView:
    """Why a person has to look, what they can do, who has taken it, and what was said about it."""
    return await _show(connections.sessions, task_id, parts.settings)


@router.post(
    "/{task_id}/assign",
    summary="Take a task, or give it to somebody",
    responses={
        **answer(HTTPStatus.OK, "The task", WHOLE_EXAMPLE),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_FOUND,
            Reason.UNKNOWN_PERSON,
            Reason.TASK_NOT_OPEN,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_assignment(
    task_id: UUID,
    body: Annotated[
        AssignmentBody,
        Body(
            openapi_examples={
                "mine": {"summary": "Take it", "value": {"assignee": "me"}},
                "nobody": {"summary": "Give it back", "value": {"assignee": None}},
            }
        ),
    ],
    principal: _TheStaff,
    parts: TheParts,
    connections: TheConnections,
) -> WholeTaskView:
    """The record alone is changed: whoever has taken a task gets its reminder, and anybody may still decide it.

    The last word counts, and every one is in the audit log. `me` is for people: a service names a member of staff:
    somebody who looks after a queue, or has taken or decided a task before.
    """
    async with connections.sessions.begin() as session:
        assignee = await _actor(session, body.assignee, principal)
        task = await assign_task(session, task_id, assignee, actor=principal.actor)
        if isinstance(task, Refused):
            raise ProblemError(task.reason, task.detail)
        return whole_view_of(task, await notes_of(session, task_id), parts.settings)


@router.post(
    "/{task_id}/decision",
    summary="Decide a task",
    responses={
        **answer(HTTPStatus.OK, "The decided task", WHOLE_EXAMPLE),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_FOUND,
            Reason.TASK_NOT_OPEN,
            Reason.ACTION_NOT_ALLOWED,
            Reason.UNAVAILABLE,
        ),
    },
)
async def decide_task(
    task_id: UUID,
    body: Annotated[
        DecisionBody,
        Body(
            openapi_examples={
                "refund": {"summary": "Pay it back", "value": {"action": "refund"}},
                "why": {"summary": "Say why", "value": {"action": "accept", "note": "The bank has kept a fee."}},
            }
        ),
    ],
    principal: _TheStaff,
    parts: TheParts,
    connections: TheConnections,
) -> WholeTaskView:
    """The workflow that waits takes the decision, writes it down and goes on.

    A note is kept before the workflow is asked, and taken back if it refuses: none is lost, and none stands for a
    decision that did not count. After `unavailable` it stays, since the decision may count; repeating the request
    repeats neither.
    """
    task = await _read(connections.sessions, task_id)
    if task.status != TaskStatus.OPEN:
        raise _not_open()
    note = body.note
    if note is None:
        await _decide(task, body.action, principal, connections)
    else:
        async with connections.sessions.begin() as session:
            is_new = await write_note(session, task_id, author=principal.actor, text=note)
        try:
            await _decide(task, body.action, principal, connections)
        except ProblemError as refused:
            if is_new and refused.reason is not Reason.UNAVAILABLE:
                async with connections.sessions.begin() as session:
                    await take_note_back(session, task_id, author=principal.actor, text=note)
            raise
    return await _show(connections.sessions, task_id, parts.settings)


async def _decide(task: HumanTask, action: TaskAction, principal: Principal, connections: Connections) -> None:
    handle = connections.temporal.get_workflow_handle(task.workflow_id)
    try:
        await handle.execute_update(
            "decide",
            DecideTask(task_id=task.id, action=action, actor=principal.actor),
            id=f"decision-{task.id}-{action}",
            result_type=TaskDecided,
            rpc_timeout=_PATIENCE,
        )
    except WorkflowUpdateFailedError as failed:
        raise _refusal_of(failed) from failed
    except RPCTimeoutOrCancelledError:
        raise ProblemError(Reason.UNAVAILABLE, "No worker has answered; the decision may be repeated.") from None
    except RPCError as error:
        if is_not_found(error):
            raise _not_open() from error
        raise


async def _actor(session: AsyncSession, assignee: Literal["me"] | UUID | None, principal: Principal) -> str | None:
    if assignee == "me":
        if principal.role not in (Role.STAFF, Role.ADMIN):
            raise ProblemError(Reason.ROLE_NOT_ALLOWED, "A service takes no task; name a member of staff.")
        return principal.actor
    if assignee is None:
        return None
    actor = await staff_actor(session, assignee)
    if actor is None:
        raise ProblemError(Reason.UNKNOWN_PERSON, "The record knows no member of staff with this id.")
    return actor


async def _show(sessions: Sessions, task_id: UUID, settings: Settings) -> WholeTaskView:
    async with sessions() as session:
        task = await session.get(HumanTask, task_id)
        if task is None:
            raise _unknown()
        return whole_view_of(task, await notes_of(session, task_id), settings)


async def _read(sessions: Sessions, task_id: UUID) -> HumanTask:
    async with sessions() as session:
        task = await session.get(HumanTask, task_id)
    if task is None:
        raise _unknown()
    return task


def _refusal_of(failed: WorkflowUpdateFailedError) -> Exception:
    cause = failed.cause
    if isinstance(cause, ApplicationError) and cause.type in {Reason.TASK_NOT_OPEN, Reason.ACTION_NOT_ALLOWED}:
        return ProblemError(Reason(cause.type), cause.message)
    return failed


def _unknown() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such task.")


def _not_open() -> ProblemError:
    return ProblemError(Reason.TASK_NOT_OPEN, "The task has been decided, or nobody waits for it any more.")
