"""What is said about decisions that a person has to make."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.messages.message import Actor, Message, WorkflowId
from models.vocabulary import TaskAction, TaskKind


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


class DecideTask(Message):
    """The argument of the update `decide`: what a person decided."""

    task_id: UUID
    action: TaskAction
    actor: Actor


class CloseTask(Message):
    """Write the decision down; a task that became moot is dismissed by `system`."""

    decision: DecideTask
    workflow_id: WorkflowId


class TaskDecided(Message):
    """What the update `decide` answers."""

    task_id: UUID
    action: TaskAction
