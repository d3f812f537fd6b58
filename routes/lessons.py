"""What became of lessons: recorded by the tutor or staff, never by the student."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict
from sqlalchemy import exists, select
from sqlmodel import col

from activities.database import Sessions
from activities.lesson_records import LessonToRecord, record_lesson
from models.errors import Reason
from models.tables import Course, Enrollment, LessonRecord, LessonSlot
from models.vocabulary import LessonOutcome, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from rules.decision import Refused

router = APIRouter(prefix="/v1/enrollments", tags=["enrollments"], route_class=AuthenticatedRoute)


class LessonBody(BaseModel):
    """What became of a lesson."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: LessonOutcome


class LessonRecordView(BaseModel):
    """A lesson of a student as it is on record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enrollment_id: UUID
    lesson_id: UUID
    outcome: LessonOutcome
    recorded_by: str
    recorded_at: datetime


_RECORD = LessonRecordView(
    enrollment_id=UUID("0198f3a0-4444-7000-8000-000000000001"),
    lesson_id=UUID("0198f3a0-3333-7000-8000-000000000001"),
    outcome=LessonOutcome.COMPLETED,
    recorded_by="tutor:0198f3a0-5555-7000-8000-000000000001",
    recorded_at=datetime(2026, 3, 9, 17, 2, tzinfo=UTC),
)


@router.post(
    "/{enrollment_id}/lessons/{lesson_id}",
    summary="Record what became of a lesson",
    responses={
        **answer(HTTPStatus.OK, "The lesson as it is on record", _RECORD),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_FOUND,
            Reason.ENROLLMENT_NOT_ACTIVE,
            Reason.LESSON_NOT_BEGUN,
            Reason.LESSON_ALREADY_RECORDED,
            Reason.REFUND_IN_PROGRESS,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_lesson(
    enrollment_id: UUID,
    lesson_id: UUID,
    body: Annotated[
        LessonBody, Body(openapi_examples={"held": {"summary": "It was held", "value": {"outcome": "completed"}}})
    ],
    principal: Annotated[Principal, Depends(require(Role.TUTOR, Role.STAFF, Role.ADMIN, Role.SERVICE))],
    connections: TheConnections,
) -> LessonRecordView:
    """The tutor of the course or of the hour says it, staff may correct it. `lesson_id` is a lesson or a booked slot.

    The same again changes nothing. Once a refund is approved nothing is recorded any more.
    """
    if not principal.is_staff:
        await _require_teaches(connections.sessions, enrollment_id, lesson_id, principal)
    told = LessonToRecord(enrollment_id, lesson_id, body.outcome, principal.actor, may_correct=principal.is_staff)
    async with connections.sessions.begin() as session:
        recorded = await record_lesson(session, told)
        if isinstance(recorded, Refused):
            raise ProblemError(recorded.reason, recorded.detail)
        return _view(recorded)


async def _require_teaches(sessions: Sessions, enrollment_id: UUID, lesson_id: UUID, principal: Principal) -> None:
    gives_hour = exists().where(
        col(LessonSlot.id) == lesson_id,
        col(LessonSlot.order_line_id) == col(Enrollment.order_line_id),
        col(LessonSlot.tutor_id) == principal.person_id,
    )
    query = (
        select(col(Enrollment.id))
        .join(Course, col(Course.id) == col(Enrollment.course_id))
        .where(
            col(Enrollment.id) == enrollment_id,
            col(Enrollment.student_id) != principal.person_id,
            (col(Course.tutor_id) == principal.person_id) | gives_hour,
        )
    )
    async with sessions() as session:
        if (await session.execute(query)).first() is None:
            raise ProblemError(Reason.NOT_FOUND, "There is no such enrollment, or you do not teach it.")


def _view(record: LessonRecord) -> LessonRecordView:
    lesson_id = record.lesson_id or record.slot_id
    assert lesson_id is not None  # noqa: S101 - the table has a CHECK for it
    return LessonRecordView(
        enrollment_id=record.enrollment_id,
        lesson_id=lesson_id,
        outcome=LessonOutcome(record.outcome),
        recorded_by=record.recorded_by,
        recorded_at=record.updated_at,
    )
