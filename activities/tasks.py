"""The steps that ask a person and write down what was decided."""

from dataclasses import dataclass

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from temporalio import activity

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from models.messages.tasks import CloseTask, OpenTask
from models.tables import HumanTask
from models.tables.columns import now
from models.vocabulary import TaskStatus


@dataclass
class TaskActivities:
    """Steps of any job that needs a person. Each may be repeated: the second time finds the work done."""

    sessions: Sessions

    @activity.defn
    async def open_task(self, step: OpenTask) -> None:
        """Put the task before the people who decide."""
        moment = now()
        wanted = insert(HumanTask).values(
            id=step.task_id,
            created_at=moment,
            updated_at=moment,
            kind=step.kind,
            status=TaskStatus.OPEN,
            subject_kind=step.subject_kind,
            subject_id=step.subject_id,
            workflow_id=step.workflow_id,
            reason=step.reason,
            allowed_actions=list(step.allowed_actions),
            due_at=step.due_at,
        )
        async with self.sessions.begin() as session:
            made = await session.execute(wanted.on_conflict_do_nothing().returning(col(HumanTask.id)))
            if made.first() is not None:
                change = StateChange("task", step.task_id, None, TaskStatus.OPEN)
                await write_audit(
                    session, [change], actor="system", reason=step.kind.value, workflow_id=step.workflow_id
                )

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        """Write down who decided what."""
        decision = step.decision
        async with self.sessions.begin() as session:
            task = await session.get_one(HumanTask, decision.task_id, with_for_update=True)
            if task.status == TaskStatus.DONE:
                return
            task.status, task.decision, task.decided_by = TaskStatus.DONE, decision.action, decision.actor
            task.decided_at = task.updated_at = now()
            change = StateChange("task", task.id, TaskStatus.OPEN, TaskStatus.DONE)
            await write_audit(
                session, [change], actor=decision.actor, reason=decision.action.value, workflow_id=step.workflow_id
            )
