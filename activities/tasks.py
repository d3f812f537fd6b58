"""The steps that ask a person, chase them, and write down what was decided."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.audit import StateChange, write_audit
from activities.business_calendar import business_calendar
from activities.database import Sessions
from activities.task_record import TASK, Remark, applicant_of_task, person_of, write_note
from models.identifiers import task_id_for
from models.messages.tasks import CloseTask, EscalatedTask, EscalateTask, OpenedTask, OpenTask
from models.tables import HumanTask, Person, TaskContact
from models.tables.columns import now
from models.vocabulary import TaskAction, TaskKind, TaskStatus
from rules.tasks import ESCALATION, REMINDER, SECOND_ESCALATION, moments, pace_of

_SAID = {REMINDER: "reminded", ESCALATION: "escalated", SECOND_ESCALATION: "escalated_again"}


@dataclass
class TaskActivities:
    """Steps of any job that needs a person. Each may be repeated: the second time finds the work done."""

    sessions: Sessions

    @activity.defn
    async def open_task(self, step: OpenTask) -> OpenedTask:
        """Put the task before the people who decide, with the moments of the academy's working days pinned to it.

        Where the proposed task has been decided, in an earlier run of the same workflow, it is a new one; but nobody is
        asked again for money that was paid back by hand.
        """
        opened_at = now()
        async with self.sessions.begin() as session:
            paid_back = await _paid_back_before(session, step)
            if paid_back is not None:
                return paid_back
            task_id = await _undecided(session, step)
            zone, country = await business_calendar(session)
            due_at = step.due_at if step.working_days is None else None
            used = timedelta(seconds=step.used_seconds)
            at = moments(pace_of(step.kind), opened_at, zone, country, due_at=due_at, until=step.until, used=used)
            wanted = insert(HumanTask).values(
                id=task_id,
                created_at=opened_at,
                updated_at=opened_at,
                kind=step.kind,
                status=TaskStatus.OPEN,
                subject_kind=step.subject_kind,
                subject_id=step.subject_id,
                workflow_id=step.workflow_id,
                reason=step.reason,
                allowed_actions=list(step.allowed_actions),
                queue=step.queue,
                assignee=step.assignee,
                due_at=at.due_at,
                remind_at=at.remind_at,
                escalate_at=at.escalate_at,
                escalate_again_at=at.escalate_again_at,
            )
            made = await session.execute(wanted.on_conflict_do_nothing().returning(HumanTask))
            if (task := made.scalar_one_or_none()) is None:
                task = await session.get_one(HumanTask, task_id)
            else:
                change = StateChange(TASK, task_id, None, TaskStatus.OPEN)
                await write_audit(
                    session, [change], actor="system", reason=step.kind.value, workflow_id=step.workflow_id
                )
            return OpenedTask(
                task_id=task_id,
                due_at=task.due_at,
                remind_at=task.remind_at,
                escalate_at=task.escalate_at,
                escalate_again_at=task.escalate_again_at,
            )

    @activity.defn
    async def escalate_task(self, step: EscalateTask) -> EscalatedTask:
        """Write down that a moment has passed without a decision, and say who is to be written to.

        A reminder is for who has taken the task, if that is a known person; everything else is for the contacts of the
        task's queue. A task that has been decided meanwhile stays as it is.
        """
        async with self.sessions.begin() as session:
            task = await session.get_one(HumanTask, step.task_id, with_for_update=True)
            if task.status != TaskStatus.OPEN:
                return EscalatedTask()
            if task.escalation < step.level:
                task.escalation, task.updated_at = step.level, now()
                change = StateChange(TASK, task.id, task.status, task.status)
                await write_audit(
                    session, [change], actor="system", reason=_SAID[step.level], workflow_id=step.workflow_id
                )
            return EscalatedTask(recipient_id=await _recipient(session, task, step.level))

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        """Write down who decided what, and why if they said so."""
        decision = step.decision
        async with self.sessions.begin() as session:
            task = await session.get_one(HumanTask, decision.task_id, with_for_update=True)
            if task.status == TaskStatus.DONE:
                return
            task.status, task.decision, task.decided_by = TaskStatus.DONE, decision.action, decision.actor
            task.decided_at = task.updated_at = now()
            change = StateChange(TASK, task.id, TaskStatus.OPEN, TaskStatus.DONE)
            await write_audit(
                session, [change], actor=decision.actor, reason=decision.action.value, workflow_id=step.workflow_id
            )
            # The database keeps no NUL.
            note = (decision.note or "").replace("\0", "").strip()
            if note:
                await write_note(session, Remark(TASK, task.id, decision.actor, note))


async def _undecided(session: AsyncSession, step: OpenTask) -> UUID:
    """The id of the task: the proposed one, or the first that follows from it and has not been decided."""
    done = select(col(HumanTask.id)).where(
        col(HumanTask.workflow_id) == step.workflow_id, col(HumanTask.status) == TaskStatus.DONE
    )
    decided = set((await session.execute(done)).scalars())
    task_id = step.task_id
    while task_id in decided:
        task_id = task_id_for(str(task_id), "again")
    return task_id


async def _paid_back_before(session: AsyncSession, step: OpenTask) -> OpenedTask | None:
    """Who asks for the very same money again after a reset hears who has paid it back."""
    if step.kind is not TaskKind.PAY_BACK:
        return None
    task = await session.get(HumanTask, step.task_id)
    if task is None or task.decision != TaskAction.ACCEPT:
        return None
    return OpenedTask(task_id=task.id, due_at=task.due_at, done_by=task.decided_by)


async def _recipient(session: AsyncSession, task: HumanTask, level: int) -> UUID | None:
    """Who is to be written to at this level, or at a later one; what is about an applicant is not for them."""
    contacts = await session.get(TaskContact, task.queue)
    applicant_id = await applicant_of_task(session, task)
    if level == REMINDER:
        taken_by = person_of(task.assignee)
        if taken_by is not None and taken_by != applicant_id and await session.get(Person, taken_by) is not None:
            return taken_by
    if contacts is None:
        return None
    named = {
        REMINDER: contacts.remind_id,
        ESCALATION: contacts.escalate_id,
        SECOND_ESCALATION: contacts.escalate_again_id,
    }
    if applicant_id is None or named[level] != applicant_id:
        return named[level]
    # The head may apply as well: then who comes before them is told again.
    others = sorted((each for each in named if each != level), key=lambda each: (each < level, abs(each - level)))
    return next((named[each] for each in others if named[each] not in (None, applicant_id)), None)
