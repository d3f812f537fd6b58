"""The letter about a task that nobody has decided yet, and what it tells, read from the record in one statement."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.errand import Addressed, Draft, Skipped, page_of
from activities.one_line import one_line
from activities.task_record import TUTOR_APPLICATION, person_of
from models.tables import Academy, HumanTask, Person, TaskContact, TutorApplication
from models.vocabulary import TaskStatus

_FIRST = "reminder"


@dataclass(frozen=True)
class TaskFacts:
    """A task, who looks after its queue, the person to be written to, and the application that it is about if any."""

    recipient: Person
    task: HumanTask
    academy: Academy
    contacts: TaskContact | None
    application: TutorApplication | None = None


@dataclass(frozen=True)
class TaskErrand(Addressed[TaskFacts]):
    """One mail about a task."""

    @property
    def job_url(self) -> str | None:
        """Where the job that waits is seen, and can be told the decision."""
        return page_of(self.pages.job, "workflow_id", self.facts.task.workflow_id)


async def facts_of_task(session: AsyncSession, task_id: UUID, recipient_id: UUID) -> TaskFacts | None:
    """The task for a mail to this person; none if one of the two does not exist."""
    query = (
        select(Person, HumanTask, Academy, TaskContact, TutorApplication)
        .select_from(HumanTask)
        .join(Person, col(Person.id) == recipient_id)
        .join(Academy, true())
        .join(TaskContact, col(TaskContact.queue) == col(HumanTask.queue), isouter=True)
        .join(
            TutorApplication,
            and_(
                col(HumanTask.subject_kind) == TUTOR_APPLICATION, col(TutorApplication.id) == col(HumanTask.subject_id)
            ),
            isouter=True,
        )
        .where(col(HumanTask.id) == task_id)
    )
    found = (await session.execute(query)).one_or_none()
    return None if found is None else TaskFacts(*found)


def lookers_after(facts: TaskFacts) -> Collection[UUID]:
    """Who has taken the task, and the contacts of its queue; whose application it is about is none of them."""
    contacts, application = facts.contacts, facts.application
    named = () if contacts is None else (contacts.remind_id, contacts.escalate_id, contacts.escalate_again_id)
    lookers = {person for person in (person_of(facts.task.assignee), *named) if person is not None}
    return lookers if application is None else lookers - {application.applicant_id}


def task_reminder(errand: TaskErrand) -> Draft | Skipped:
    """Which task waits, why and since when, when it is due, and what can be decided.

    The occasion is `reminder`, `escalation` or `second_escalation`.
    """
    task, words = errand.facts.task, errand.words
    if task.status != TaskStatus.OPEN:
        return Skipped("task_done")
    return Draft(
        key=f"task_reminder.{errand.occasion or _FIRST}",
        values={
            "kind": words.texts[f"task_kind.{task.kind}"],
            "reason": one_line(task.reason),
            "since": words.moment(task.created_at),
            "due": words.moment(task.due_at),
            "is_late": task.due_at < errand.moment,
            "is_taken": person_of(task.assignee) == errand.recipient.id,
            "actions": " · ".join(task.allowed_actions),
            "task_id": str(task.id),
            "job_url": errand.job_url,
        },
    )
