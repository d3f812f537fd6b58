"""The name that certificates bear: said to be right once by its bearer, or by staff, and then changed by corrections
alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.certificate_record import Writing
from activities.one_line import one_line
from activities.people import lock_people
from models.errors import Reason
from models.tables import Certificate, CourseCertificate, Enrollment, Person
from models.vocabulary import EnrollmentStatus
from rules.certificate_name import written_name
from rules.decision import Refused

_CONFIRMED = "name_confirmed"


@dataclass(frozen=True)
class ConfirmedName:
    """The name, since when it is confirmed, and the enrollments whose certificates may have waited for it."""

    name: str
    confirmed_at: datetime
    waiting: tuple[UUID, ...] = ()


async def confirm_legal_name(
    session: AsyncSession, person_id: UUID, typed: str, *, actor: str, moment: datetime, by_staff: bool = False
) -> ConfirmedName | Refused:
    """Take the name down as the right one. The same again changes nothing, and wakes nobody.

    Staff may set another one as long as no certificate bears it. Refused with `unknown_person`, `name_invalid`, and
    `name_already_confirmed` where another one is: that takes a correction.
    """
    name = written_name(typed)
    if isinstance(name, Refused):
        return name
    await lock_people(session, [person_id])
    person = await session.get(Person, person_id, populate_existing=True)
    if person is None:
        return Refused(Reason.UNKNOWN_PERSON, "There is no such person.")
    is_confirmed = person.legal_name_confirmed_at is not None
    if is_confirmed and person.legal_name != name and not (by_staff and not await _is_certified(session, person_id)):
        return Refused(Reason.NAME_ALREADY_CONFIRMED, "A name is confirmed already; another one takes a correction.")
    if not is_confirmed or person.legal_name != name:
        await _confirm(session, person, name, actor=actor, moment=moment, workflow_id=None)
    return ConfirmedName(
        name=name,
        confirmed_at=person.legal_name_confirmed_at or moment,
        waiting=tuple(await _waiting(session, person_id)),
    )


async def take_name_on_file(session: AsyncSession, student: Person, by: Writing) -> str:
    """Staff says that the name on file is the right one. Wants the person locked."""
    on_file = student.legal_name or student.full_name
    name = written_name(on_file)
    taken = one_line(on_file) if isinstance(name, Refused) else name
    await _confirm(session, student, taken, actor=by.actor, moment=by.moment, workflow_id=by.workflow_id)
    return taken


async def change_legal_name(session: AsyncSession, student: Person, name: str, by: Writing) -> None:
    """A correction has been granted: what is issued from now on bears this name. Wants the person locked."""
    if student.legal_name != name:
        await _confirm(session, student, name, actor=by.actor, moment=by.moment, workflow_id=by.workflow_id)


async def _confirm(
    session: AsyncSession, person: Person, name: str, *, actor: str, moment: datetime, workflow_id: str | None
) -> None:
    before = None if person.legal_name_confirmed_at is None else _CONFIRMED
    person.legal_name, person.legal_name_confirmed_at, person.updated_at = name, moment, moment
    change = StateChange("person", person.id, before, _CONFIRMED)
    await write_audit(session, [change], actor=actor, reason="name for certificates", workflow_id=workflow_id)


async def _is_certified(session: AsyncSession, person_id: UUID) -> bool:
    """Whether a certificate was ever issued to them here, however it stands."""
    query = (
        select(col(Certificate.id))
        .join(Enrollment, col(Enrollment.id) == col(Certificate.enrollment_id))
        .where(col(Enrollment.student_id) == person_id, col(Certificate.template_id).is_not(None))
        .limit(1)
    )
    return (await session.execute(query)).first() is not None


async def _waiting(session: AsyncSession, person_id: UUID) -> Sequence[UUID]:
    """Places of theirs that are certified, and have no certificate of some kind yet."""
    has_one = (
        exists()
        .where(
            col(Certificate.enrollment_id) == col(Enrollment.id),
            col(Certificate.template_id) == col(CourseCertificate.template_id),
        )
        .correlate(Enrollment, CourseCertificate)
    )
    missing = (
        exists().where(col(CourseCertificate.course_id) == col(Enrollment.course_id), ~has_one).correlate(Enrollment)
    )
    query = select(col(Enrollment.id)).where(
        col(Enrollment.student_id) == person_id,
        col(Enrollment.status) != EnrollmentStatus.CANCELED,
        col(Enrollment.enrolled_at).is_not(None),
        missing,
    )
    return (await session.execute(query.order_by(col(Enrollment.id)))).scalars().all()
