"""Writing down what became of a lesson, one at a time with whoever asks for the money back."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.slots import free_slots
from models.errors import Reason
from models.tables import (
    ClassSession,
    Course,
    Enrollment,
    EnrollmentPause,
    Lesson,
    LessonRecord,
    LessonSlot,
    RefundRequest,
)
from models.tables.columns import now
from models.vocabulary import (
    Attendance,
    EnrollmentStatus,
    LessonOutcome,
    RefundAccess,
    RefundRequestStatus,
    SlotStatus,
)
from rules.decision import DatedRefusal, Refused

_HELD = (LessonOutcome.COMPLETED, LessonOutcome.STUDENT_NO_SHOW)
_Found: TypeAlias = Lesson | LessonSlot | ClassSession


@dataclass(frozen=True)
class LessonToRecord:
    """What became of one lesson, and who says so; without a moment, now. `attendance` is of an hour or a meeting."""

    enrollment_id: UUID
    lesson_id: UUID
    outcome: LessonOutcome
    actor: str
    may_correct: bool
    attendance: Attendance | None = None
    moment: datetime | None = None
    workflow_id: str | None = None


async def record_lesson(session: AsyncSession, told: LessonToRecord) -> LessonRecord | Refused:
    """Write the lesson down, or say why not. The enrollment is locked, so that a refund and a lesson never cross.

    `lesson_id` is a lesson of the course, a booked hour or a meeting. A cancelled hour, and one that the tutor missed,
    is free again. Saying the same again changes nothing; saying something else is a correction. Of hours and meetings
    it may be said in a pause, too: they were held or not, and count as held three days later.
    """
    enrollment = await session.get(Enrollment, told.enrollment_id, with_for_update=True)
    if enrollment is None:
        return Refused(Reason.NOT_FOUND, "There is no such enrollment.")
    known = await _known(session, told)
    if known is not None and known.outcome == told.outcome and told.attendance in (None, known.attendance):
        return known
    refused = await _refusal(session, enrollment, known, told)
    found = refused or await _lesson(session, enrollment, told)
    if isinstance(found, Refused):
        return found
    if known is None:
        refused = await _closed(session, enrollment, found, told.moment or now())
    return refused or await _write(session, told, known, found)


def not_learning(
    status: EnrollmentStatus, access_ends_at: datetime | None, paused_until: datetime | None
) -> Refused | None:
    """Why nothing is recorded of an enrollment that is over or stands still; none of one that is learned in.

    Dated: until when it is paused, or when access has ended.
    """
    match status:
        case EnrollmentStatus.ACTIVE | EnrollmentStatus.COMPLETED if paused_until is not None:
            detail = f"The enrollment is paused until {_day(paused_until)}."
            return DatedRefusal(Reason.ENROLLMENT_PAUSED, detail, paused_until)
        case EnrollmentStatus.ACTIVE | EnrollmentStatus.COMPLETED:
            return None
        case EnrollmentStatus.EXPIRED if access_ends_at is not None:
            detail = f"Access ended on {_day(access_ends_at)}."
            return DatedRefusal(Reason.ENROLLMENT_EXPIRED, detail, access_ends_at)
        case EnrollmentStatus.EXPIRED:
            return Refused(Reason.ENROLLMENT_EXPIRED, "Access has ended.")
        case EnrollmentStatus.SUSPENDED:
            return Refused(Reason.ENROLLMENT_SUSPENDED, "The enrollment is suspended.")
        case _:
            return Refused(Reason.ENROLLMENT_NOT_ACTIVE, f"The enrollment is {status}.")


def money_goes_back() -> Refused:
    """That a granted refund takes the place away."""
    return Refused(Reason.REFUND_IN_PROGRESS, "The money of this enrollment is on its way back.")


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


async def _refusal(
    session: AsyncSession, enrollment: Enrollment, known: LessonRecord | None, told: LessonToRecord
) -> Refused | None:
    if known is not None and not told.may_correct:
        return Refused(Reason.LESSON_ALREADY_RECORDED, f"The lesson is recorded as {known.outcome}.")
    refused = not_learning(EnrollmentStatus(enrollment.status), enrollment.access_ends_at, None)
    if refused is not None:
        return refused
    return money_goes_back() if await _is_ending(session, enrollment.id) else None


async def _closed(session: AsyncSession, enrollment: Enrollment, found: _Found, moment: datetime) -> Refused | None:
    """What speaks against it though the enrollment is learned in: a pause, of a lesson of the course; or that access
    was over before the hour or the meeting was.
    """
    ends_at = enrollment.access_ends_at
    is_within = not isinstance(found, Lesson) and ends_at is not None and found.ends_at <= ends_at
    if ends_at is not None and ends_at <= moment and not is_within:
        return not_learning(EnrollmentStatus.EXPIRED, ends_at, None)
    if not isinstance(found, Lesson):
        return None
    paused_until = await _paused_until(session, enrollment.id)
    return not_learning(EnrollmentStatus(enrollment.status), ends_at, paused_until)


async def _paused_until(session: AsyncSession, enrollment_id: UUID) -> datetime | None:
    query = select(col(EnrollmentPause.until)).where(
        col(EnrollmentPause.enrollment_id) == enrollment_id, col(EnrollmentPause.resumed_at).is_(None)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def _known(session: AsyncSession, told: LessonToRecord) -> LessonRecord | None:
    query = select(LessonRecord).where(
        col(LessonRecord.enrollment_id) == told.enrollment_id,
        (col(LessonRecord.lesson_id) == told.lesson_id)
        | (col(LessonRecord.slot_id) == told.lesson_id)
        | (col(LessonRecord.meeting_id) == told.lesson_id),
    )
    return (await session.execute(query)).scalar_one_or_none()


async def _is_ending(session: AsyncSession, enrollment_id: UUID) -> bool:
    query = select(col(RefundRequest.id)).where(
        col(RefundRequest.enrollment_id) == enrollment_id,
        col(RefundRequest.status) == RefundRequestStatus.APPROVED,
        col(RefundRequest.access) == RefundAccess.REVOKED,
    )
    return (await session.execute(query)).first() is not None


async def _lesson(session: AsyncSession, enrollment: Enrollment, told: LessonToRecord) -> _Found | Refused:
    """The lesson of the course, the booked hour or the meeting, if something can have become of it by now."""
    moment = told.moment or now()
    lesson = await session.get(Lesson, told.lesson_id)
    if lesson is not None and lesson.course_id == enrollment.course_id and told.attendance is None:
        starts = select(col(Course.starts_at)).where(col(Course.id) == enrollment.course_id)
        starts_at = (await session.execute(starts)).scalar_one()
        return lesson if starts_at is None or starts_at <= moment else _not_begun()
    slot = await session.get(LessonSlot, told.lesson_id, with_for_update=True)
    if slot is None:
        return await _meeting(session, enrollment, told, moment)
    if slot.order_line_id != enrollment.order_line_id or slot.student_id != enrollment.student_id:
        return _no_such_lesson()
    if slot.starts_at > moment and told.outcome is not LessonOutcome.CANCELED:
        return _not_begun()
    return slot


async def _meeting(
    session: AsyncSession, enrollment: Enrollment, told: LessonToRecord, moment: datetime
) -> ClassSession | Refused:
    """A meeting of the course that takes place after the enrollment."""
    meeting = await session.get(ClassSession, told.lesson_id)
    if meeting is None or meeting.course_id != enrollment.course_id or meeting.canceled_at is not None:
        return _no_such_lesson()
    if enrollment.enrolled_at is None or meeting.ends_at <= enrollment.enrolled_at:
        return _no_such_lesson()
    # Who is excused says so before.
    if meeting.starts_at > moment and told.outcome is not LessonOutcome.CANCELED:
        return _not_begun()
    return meeting


async def _write(
    session: AsyncSession, told: LessonToRecord, known: LessonRecord | None, found: _Found
) -> LessonRecord:
    before = None if known is None else known.outcome
    record = known or LessonRecord(
        enrollment_id=told.enrollment_id,
        lesson_id=found.id if isinstance(found, Lesson) else None,
        slot_id=found.id if isinstance(found, LessonSlot) else None,
        meeting_id=found.id if isinstance(found, ClassSession) else None,
        outcome=told.outcome,
        recorded_by=told.actor,
    )
    record.outcome, record.attendance = told.outcome, told.attendance
    record.recorded_by, record.updated_at = told.actor, told.moment or now()
    session.add(record)
    changes = [StateChange("lesson_record", record.id, before, told.outcome)]
    if isinstance(found, LessonSlot):
        changes += await _move_slot(session, found, told.outcome)
    await write_audit(session, changes, actor=told.actor, reason="lesson recorded", workflow_id=told.workflow_id)
    return record


async def _move_slot(session: AsyncSession, slot: LessonSlot, outcome: LessonOutcome) -> list[StateChange]:
    if outcome not in _HELD:
        return await free_slots(session, col(LessonSlot.id) == slot.id)
    if slot.status == SlotStatus.COMPLETED:
        return []
    change = StateChange("lesson_slot", slot.id, slot.status, SlotStatus.COMPLETED)
    slot.status = SlotStatus.COMPLETED
    return [change]


def _not_begun() -> Refused:
    return Refused(Reason.LESSON_NOT_BEGUN, "Nothing can have become of a lesson that has not begun.")


def _no_such_lesson() -> Refused:
    return Refused(Reason.NOT_FOUND, "The enrollment has no such lesson.")
