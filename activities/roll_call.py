"""Who came to a meeting, said at once for all who were there or were not."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.attendance import OUTCOMES
from activities.audit import StateChange, write_audit
from models.errors import Reason
from models.identifiers import new_id
from models.tables import ClassSession, Enrollment, LessonRecord, RefundRequest
from models.vocabulary import Attendance, EnrollmentStatus, RefundAccess, RefundRequestStatus
from rules.decision import Refused

_LEARNING = (EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED)
_NOT_LIVE = {
    EnrollmentStatus.SUSPENDED: Reason.ENROLLMENT_SUSPENDED,
    EnrollmentStatus.EXPIRED: Reason.ENROLLMENT_EXPIRED,
}


@dataclass(frozen=True)
class RollCall:
    """What somebody says of a meeting: the attendance of each enrollment they speak of. Nobody speaks of their own."""

    course_id: UUID
    meeting_id: UUID
    attendance: Mapping[UUID, Attendance]
    actor: str
    may_correct: bool
    caller_id: UUID | None = None


@dataclass(frozen=True)
class RollCalled:
    """Whose attendance is different now, and of whom nothing was written, with the reason."""

    changed: tuple[UUID, ...]
    refused: Mapping[UUID, Reason]


async def call_roll(session: AsyncSession, told: RollCall, moment: datetime) -> RollCalled | Refused:
    """Write it down for all of them, in as many statements however many they are. Their jobs are to look again.

    The enrollments are locked, so that a refund and an attendance never cross. Saying the same again changes nothing;
    only who may correct can say something else.
    """
    meeting = await session.get(ClassSession, told.meeting_id)
    if meeting is None or meeting.course_id != told.course_id:
        return Refused(Reason.NOT_FOUND, "The course has no such meeting.")
    if meeting.canceled_at is not None:
        return Refused(Reason.MEETING_OVER, "The meeting was canceled.")
    if meeting.starts_at > moment:
        return Refused(Reason.LESSON_NOT_BEGUN, "Nobody can have come to a meeting that has not begun.")
    places = await _locked(session, told)
    known = await _known(session, told)
    refused: dict[UUID, Reason] = {}
    changed: dict[UUID, Attendance] = {}
    for enrollment_id, attendance in told.attendance.items():
        record = known.get(enrollment_id)
        if record is not None and record.attendance == attendance:
            continue
        reason = _refusal(places.get(enrollment_id), meeting, told.caller_id, moment)
        if reason is None and record is not None and not told.may_correct:
            reason = Reason.LESSON_ALREADY_RECORDED
        if reason is None:
            changed[enrollment_id] = attendance
        else:
            refused[enrollment_id] = reason
    if changed:
        await _write(session, told, changed, known, moment)
    return RollCalled(tuple(changed), refused)


async def _locked(session: AsyncSession, told: RollCall) -> Mapping[UUID, tuple[Enrollment, bool]]:
    """Those of the enrollments that are in the course, and whether their money is on its way back."""
    is_ending = exists().where(
        col(RefundRequest.enrollment_id) == col(Enrollment.id),
        col(RefundRequest.status) == RefundRequestStatus.APPROVED,
        col(RefundRequest.access) == RefundAccess.REVOKED,
    )
    query = (
        select(Enrollment, is_ending)
        .where(col(Enrollment.id).in_(told.attendance), col(Enrollment.course_id) == told.course_id)
        .order_by(col(Enrollment.id))
        .with_for_update(of=Enrollment)
    )
    return {place.id: (place, ending) for place, ending in (await session.execute(query)).all()}


async def _known(session: AsyncSession, told: RollCall) -> Mapping[UUID, LessonRecord]:
    query = select(LessonRecord).where(
        col(LessonRecord.meeting_id) == told.meeting_id, col(LessonRecord.enrollment_id).in_(told.attendance)
    )
    return {record.enrollment_id: record for record in (await session.execute(query)).scalars()}


def _refusal(
    place: tuple[Enrollment, bool] | None, meeting: ClassSession, caller_id: UUID | None, moment: datetime
) -> Reason | None:
    """A meeting that was over before somebody enrolled, or ended after their access had, is none of theirs."""
    if place is None:
        return Reason.NOT_FOUND
    enrollment, is_ending = place
    if enrollment.student_id == caller_id:
        return Reason.ROLE_NOT_ALLOWED
    if enrollment.status not in _LEARNING:
        return _NOT_LIVE.get(EnrollmentStatus(enrollment.status), Reason.ENROLLMENT_NOT_ACTIVE)
    if enrollment.enrolled_at is None or enrollment.enrolled_at >= meeting.ends_at:
        return Reason.NOT_FOUND
    ends_at = enrollment.access_ends_at
    if ends_at is not None and ends_at <= moment and ends_at < meeting.ends_at:
        return Reason.ENROLLMENT_EXPIRED
    return Reason.REFUND_IN_PROGRESS if is_ending else None


async def _write(
    session: AsyncSession,
    told: RollCall,
    changed: Mapping[UUID, Attendance],
    known: Mapping[UUID, LessonRecord],
    moment: datetime,
) -> None:
    before = {enrollment_id: record.outcome for enrollment_id, record in known.items()}
    rows = [
        {
            "id": known[enrollment_id].id if enrollment_id in known else new_id(),
            "created_at": moment,
            "enrollment_id": enrollment_id,
            "meeting_id": told.meeting_id,
            "outcome": OUTCOMES[attendance],
            "attendance": attendance,
            "recorded_by": told.actor,
            "updated_at": moment,
        }
        for enrollment_id, attendance in changed.items()
    ]
    new = insert(LessonRecord).values(rows)
    said = {name: new.excluded[name] for name in ("outcome", "attendance", "recorded_by", "updated_at")}
    await session.execute(
        new.on_conflict_do_update(
            index_elements=[col(LessonRecord.enrollment_id), col(LessonRecord.meeting_id)], set_=said
        )
    )
    await session.execute(
        update(Enrollment)
        .where(col(Enrollment.id).in_(changed))
        .values(wakes_at=moment)
        .execution_options(synchronize_session=False)
    )
    changes = [
        StateChange("lesson_record", UUID(str(row["id"])), before.get(UUID(str(row["enrollment_id"]))), row["outcome"])  # type: ignore[arg-type]
        for row in rows
    ]
    await write_audit(session, changes, actor=told.actor, reason="attendance recorded", workflow_id=None)
