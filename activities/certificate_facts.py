"""What is known of an enrollment that is certified, and what its certificate will say, as the record has it now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.dates import format_date
from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from activities.learning_facts import ends_by_refund
from activities.translations import texts_for
from models.certificate_facts import CertificateFacts
from models.tables import Academy, Course, Enrollment, Order, OrderLine, Person, PersonField
from rules.certificate_name import first_and_last

_MOST_FIELDS = 50  # as many as CertificateFacts takes


@dataclass(frozen=True)
class EnrollmentToCertify:
    """The locked enrollment with all that stands around it. `path` is the bundle that brought the place, if one did,
    and `is_ending` whether a refund was granted that takes it away."""

    enrollment: Enrollment
    student: Person
    course: Course
    academy: Academy
    is_test: bool
    instructor: str | None
    path: Course | None
    is_ending: bool

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the academy's calendar, by which certificates are dated."""
        return ZoneInfo(self.academy.time_zone)

    @property
    def legal_name(self) -> str | None:
        """The name to certify; none until somebody has said that it is right."""
        return self.student.legal_name if self.student.legal_name_confirmed_at is not None else None


async def lock_enrollment(session: AsyncSession, enrollment_id: UUID) -> UUID | None:
    """Whose place it is; none if there is no such place. Its certificates change in one transaction at a time, and
    nobody ends the place meanwhile."""
    query = select(col(Enrollment.student_id)).where(col(Enrollment.id) == enrollment_id)
    return (await session.execute(query.with_for_update(key_share=True))).scalar_one_or_none()


async def enrollment_to_certify(session: AsyncSession, enrollment_id: UUID) -> EnrollmentToCertify | None:
    """The enrollment, locked as by `lock_enrollment`; none if there is none."""
    tutor, bought = aliased(Person), aliased(Course)
    query = (
        select(Enrollment, Person, Course, Academy, col(Order.is_test), col(tutor.full_name), bought, ends_by_refund())
        .join(Person, col(Person.id) == col(Enrollment.student_id))
        .join(Course, col(Course.id) == col(Enrollment.course_id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .join(Order, col(Order.id) == col(OrderLine.order_id))
        .join(Academy, true())
        .join(bought, col(bought.id) == col(OrderLine.course_id))
        .join(tutor, col(tutor.id) == col(Course.tutor_id), isouter=True)
        .where(col(Enrollment.id) == enrollment_id)
        .with_for_update(of=Enrollment, key_share=True)
        .execution_options(populate_existing=True)
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    enrollment, student, course, academy, is_test, instructor, line_course, ends = found
    path = None if line_course.id == course.id else line_course
    return EnrollmentToCertify(enrollment, student, course, academy, is_test, instructor, path, ends)


async def person_fields(session: AsyncSession, person_id: UUID) -> Sequence[tuple[str, str]]:
    """What else certificates may say of the person, by key."""
    query = select(col(PersonField.key), col(PersonField.value)).where(col(PersonField.person_id) == person_id)
    query = query.order_by(col(PersonField.key)).limit(_MOST_FIELDS)
    return [(key, value) for key, value in await session.execute(query)]


def facts_to_freeze(
    around: EnrollmentToCertify,
    name: str,
    fields: Sequence[tuple[str, str]],
    *,
    issued_at: datetime,
    expires_at: datetime | None,
) -> CertificateFacts:
    """All that is printed, but for its number; dates are those of the academy's calendar, in the holder's language."""
    language, path, zone = around.student.locale, around.path, around.zone
    facts = CertificateFacts(
        course_name=around.course.title,
        issue_date=printed_day(issued_at, zone, language),
        expiry_date=None if expires_at is None else printed_day(expires_at, zone, language),
        instructor_name=around.instructor,
        course_credit=_credit(around.course),
        learning_path_name=None if path is None else path.title,
        learning_path_credit=None if path is None else _credit(path),
        custom_fields=tuple(fields),
        language=language,
        issuer=around.academy.name,
        is_test=around.is_test,
    )
    return with_name(facts, name)


def with_name(facts: CertificateFacts, name: str) -> CertificateFacts:
    """The same under this name."""
    first, last = first_and_last(name)
    return facts.model_copy(update={"student_first_name": first, "student_last_name": last, "student_full_name": name})


def printed_day(moment: datetime, zone: ZoneInfo, language: str) -> str:
    """The day of this moment in the zone, as the documents in a language write it."""
    return format_date(moment.astimezone(zone).date(), "long", locale=texts_for("documents", language).locale)


def _credit(course: Course) -> str | None:
    return None if course.credits is None else str(course.credits)
