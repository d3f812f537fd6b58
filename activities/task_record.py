"""What is written about a task beside its decision: who has taken it, and notes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Exists, delete, exists, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from models.errors import Reason
from models.identifiers import note_id_for
from models.tables import Certificate, Enrollment, HumanTask, Note, Person, TaskContact, TutorApplication
from models.tables.columns import now
from models.vocabulary import Role, TaskKind, TaskStatus
from rules.decision import Refused

TASK = "task"
TUTOR_APPLICATION = "tutor_application"
_ABOUT_AN_ENROLLMENT = (TaskKind.NAME_CORRECTION, TaskKind.CERTIFICATE_NAME_MISSING, TaskKind.COMPLETION_JUDGEMENT)

_STAFF_PERSON = re.compile(rf"(?:{Role.STAFF}|{Role.ADMIN}):([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})")


@dataclass(frozen=True)
class Remark:
    """Something that is said about a task, or along with another step. It goes nowhere but to the record."""

    subject_kind: str
    subject_id: UUID
    author: str
    text: str
    occasion: str = ""


def actors_of(subject: str) -> tuple[str, str]:
    """The names under which a member of staff may have acted, by the subject of their token."""
    return f"{Role.STAFF}:{subject}", f"{Role.ADMIN}:{subject}"


def person_of(actor: str | None) -> UUID | None:
    """The person that a member of staff is; none if the actor is nobody of the people table."""
    found = _STAFF_PERSON.fullmatch(actor or "")
    return None if found is None else UUID(found.group(1))


async def applicant_of_task(session: AsyncSession, task: HumanTask) -> UUID | None:
    """Whose application the task is about, who is not to hear of it; none if it is about something else."""
    if task.subject_kind != TUTOR_APPLICATION:
        return None
    application = await session.get(TutorApplication, task.subject_id)
    return None if application is None else application.applicant_id


def not_about_own(person_id: UUID | None) -> list[ColumnElement[bool]]:
    """The WHERE that leaves out what is about this person's own application, name or learning: others see to that."""
    if person_id is None:
        return []
    application = exists().where(
        col(TutorApplication.id) == col(HumanTask.subject_id), col(TutorApplication.applicant_id) == person_id
    )
    certified = select(col(Certificate.enrollment_id)).where(col(Certificate.id) == col(HumanTask.subject_id))
    enrollment = exists().where(
        col(Enrollment.student_id) == person_id,
        col(Enrollment.id).in_([col(HumanTask.subject_id), certified.correlate(HumanTask).scalar_subquery()]),
    )
    return [~application, ~(col(HumanTask.kind).in_(_ABOUT_AN_ENROLLMENT) & enrollment)]


async def assign_task(session: AsyncSession, task_id: UUID, assignee: str | None, *, actor: str) -> HumanTask | Refused:
    """Give the task to somebody, or to nobody. The last word counts; the same again changes nothing.

    A task that is not open is refused. The caller's transaction holds the row until it commits.
    """
    task = await session.get(HumanTask, task_id, with_for_update=True)
    if task is None:
        return Refused(Reason.NOT_FOUND, "There is no such task.")
    if task.status != TaskStatus.OPEN:
        return Refused(Reason.TASK_NOT_OPEN, "The task has been decided, or nobody waits for it any more.")
    if task.assignee != assignee:
        task.assignee, task.updated_at = assignee, now()
        change = StateChange(TASK, task.id, task.status, task.status)
        reason = "assigned to nobody" if assignee is None else f"assigned to {assignee}"
        await write_audit(session, [change], actor=actor, reason=reason, workflow_id=task.workflow_id)
    return task


async def staff_actor(session: AsyncSession, person_id: UUID) -> str | None:
    """The name under which this person acts for the academy; none if the record does not know them as staff.

    Roles are in tokens alone. Staff on record are who looks after a queue, and who has taken or decided a task before.
    """
    as_staff, as_admin = actors_of(str(person_id))
    names = (col(TaskContact.remind_id), col(TaskContact.escalate_id), col(TaskContact.escalate_again_id))

    def has_acted(actor: str) -> Exists:
        return exists().where(or_(col(HumanTask.assignee) == actor, col(HumanTask.decided_by) == actor))

    looks_after = exists().where(or_(*(name == person_id for name in names)))
    query = select(has_acted(as_admin), or_(has_acted(as_staff), looks_after)).where(
        exists().where(col(Person.id) == person_id)
    )
    found = (await session.execute(query)).one_or_none()
    if found is None or not any(found):
        return None
    is_admin, is_staff = found
    return as_admin if is_admin and not is_staff else as_staff


async def write_note(session: AsyncSession, remark: Remark, note_id: UUID | None = None) -> bool:
    """Keep it as a note, and say whether it is new. The same words of the same author are one, on each occasion.

    With an id of its own it is the one note of that id, in whatever words came first.
    """
    note = insert(Note).values(
        id=note_id or _note_id(remark),
        created_at=now(),
        subject_kind=remark.subject_kind,
        subject_id=remark.subject_id,
        author=remark.author,
        text=remark.text,
    )
    written = await session.execute(note.on_conflict_do_nothing().returning(col(Note.id)))
    return written.first() is not None


async def take_note_back(session: AsyncSession, remark: Remark) -> None:
    """Forget a note that was written for a step which did not count."""
    await session.execute(delete(Note).where(col(Note.id) == _note_id(remark)))


async def has_note(session: AsyncSession, remark: Remark) -> bool:
    """Whether these words are on record."""
    return await session.get(Note, _note_id(remark)) is not None


async def notes_of(session: AsyncSession, task_id: UUID) -> Sequence[Note]:
    """What was said about the task, the oldest first."""
    query = (
        select(Note)
        .where(col(Note.subject_kind) == TASK, col(Note.subject_id) == task_id)
        .order_by(col(Note.created_at), col(Note.id))
    )
    return (await session.execute(query)).scalars().all()


def _note_id(remark: Remark) -> UUID:
    """Of one subject there may be a note and a message in the same words."""
    kind, author = remark.subject_kind, remark.author
    return note_id_for(remark.subject_id, author if kind == TASK else f"{kind}:{remark.occasion}:{author}", remark.text)
