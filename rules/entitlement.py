"""Who has access already, and which places an order still has to bring.

Nobody is charged for access that they hold, and nobody gets the same course twice (TutorHub R2; reference list 3). A
student whose access has ended may buy again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from models.errors import Reason
from models.messages.orders import MAX_PLACES, OrderLineRequest
from models.money import charge_step, split
from models.quote import Quote, QuotedLine, Share
from models.vocabulary import CourseKind, EnrollmentStatus
from rules.decision import Refused
from rules.offers import CourseOnSale

_ON_ITS_WAY = (
    EnrollmentStatus.PENDING_APPROVAL,
    EnrollmentStatus.WAITLISTED,
    EnrollmentStatus.PENDING_PAYMENT,
    EnrollmentStatus.SUSPENDED,
)
_OPENS = (EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED)


@dataclass(frozen=True)
class Place:
    """An enrollment that a student has in a course."""

    enrollment_id: UUID
    course_id: UUID
    student_id: UUID
    status: EnrollmentStatus
    access_ends_at: datetime | None


@dataclass(frozen=True)
class WantedPlaces:
    """What an order has to bring.

    `entitled` are the pairs (course, student) of lines that bring nothing new. `missing` are, line by line, the courses
    to enroll in. `over` are enrollments whose access has ended and that make room for new ones.
    """

    entitled: frozenset[tuple[UUID, UUID]]
    missing: tuple[tuple[UUID, ...], ...]
    over: tuple[UUID, ...]


def wanted_places(
    lines: Sequence[OrderLineRequest],
    courses: Mapping[UUID, CourseOnSale],
    places: Sequence[Place],
    moment: datetime,
) -> WantedPlaces | Refused:
    """Which places the lines ask for at `moment` (UTC), or why a student cannot have one.

    Courses that are not among `courses` are left to pricing. A tutor's pack is never a repeat, since slots were chosen.
    """
    held: dict[tuple[UUID, UUID], list[Place]] = {}
    for place in places:
        held.setdefault((place.course_id, place.student_id), []).append(place)
    missing: list[tuple[UUID, ...]] = []
    for line in lines:
        course = courses.get(line.course_id)
        standing = [_standing(held.get((each, line.student_id), ()), course, moment) for each in _brings(course)]
        if None in standing:
            return Refused(Reason.ALREADY_ENROLLED, f"A student has, or is about to get, a place in {line.course_id}.")
        missing.append(tuple(each for each, has in zip(_brings(course), standing, strict=True) if not has))
    if refused := _too_much(lines, missing):
        return refused
    asked = {(each, line.student_id) for line, new in zip(lines, missing, strict=True) for each in new}
    return WantedPlaces(
        entitled=frozenset(
            (line.course_id, line.student_id)
            for line, new in zip(lines, missing, strict=True)
            if not new and _brings(courses.get(line.course_id))
        ),
        missing=tuple(missing),
        over=tuple(
            place.enrollment_id
            for place in places
            if place.status is EnrollmentStatus.ACTIVE and (place.course_id, place.student_id) in asked
        ),
    )


def share_out(quote: Quote, wanted: WantedPlaces, courses: Mapping[UUID, CourseOnSale]) -> Quote:
    """The quote with every line's shares for the courses that it newly brings alone.

    A bundle costs the same whoever holds a part of it, so what was paid is for the rest of it.
    """
    step = charge_step(quote.currency)
    lines = tuple(
        _shared(line, new, courses[line.course_id], step) for line, new in zip(quote.lines, wanted.missing, strict=True)
    )
    return quote.model_copy(update={"lines": lines})


def _brings(course: CourseOnSale | None) -> tuple[UUID, ...]:
    if course is None:
        return ()
    if course.kind is CourseKind.BUNDLE:
        return tuple(each.course_id for each in course.included)
    return (course.id,)


def _standing(places: Sequence[Place], course: CourseOnSale | None, moment: datetime) -> bool | None:
    """Whether these places of a student in one course open it; none if another place cannot be had beside them."""
    if any(place.status in _ON_ITS_WAY for place in places):
        return None
    opening = [place for place in places if place.status in _OPENS and not _has_ended(place, moment)]
    if course is not None and course.kind is CourseKind.TUTOR_PACK:
        return None if any(place.status is EnrollmentStatus.ACTIVE for place in opening) else False
    return bool(opening)


def _has_ended(place: Place, moment: datetime) -> bool:
    return place.access_ends_at is not None and place.access_ends_at <= moment


def _too_much(lines: Sequence[OrderLineRequest], missing: Sequence[tuple[UUID, ...]]) -> Refused | None:
    asked = [(each, line.student_id) for line, new in zip(lines, missing, strict=True) for each in new]
    asked_lines = {(line.course_id, line.student_id) for line in lines}
    if len(set(asked)) < len(asked) or len(asked_lines) < len(lines):
        return Refused(Reason.INVALID_REQUEST, "A student can take a course once per order, also as part of a bundle.")
    if len(asked) > MAX_PLACES:
        return Refused(Reason.INVALID_REQUEST, f"An order brings {MAX_PLACES} places at most.")
    return None


def _shared(line: QuotedLine, new: tuple[UUID, ...], course: CourseOnSale, step: int) -> QuotedLine:
    weights = {each.course_id: each.amount for each in course.included}
    if not new or set(new) == {share.course_id for share in line.shares}:
        return line
    amounts = split(line.total_amount, [weights[each] for each in new], step)
    shares = tuple(Share(course_id=each, amount=amount) for each, amount in zip(new, amounts, strict=True))
    return line.model_copy(update={"shares": shares})
