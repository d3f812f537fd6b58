"""What is said about decisions that a person has to make."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.messages.message import Actor, Message, WorkflowId
from models.vocabulary import ReviewReason, TaskAction, TaskKind, TaskQueue


class OpenTask(Message):
    """Ask a person. The same id again changes nothing."""

    task_id: UUID
    kind: TaskKind
    subject_kind: str = Field(max_length=32)
    subject_id: UUID
    reason: str = Field(min_length=1, max_length=500, description="for staff; holds no personal data")
    allowed_actions: tuple[TaskAction, ...] = Field(min_length=1, max_length=len(TaskAction))
    due_at: datetime
    workflow_id: WorkflowId
    queue: TaskQueue = TaskQueue.FINANCE
    working_days: int | None = Field(
        default=None, ge=1, le=60, description="to decide in, by the academy's calendar; none where `due_at` is fixed"
    )
    until: datetime | None = Field(default=None, description="when nobody waits for the decision any more")
    assignee: Actor | None = Field(default=None, description="who is to take it")
    used_seconds: int = Field(default=0, ge=0, description="working time that it has waited before, under other ids")


class OpenedTask(Message):
    """When somebody is reminded of the task, and to whom it escalates."""

    task_id: UUID | None = Field(default=None, description="none is the one that was proposed")
    due_at: datetime
    remind_at: datetime | None = None
    escalate_at: datetime | None = None
    escalate_again_at: datetime | None = None
    done_by: Actor | None = Field(default=None, description="who had it done before the job was reset")


class EscalateTask(Message):
    """Nobody has decided yet: 1 reminds, 2 escalates, 3 escalates again. The same level again changes nothing."""

    task_id: UUID
    level: int = Field(ge=1, le=3)
    workflow_id: WorkflowId


class EscalatedTask(Message):
    """Whom to write to now; none if it has been decided, or if nobody is named for it."""

    recipient_id: UUID | None = None


class DecideTask(Message):
    """The argument of the update `decide`: what a person decided."""

    task_id: UUID
    action: TaskAction
    actor: Actor
    note: str | None = Field(
        default=None, max_length=500, description="why; kept in the history, so it names nobody: the API keeps its own"
    )
    reasons: tuple[ReviewReason, ...] = Field(
        default=(), max_length=len(ReviewReason), description="why, where an application is not approved"
    )


class CloseTask(Message):
    """Write the decision down; a task that became moot is dismissed by `system`."""

    decision: DecideTask
    workflow_id: WorkflowId


class TaskDecided(Message):
    """What the update `decide` answers."""

    task_id: UUID
    action: TaskAction
