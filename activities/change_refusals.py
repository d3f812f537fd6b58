"""What speaks against a change of an enrollment: the step that makes it and who tries it out ask the same."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.learning_facts import LEARNING, Learning
from activities.lesson_records import money_goes_back, not_learning
from models.errors import Reason
from models.messages.learning import ChangeEnrollment
from models.tables import Certificate, Lesson
from models.vocabulary import CertificateStatus, CompletionRule, EnrollmentChange, EnrollmentStatus
from rules.access import LONGEST_PAUSE
from rules.decision import Refused


def against_change(
    learning: Learning, wish: ChangeEnrollment, moment: datetime, *, is_certified: bool = False
) -> Refused | None:
    """Why the enrollment cannot be changed so at `moment` (UTC); none if it can.

    `is_certified` is whether a certificate of it counts (`certified_among`). Whether a seat is left, and whether the
    student has bought another place meanwhile, is seen when a place takes its seat again.
    """
    if wish.actor.partition(":")[2] == str(learning.enrollment.student_id):
        return Refused(Reason.ROLE_NOT_ALLOWED, "Nobody changes an enrollment of their own.")
    if learning.is_ending:
        return money_goes_back()
    refused = _AGAINST[wish.change](learning, wish, moment)
    if refused is None and is_certified and wish.change is EnrollmentChange.RESET:
        return Refused(Reason.CERTIFICATE_NOT_REVOKED, "What is certified is not reset: revoke the certificate first.")
    return refused


async def certified_among(session: AsyncSession, enrollment_ids: Collection[UUID]) -> set[UUID]:
    """Those of which a certificate counts."""
    query = select(col(Certificate.enrollment_id)).where(
        col(Certificate.enrollment_id).in_(enrollment_ids), col(Certificate.status) == CertificateStatus.ISSUED
    )
    return set((await session.execute(query)).scalars())


def chosen_lessons(learning: Learning, wish: ChangeEnrollment) -> list[Lesson] | Refused:
    """The lessons that the change is about: those given, or all that the enrollment has."""
    lessons = {lesson.id: lesson for lesson in learning.lessons if not learning.is_gone(lesson)}
    if not wish.lesson_ids:
        return list(lessons.values())
    if any(lesson_id not in lessons for lesson_id in wish.lesson_ids):
        return Refused(Reason.NOT_FOUND, "The enrollment has not all of these lessons.")
    return [lessons[lesson_id] for lesson_id in dict.fromkeys(wish.lesson_ids)]


# ---- each change ----


def _pause(learning: Learning, wish: ChangeEnrollment, moment: datetime) -> Refused | None:
    refused = _not_learned_in(learning, moment)
    if refused is not None:
        return refused
    if learning.status is not EnrollmentStatus.ACTIVE:
        return Refused(Reason.ENROLLMENT_NOT_ACTIVE, "The course is completed: nothing is left to pause.")
    if wish.until is not None and wish.until <= moment:
        return Refused(Reason.INVALID_REQUEST, "A pause ends in the future.")
    if wish.until is not None and wish.until - moment > LONGEST_PAUSE:
        return Refused(Reason.PAUSE_TOO_LONG, f"A pause lasts at most {LONGEST_PAUSE.days} days in one go.")
    return None


def _resume(learning: Learning, _wish: ChangeEnrollment, moment: datetime) -> Refused | None:
    if learning.open_pause(moment) is None:
        return Refused(Reason.ENROLLMENT_NOT_PAUSED, "The enrollment is not paused.")
    return None


def _lessons(learning: Learning, wish: ChangeEnrollment, moment: datetime) -> Refused | None:
    chosen = _not_learned_in(learning, moment) or chosen_lessons(learning, wish)
    return chosen if isinstance(chosen, Refused) else None


def _clock(learning: Learning, wish: ChangeEnrollment, moment: datetime) -> Refused | None:
    refused = _not_learned_in(learning, moment, may_be_paused=True)
    if refused is None and wish.change is EnrollmentChange.MOVE_START and wish.starts_at is None:
        return Refused(Reason.INVALID_REQUEST, "It is not said when the enrollment starts.")
    return refused


def _access(learning: Learning, _wish: ChangeEnrollment, moment: datetime) -> Refused | None:
    if learning.status in (EnrollmentStatus.SUSPENDED, EnrollmentStatus.EXPIRED):
        return None
    return _not_learned_in(learning, moment, may_be_over=True)


def _suspend(learning: Learning, _wish: ChangeEnrollment, moment: datetime) -> Refused | None:
    refused = _not_learned_in(learning, moment, may_be_paused=True)
    if refused is None and learning.status is not EnrollmentStatus.ACTIVE:
        return Refused(Reason.ENROLLMENT_NOT_ACTIVE, f"The enrollment is {learning.status}.")
    return refused


def _reactivate(learning: Learning, _wish: ChangeEnrollment, _moment: datetime) -> Refused | None:
    if learning.status is EnrollmentStatus.SUSPENDED:
        return None
    refused = not_learning(learning.status, learning.enrollment.access_ends_at, None)
    return refused or Refused(Reason.ENROLLMENT_NOT_ACTIVE, f"The enrollment is {learning.status}, not suspended.")


def _judge(learning: Learning, wish: ChangeEnrollment, moment: datetime) -> Refused | None:
    refused = _not_learned_in(learning, moment, may_be_paused=True)
    if refused is not None:
        return refused
    if learning.course.completion_rule != CompletionRule.JUDGED:
        return Refused(Reason.NOT_JUDGED, "The course is not completed by a judgement.")
    return Refused(Reason.INVALID_REQUEST, "It is not said what the judgement is.") if wish.judgement is None else None


_Against = Callable[[Learning, ChangeEnrollment, datetime], Refused | None]
_AGAINST: Mapping[EnrollmentChange, _Against] = {
    EnrollmentChange.PAUSE: _pause,
    EnrollmentChange.RESUME: _resume,
    EnrollmentChange.RELEASE: _lessons,
    EnrollmentChange.RESET: _lessons,
    EnrollmentChange.RESTART_CLOCK: _clock,
    EnrollmentChange.MOVE_START: _clock,
    EnrollmentChange.SET_ACCESS: _access,
    EnrollmentChange.SUSPEND: _suspend,
    EnrollmentChange.REACTIVATE: _reactivate,
    EnrollmentChange.JUDGE: _judge,
}


def _not_learned_in(
    learning: Learning, moment: datetime, *, may_be_paused: bool = False, may_be_over: bool = False
) -> Refused | None:
    if learning.status in LEARNING and learning.is_access_over(moment) and not may_be_over:
        return not_learning(EnrollmentStatus.EXPIRED, learning.enrollment.access_ends_at, None)
    pause = None if may_be_paused else learning.open_pause(moment)
    paused_until = None if pause is None else pause.until
    return not_learning(learning.status, learning.enrollment.access_ends_at, paused_until)
