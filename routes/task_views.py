"""How tasks are shown and searched for."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement
from sqlmodel import col

from activities.task_record import actors_of
from activities.task_record import not_about_own as about_others
from models.tables import HumanTask, Note
from models.tables.columns import now
from models.vocabulary import TaskAction, TaskKind, TaskQueue, TaskStatus
from routes.pagination import PageQuery
from routes.runs import web_address
from routes.tokens import Principal
from settings import Settings

SORTABLE = {"due_at": col(HumanTask.due_at), "created_at": col(HumanTask.created_at)}


class TaskView(BaseModel):
    """Something that a person has to decide, or has decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    kind: TaskKind
    status: TaskStatus
    queue: TaskQueue = Field(description="whom it is for")
    assignee: str | None = Field(description="who has taken it, e.g. `staff:<id>`")
    subject_kind: str = Field(description="what it is about, e.g. `order`")
    subject_id: UUID
    reason: str
    allowed_actions: tuple[TaskAction, ...]
    due_at: datetime
    is_overdue: bool
    escalation: int = Field(description="0, reminded 1, escalated 2, escalated again 3")
    decision: TaskAction | None
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime
    workflow_id: str = Field(description="who waits for the decision")
    href: str = Field(description="the Temporal Web UI")


class NoteView(BaseModel):
    """What somebody has written down about a task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    author: str = Field(description="e.g. `staff:<id>`")
    text: str
    created_at: datetime


class WholeTaskView(TaskView):
    """A task with all that is known about it."""

    remind_at: datetime | None = Field(description="when who looks after it is reminded; none if never")
    escalate_at: datetime | None = Field(description="when it escalates, unless it has been decided")
    escalate_again_at: datetime | None
    notes: tuple[NoteView, ...] = Field(description="the oldest first")


class TaskQuery(PageQuery):
    """Which tasks to list."""

    sort: Literal["due_at", "due_at:desc", "created_at", "created_at:desc"] = "due_at"
    status: TaskStatus = TaskStatus.OPEN
    kind: TaskKind | None = None
    queue: TaskQueue | None = None
    assignee: Literal["me", "nobody"] | UUID | None = Field(
        default=None, description="`me`, `nobody`, or the id of a member of staff"
    )
    job: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z_-]{0,39}$",
        description="how the id of the workflow begins, e.g. `refund`, `order` or `order_cancellation`",
    )
    subject_id: UUID | None = None
    overdue: bool | None = None


EXAMPLE = TaskView(
    id=UUID("8d3f6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    kind=TaskKind.AMOUNT_DIFFERS,
    status=TaskStatus.OPEN,
    queue=TaskQueue.FINANCE,
    assignee="staff:frida",
    subject_kind="order",
    subject_id=UUID("5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    reason="134.00 EUR came in for an order of 134.10 EUR.",
    allowed_actions=(TaskAction.ACCEPT, TaskAction.REFUND),
    due_at=datetime(2026, 3, 4, 10, 15, tzinfo=UTC),
    is_overdue=False,
    escalation=1,
    decision=None,
    decided_by=None,
    decided_at=None,
    created_at=datetime(2026, 3, 2, 10, 15, tzinfo=UTC),
    workflow_id="order-5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21",
    href="http://127.0.0.1:8233/namespaces/default/workflows/order-5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21",
)
WHOLE_EXAMPLE = WholeTaskView(
    **dict(EXAMPLE),
    remind_at=datetime(2026, 3, 3, 10, 15, tzinfo=UTC),
    escalate_at=datetime(2026, 3, 4, 10, 15, tzinfo=UTC),
    escalate_again_at=datetime(2026, 3, 6, 10, 15, tzinfo=UTC),
    notes=(
        NoteView(
            id=UUID("1c2b8e5f-0d0a-5b52-8f0e-3f5a3d1c7e21"),
            author="staff:frida",
            text="The bank has kept a fee; asked the payer.",
            created_at=datetime(2026, 3, 3, 11, 2, tzinfo=UTC),
        ),
    ),
)


def conditions_of(asked: TaskQuery, principal: Principal) -> list[ColumnElement[bool]]:
    """The WHERE of a list."""
    conditions = [col(HumanTask.status) == asked.status, *not_about_own(principal)]
    if asked.kind is not None:
        conditions.append(col(HumanTask.kind) == asked.kind)
    if asked.queue is not None:
        conditions.append(col(HumanTask.queue) == asked.queue)
    if asked.assignee == "nobody":
        conditions.append(col(HumanTask.assignee).is_(None))
    elif asked.assignee is not None:
        whose = principal.subject if asked.assignee == "me" else str(asked.assignee)
        conditions.append(col(HumanTask.assignee).in_(actors_of(whose)))
    if asked.job is not None:
        prefix = f"{asked.job.replace('_', '-')}-"
        conditions.append(col(HumanTask.workflow_id).startswith(prefix, autoescape=True))
    if asked.subject_id is not None:
        conditions.append(col(HumanTask.subject_id) == asked.subject_id)
    if asked.overdue is not None:
        late = col(HumanTask.due_at) < now()
        conditions.append(late if asked.overdue else ~late)
    return conditions


def not_about_own(principal: Principal) -> list[ColumnElement[bool]]:
    """The WHERE that leaves out what is about the caller's own application, name or learning: others see to that."""
    return about_others(principal.person_id)


def view_of(task: HumanTask, settings: Settings) -> TaskView:
    """The task as lists show it."""
    return TaskView(
        id=task.id,
        kind=TaskKind(task.kind),
        status=TaskStatus(task.status),
        queue=TaskQueue(task.queue),
        assignee=task.assignee,
        subject_kind=task.subject_kind,
        subject_id=task.subject_id,
        reason=task.reason,
        allowed_actions=tuple(TaskAction(action) for action in task.allowed_actions),
        due_at=task.due_at,
        is_overdue=task.status == TaskStatus.OPEN and task.due_at < now(),
        escalation=task.escalation,
        decision=None if task.decision is None else TaskAction(task.decision),
        decided_by=task.decided_by,
        decided_at=task.decided_at,
        created_at=task.created_at,
        workflow_id=task.workflow_id,
        href=web_address(settings, task.workflow_id),
    )


def whole_view_of(task: HumanTask, notes: Sequence[Note], settings: Settings) -> WholeTaskView:
    """The task with its moments and notes."""
    return WholeTaskView(
        **dict(view_of(task, settings)),
        remind_at=task.remind_at,
        escalate_at=task.escalate_at,
        escalate_again_at=task.escalate_again_at,
        notes=tuple(
            NoteView(id=note.id, author=note.author, text=note.text, created_at=note.created_at) for note in notes
        ),
    )
