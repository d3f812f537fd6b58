"""The roll of a meeting: who came, late or not at all."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.roll_call import RollCall, call_roll
from models.errors import Reason
from models.tables import ClassSession, Course, Enrollment, LessonRecord
from models.tables.columns import now
from models.vocabulary import Attendance, EnrollmentStatus, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.drip_start import wake_drips
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from rules.decision import Refused

router = APIRouter(prefix="/v1/courses", tags=["learning"], route_class=AuthenticatedRoute)

_MOST = 500
_SHOWN = (
    EnrollmentStatus.ACTIVE,
    EnrollmentStatus.SUSPENDED,
    EnrollmentStatus.COMPLETED,
    EnrollmentStatus.EXPIRED,
)
_MayCall = Annotated[Principal, Depends(require(Role.TUTOR, Role.STAFF, Role.ADMIN, Role.SERVICE))]


class AttendanceBody(BaseModel):
    """Whether one learner came."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enrollment_id: UUID
    attendance: Attendance


class RollBody(BaseModel):
    """Who came. Of learners who are not named nothing is said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attendance: tuple[AttendanceBody, ...] = Field(min_length=1, max_length=_MOST)

    @field_validator("attendance")
    @classmethod
    def _each_once(cls, value: tuple[AttendanceBody, ...]) -> tuple[AttendanceBody, ...]:
        if len({each.enrollment_id for each in value}) < len(value):
            raise PydanticCustomError("refused_here", "A learner came, or did not.")
        return value


class RollEntryView(BaseModel):
    """One learner of the course, and whether they came."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enrollment_id: UUID
    student_id: UUID
    attendance: Attendance | None = Field(
        description="none if nobody has said; three days after the end that counts as attended"
    )
    recorded_by: str | None
    recorded_at: datetime | None


class RefusedEntryView(BaseModel):
    """A learner of whom nothing was written, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enrollment_id: UUID
    reason: Reason


class RollView(BaseModel):
    """The roll of a meeting as it is on record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    meeting_id: UUID
    title: str
    starts_at: datetime
    ends_at: datetime
    canceled_at: datetime | None
    learners: tuple[RollEntryView, ...] = Field(description="those whom the meeting concerns")
    refused: tuple[RefusedEntryView, ...] = Field(description="of whom nothing was written just now")


_ROLL = RollView(
    meeting_id=UUID("0198f3a0-7777-7000-8000-000000000001"),
    title="Live session 1",
    starts_at=datetime(2026, 3, 9, 17, 0, tzinfo=UTC),
    ends_at=datetime(2026, 3, 9, 18, 30, tzinfo=UTC),
    canceled_at=None,
    learners=(
        RollEntryView(
            enrollment_id=UUID("0198f3a0-4444-7000-8000-000000000001"),
            student_id=UUID("0198f3a0-2222-7000-8000-000000000001"),
            attendance=Attendance.LATE,
            recorded_by="tutor:0198f3a0-5555-7000-8000-000000000001",
            recorded_at=datetime(2026, 3, 9, 18, 31, tzinfo=UTC),
        ),
    ),
    refused=(),
)
_EXAMPLE = {"attendance": [{"enrollment_id": str(_ROLL.learners[0].enrollment_id), "attendance": "late"}]}


@router.put(
    "/{course_id}/meetings/{meeting_id}/attendance",
    summary="Call the roll of a meeting",
    responses={
        **answer(HTTPStatus.OK, "The roll as it is on record", _ROLL),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_FOUND,
            Reason.LESSON_NOT_BEGUN,
            Reason.MEETING_OVER,
            Reason.UNAVAILABLE,
        ),
    },
)
async def put_attendance(
    course_id: UUID,
    meeting_id: UUID,
    body: Annotated[RollBody, Body(openapi_examples={"late": {"summary": "Somebody came late", "value": _EXAMPLE}})],
    principal: _MayCall,
    connections: TheConnections,
) -> RollView:
    """The tutor of the course says it, staff may correct it. It is written for all of them at once; of whom it cannot
    be, `refused` says why. The same again changes nothing. It counts for refunds and for progress as booked hours do.
    """
    told = RollCall(
        course_id=course_id,
        meeting_id=meeting_id,
        attendance={each.enrollment_id: each.attendance for each in body.attendance},
        actor=principal.actor,
        may_correct=principal.is_staff,
        caller_id=principal.person_id,
    )
    async with connections.sessions.begin() as session:
        await _require_teaches(session, course_id, principal)
        called = await call_roll(session, told, now())
        if isinstance(called, Refused):
            raise ProblemError(called.reason, called.detail)
    await wake_drips(connections.temporal, called.changed)
    async with connections.sessions() as session:
        return await _roll(session, course_id, meeting_id, called.refused)


@router.get(
    "/{course_id}/meetings/{meeting_id}/attendance",
    summary="Read the roll of a meeting",
    responses={
        **answer(HTTPStatus.OK, "The roll", _ROLL),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_attendance(
    course_id: UUID, meeting_id: UUID, principal: _MayCall, connections: TheConnections
) -> RollView:
    """All learners whom the meeting concerns: not those who enrolled when it was over."""
    async with connections.sessions() as session:
        await _require_teaches(session, course_id, principal)
        return await _roll(session, course_id, meeting_id, {})


async def _require_teaches(session: AsyncSession, course_id: UUID, principal: Principal) -> None:
    mine = [] if principal.is_staff else [col(Course.tutor_id) == principal.person_id]
    if (await session.execute(select(col(Course.id)).where(col(Course.id) == course_id, *mine))).first() is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such course, or you do not teach it.")


async def _roll(session: AsyncSession, course_id: UUID, meeting_id: UUID, refused: Mapping[UUID, Reason]) -> RollView:
    meeting = await session.get(ClassSession, meeting_id)
    if meeting is None or meeting.course_id != course_id:
        raise ProblemError(Reason.NOT_FOUND, "The course has no such meeting.")
    is_its_record = and_(
        col(LessonRecord.enrollment_id) == col(Enrollment.id), col(LessonRecord.meeting_id) == meeting_id
    )
    query = (
        select(Enrollment, LessonRecord)
        .join(LessonRecord, is_its_record, isouter=True)
        .where(
            col(Enrollment.course_id) == course_id,
            col(Enrollment.status).in_(_SHOWN) | col(LessonRecord.id).is_not(None),
            col(Enrollment.enrolled_at) < meeting.ends_at,
        )
        .order_by(col(Enrollment.enrolled_at), col(Enrollment.id))
    )
    return RollView(
        meeting_id=meeting.id,
        title=meeting.title,
        starts_at=meeting.starts_at,
        ends_at=meeting.ends_at,
        canceled_at=meeting.canceled_at,
        learners=tuple(_entry(place, record) for place, record in (await session.execute(query)).all()),
        refused=tuple(RefusedEntryView(enrollment_id=each, reason=reason) for each, reason in refused.items()),
    )


def _entry(place: Enrollment, record: LessonRecord | None) -> RollEntryView:
    said = record and record.attendance
    return RollEntryView(
        enrollment_id=place.id,
        student_id=place.student_id,
        attendance=said and Attendance(said),
        recorded_by=record and record.recorded_by,
        recorded_at=record and record.updated_at,
    )
