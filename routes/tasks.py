"""What people have to decide: listed, read, decided."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, func, select
from sqlmodel import col
from temporalio.client import RPCTimeoutOrCancelledError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.database import Sessions
from models.errors import Reason
from models.messages.tasks import DecideTask, TaskDecided
from models.tables import HumanTask
from models.tables.columns import now
from models.vocabulary import Role, TaskAction, TaskKind, TaskStatus
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.outages import is_not_found
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, page_of, sorted_page
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.runs import web_address
from routes.tokens import Principal
from settings import Settings

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=AuthenticatedRoute)

_PATIENCE = timedelta(seconds=5)
_TheStaff = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))]
_SORTABLE = {"due_at": col(HumanTask.due_at), "created_at": col(HumanTask.created_at)}


class TaskView(BaseModel):
    """Something that a person has to decide, or has decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    kind: TaskKind
    status: TaskStatus
    subject_kind: str = Field(description="what it is about, e.g. `order`")
    subject_id: UUID
    reason: str
    allowed_actions: tuple[TaskAction, ...]
    due_at: datetime
    is_overdue: bool
    decision: TaskAction | None
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime
    workflow_id: str = Field(description="who waits for the decision")
    href: str = Field(description="the Temporal Web UI")


class TaskQuery(PageQuery):
    """Which tasks to list."""

    sort: Literal["due_at", "due_at:desc", "created_at", "created_at:desc"] = "due_at"
    status: TaskStatus = TaskStatus.OPEN
    kind: TaskKind | None = None
    subject_id: UUID | None = None
    overdue: bool | None = None


class DecisionBody(BaseModel):
    """What is decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: TaskAction


_TASK = TaskView(
    id=UUID("8d3f6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    kind=TaskKind.AMOUNT_DIFFERS,
    status=TaskStatus.OPEN,
    subject_kind="order",
    subject_id=UUID("5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    reason="134.00 EUR came in for an order of 134.10 EUR.",
    allowed_actions=(TaskAction.ACCEPT, TaskAction.REFUND),
    due_at=datetime(2026, 3, 4, 10, 15, tzinfo=UTC),
    is_overdue=False,
    decision=None,
    decided_by=None,
    decided_at=None,
    created_at=datetime(2026, 3, 2, 10, 15, tzinfo=UTC),
    workflow_id="order-5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21",
    href="http://127.0.0.1:8233/namespaces/default/workflows/order-5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21",
)


@router.get(
    "",
    summary="List what people have to decide",
    responses={
        **answer(HTTPStatus.OK, "One page of tasks", example_page(_TASK), LIST_HEADERS),
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
    conditions = _asked_for(asked)
    page = sorted_page(select(HumanTask).where(*conditions), asked, asked.sort, _SORTABLE, col(HumanTask.id))
    async with connections.sessions() as session:
        total = (await session.execute(select(func.count()).select_from(HumanTask).where(*conditions))).scalar_one()
        rows = (await session.execute(page)).scalars().all()
    return page_of(request, response, asked, [_view(row, parts.settings) for row in rows], total)


@router.get(
    "/{task_id}",
    summary="Read a task",
    responses={
        **answer(HTTPStatus.OK, "The task", _TASK),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_task(task_id: UUID, principal: _TheStaff, parts: TheParts, connections: TheConnections) -> TaskView:
    """Why a person has to look, and what they can do."""
    return _view(await _read(connections.sessions, task_id), parts.settings)


@router.post(
    "/{task_id}/decision",
    summary="Decide a task",
    responses={
        **answer(HTTPStatus.OK, "The decided task", _TASK),
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
        Body(openapi_examples={"refund": {"summary": "Pay it back", "value": {"action": "refund"}}}),
    ],
    principal: _TheStaff,
    parts: TheParts,
    connections: TheConnections,
) -> TaskView:
    """The workflow that waits takes the decision, writes it down and goes on."""
    task = await _read(connections.sessions, task_id)
    if task.status != TaskStatus.OPEN:
        raise _not_open()
    handle = connections.temporal.get_workflow_handle(task.workflow_id)
    try:
        await handle.execute_update(
            "decide",
            DecideTask(task_id=task_id, action=body.action, actor=principal.actor),
            id=f"decision-{task_id}-{body.action}",
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
    return _view(await _read(connections.sessions, task_id), parts.settings)


async def _read(sessions: Sessions, task_id: UUID) -> HumanTask:
    async with sessions() as session:
        task = await session.get(HumanTask, task_id)
    if task is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such task.")
    return task


def _asked_for(asked: TaskQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [col(HumanTask.status) == asked.status]
    if asked.kind is not None:
        conditions.append(col(HumanTask.kind) == asked.kind)
    if asked.subject_id is not None:
        conditions.append(col(HumanTask.subject_id) == asked.subject_id)
    if asked.overdue is not None:
        late = col(HumanTask.due_at) < now()
        conditions.append(late if asked.overdue else ~late)
    return conditions


def _refusal_of(failed: WorkflowUpdateFailedError) -> Exception:
    cause = failed.cause
    if isinstance(cause, ApplicationError) and cause.type in {Reason.TASK_NOT_OPEN, Reason.ACTION_NOT_ALLOWED}:
        return ProblemError(Reason(cause.type), cause.message)
    return failed


def _not_open() -> ProblemError:
    return ProblemError(Reason.TASK_NOT_OPEN, "The task has been decided, or nobody waits for it any more.")


def _view(task: HumanTask, settings: Settings) -> TaskView:
    return TaskView(
        id=task.id,
        kind=TaskKind(task.kind),
        status=TaskStatus(task.status),
        subject_kind=task.subject_kind,
        subject_id=task.subject_id,
        reason=task.reason,
        allowed_actions=tuple(TaskAction(action) for action in task.allowed_actions),
        due_at=task.due_at,
        is_overdue=task.status == TaskStatus.OPEN and task.due_at < now(),
        decision=None if task.decision is None else TaskAction(task.decision),
        decided_by=task.decided_by,
        decided_at=task.decided_at,
        created_at=task.created_at,
        workflow_id=task.workflow_id,
        href=web_address(settings, task.workflow_id),
    )
