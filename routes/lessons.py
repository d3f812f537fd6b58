"""What became of lessons, booked hours and meetings, and how far a learner is with them."""

from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Self
from uuid import UUID, uuid4

from fastapi import APIRouter, Body, Depends
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.lesson_positions import LessonPosition, keep_position
from models.drip import Score
from models.errors import Reason
from models.identifiers import attempt_id_for
from models.messages.learning import RecordLesson
from models.tables import Course, Enrollment, Lesson, LessonAttempt, LessonProgress, LessonSlot
from models.tables.columns import now
from models.vocabulary import Attendance, LessonOutcome, LessonStatus, RefundGround, RefundPolicy, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.drip_start import LESSON_REFUSALS, record_lesson
from routes.learning_views import Marks
from routes.parts import Connections, TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from routes.validation import idempotency_header
from rules.grading import attempts_left

router = APIRouter(prefix="/v1/enrollments", tags=["learning"], route_class=AuthenticatedRoute)

_A_MONTH = 31 * 24 * 3600
_EXAMPLES: dict[str, Example] = {
    "held": {"summary": "An hour was held, says its tutor", "value": {"outcome": "completed"}},
    "attendance": {"summary": "Somebody came late to a meeting", "value": {"attendance": "late"}},
    "position": {
        "summary": "Four minutes of a video were watched",
        "value": {"time_spent_seconds": 240, "current_position": 240, "total_content": 900},
    },
    "finished": {"summary": "A lesson without a grade is done", "value": {"finished": True}},
    "graded": {
        "summary": "The platform reports an attempt at a quiz",
        "value": {"finished": True, "score": 8.5, "time_spent_seconds": 420},
    },
}


class LessonBody(BaseModel):
    """One thing that happened: an outcome, an attendance, a finished attempt, or a piece of the way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: LessonOutcome | None = Field(
        default=None, description="what became of an hour or a lesson; not for students"
    )
    attendance: Attendance | None = Field(default=None, description="of an hour or a meeting; not for students")
    finished: bool = Field(default=False, description="whether an attempt at a lesson has ended")
    score: Score | None = Field(default=None, description="of a finished attempt at a graded lesson; not for students")
    time_spent_seconds: int | None = Field(default=None, ge=0, le=_A_MONTH, description="since the last report")
    current_position: int | None = Field(default=None, ge=0, le=2_000_000_000, description="where to go on")
    total_content: int | None = Field(default=None, ge=0, le=2_000_000_000, description="of how much")

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        said = [self.outcome is not None, self.attendance is not None, self.finished]
        if sum(said) > 1:
            raise PydanticCustomError("refused_here", "Say one of `outcome`, `attendance` and `finished`.")
        if self.score is not None and not self.finished:
            raise PydanticCustomError("refused_here", "A score is of an attempt that is `finished`.")
        if not any(said) and self.time_spent_seconds is None and self.current_position is None:
            raise PydanticCustomError("refused_here", "Say what happened.")
        return self

    @model_validator(mode="after")
    def _known_position(self) -> Self:
        position, total = self.current_position, self.total_content
        if (position is None) is not (total is None) or (position or 0) > (total or 0):
            raise PydanticCustomError("refused_here", "A position is given with `total_content`, and not beyond it.")
        return self

    @property
    def is_position(self) -> bool:
        """Whether it only says how far the learner is."""
        return self.outcome is None and self.attendance is None and not self.finished

    @property
    def is_judgement(self) -> bool:
        """Whether somebody else than the learner has to say it."""
        return self.outcome is not None or self.attendance is not None or self.score is not None


class LessonRecordView(BaseModel):
    """A lesson of a student as it is on record, and what followed from what was just said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enrollment_id: UUID
    lesson_id: UUID
    outcome: LessonOutcome | None = Field(description="what refunds count; none while nothing has become of it")
    attendance: Attendance | None
    status: LessonStatus | None = Field(description="that counts, of all attempts; none of an hour or a meeting")
    score: Marks | None = Field(description="that counts, by the lesson's grade rule")
    attempts: int = Field(description="that are finished")
    attempts_left: int | None = Field(description="none: without limit")
    opened: tuple[UUID, ...] = Field(description="lessons that have opened by it")
    progress_percent: int | None = Field(description="of what counts for completion; none after a mere position")
    is_course_complete: bool
    is_refund_possible: bool | None = Field(description="whether the money may still go back; none after a position")
    refund_grounds: tuple[RefundGround, ...] = Field(description="what speaks against it, or for it")
    recorded_by: str | None
    recorded_at: datetime | None


_RECORD = LessonRecordView(
    enrollment_id=UUID("0198f3a0-4444-7000-8000-000000000001"),
    lesson_id=UUID("0198f3a0-3333-7000-8000-000000000001"),
    outcome=LessonOutcome.COMPLETED,
    attendance=None,
    status=LessonStatus.PASSED,
    score=Decimal("8.5"),
    attempts=1,
    attempts_left=2,
    opened=(UUID("0198f3a0-3333-7000-8000-000000000002"),),
    progress_percent=25,
    is_course_complete=False,
    is_refund_possible=True,
    refund_grounds=(RefundGround.WITHIN_WINDOW,),
    recorded_by="service:platform",
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
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.PAYLOAD_TOO_LARGE,
            *LESSON_REFUSALS,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_lesson(
    enrollment_id: UUID,
    lesson_id: UUID,
    body: Annotated[LessonBody, Body(openapi_examples=_EXAMPLES)],
    principal: Annotated[Principal, Depends(require())],
    connections: TheConnections,
    idempotency_key: Annotated[
        str | None,
        idempotency_header(
            "with anything that is `finished`: the same key is the same attempt; with a position: the time of a repeat "
            "with the same key as the report before it is not counted again"
        ),
    ] = None,
) -> LessonRecordView:
    """`lesson_id` is a lesson, a booked hour or a meeting. Its tutor, the platform or staff say what became of it and
    how well it went; staff may correct that. Students say how far they are, and that their own lessons without a grade
    are done, unless it is the first lesson that decides on their money: then that is for others to say. Staff who learn
    are students of their own courses.

    The same again changes nothing. Once a refund is approved nothing is recorded any more.
    """
    actor = await _speaker(connections, enrollment_id, lesson_id, body, principal)
    if body.finished and idempotency_key is None:
        raise ProblemError(Reason.IDEMPOTENCY_KEY_MISSING, "Send an Idempotency-Key header, one per attempt.")
    attempt_id = (
        uuid4() if idempotency_key is None else attempt_id_for(enrollment_id, principal.subject, idempotency_key)
    )
    if body.is_position:
        kept = await _keep(connections, enrollment_id, lesson_id, attempt_id, body)
        if kept is not None:
            return kept
    course_id = await _require_same(connections, enrollment_id, attempt_id, lesson_id, body)
    told = RecordLesson(
        attempt_id=attempt_id,
        enrollment_id=enrollment_id,
        lesson_id=lesson_id,
        outcome=body.outcome,
        attendance=body.attendance,
        is_finished=body.finished,
        score=body.score,
        time_spent_seconds=body.time_spent_seconds or 0,
        current_position=body.current_position,
        total_content=body.total_content,
        actor=actor,
        may_correct=principal.is_staff and actor == principal.actor,
    )
    recorded = await record_lesson(connections.temporal, told, course_id)
    shown = recorded.model_dump(include=set(LessonRecordView.model_fields))
    return LessonRecordView.model_validate(shown)


async def _speaker(
    connections: Connections, enrollment_id: UUID, lesson_id: UUID, body: LessonBody, principal: Principal
) -> str:
    """As what the caller may say this of the lesson: of their own as a student, whoever they are beside that. An
    enrollment they have nothing to do with is, to them, none.
    """
    is_tutor = Role.TUTOR in principal.roles
    if not (is_tutor or principal.is_staff) and body.is_judgement:
        raise _not_theirs_to_say("What became of a lesson, and how well it went, is for its tutor to say.")
    async with connections.sessions() as session:
        if principal.is_staff:
            if not await _is_own(session, enrollment_id, principal):
                return principal.actor
            if body.is_judgement:
                raise _not_theirs_to_say("Nobody says of themselves what became of a lesson, and how well it went.")
        elif is_tutor and await _teaches(session, enrollment_id, lesson_id, principal):
            return f"{Role.TUTOR}:{principal.subject}"
        elif Role.STUDENT not in principal.roles:
            raise _no_such_enrollment()
        await _require_own(session, enrollment_id, lesson_id, body, principal)
    return f"{Role.STUDENT}:{principal.subject}"


async def _is_own(session: AsyncSession, enrollment_id: UUID, principal: Principal) -> bool:
    enrollment = await session.get(Enrollment, enrollment_id)
    return enrollment is not None and enrollment.student_id == principal.person_id


async def _teaches(session: AsyncSession, enrollment_id: UUID, lesson_id: UUID, principal: Principal) -> bool:
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
    return (await session.execute(query)).first() is not None


async def _require_own(
    session: AsyncSession, enrollment_id: UUID, lesson_id: UUID, body: LessonBody, principal: Principal
) -> None:
    """Students speak of the lessons of their own course; never of what decides on a grade or on their money."""
    query = (
        select(col(Enrollment.refund_policy), col(Lesson.total_marks).is_not(None))
        .join(Lesson, col(Lesson.course_id) == col(Enrollment.course_id))
        .where(
            col(Enrollment.id) == enrollment_id,
            col(Enrollment.student_id) == principal.person_id,
            col(Lesson.id) == lesson_id,
        )
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise _no_such_enrollment()
    policy, is_graded = found
    if body.is_judgement:
        raise _not_theirs_to_say("What became of a lesson, and how well it went, is for its tutor to say.")
    if body.finished and is_graded:
        raise _not_theirs_to_say("The lesson is graded: its tutor or the platform reports the result.")
    if body.finished and policy == RefundPolicy.FIRST_LESSON:
        raise _not_theirs_to_say("The first lesson decides on the money: its tutor or the platform says it is done.")


async def _keep(
    connections: Connections, enrollment_id: UUID, lesson_id: UUID, attempt_id: UUID, body: LessonBody
) -> LessonRecordView | None:
    """How far the learner is, written down here; none if the enrollment's job has to be asked."""
    told = LessonPosition(
        enrollment_id=enrollment_id,
        lesson_id=lesson_id,
        attempt_id=attempt_id,
        time_spent_seconds=body.time_spent_seconds or 0,
        current_position=body.current_position,
        total_content=body.total_content,
    )
    async with connections.sessions.begin() as session:
        progress = await keep_position(session, told, now())
        if progress is None:
            return None
        query = (
            select(col(Lesson.max_attempts), col(Enrollment.completed_at).is_not(None))
            .join(Enrollment, col(Enrollment.course_id) == col(Lesson.course_id))
            .where(col(Lesson.id) == lesson_id, col(Enrollment.id) == enrollment_id)
        )
        max_attempts, is_complete = (await session.execute(query)).one()
        return _position_view(progress, max_attempts, is_complete=is_complete)


def _position_view(progress: LessonProgress, max_attempts: int, *, is_complete: bool) -> LessonRecordView:
    return LessonRecordView(
        enrollment_id=progress.enrollment_id,
        lesson_id=progress.lesson_id,
        outcome=None,
        attendance=None,
        status=LessonStatus(progress.status),
        score=progress.score,
        attempts=progress.attempts,
        attempts_left=attempts_left(max_attempts, progress.attempts),
        opened=(),
        progress_percent=None,
        is_course_complete=is_complete,
        is_refund_possible=None,
        refund_grounds=(),
        recorded_by=None,
        recorded_at=progress.last_accessed_at,
    )


async def _require_same(
    connections: Connections, enrollment_id: UUID, attempt_id: UUID, lesson_id: UUID, body: LessonBody
) -> UUID:
    """The enrollment's course. Before a run is asked: it exists, and a key that was used stands for this attempt."""
    async with connections.sessions() as session:
        enrollment = await session.get(Enrollment, enrollment_id)
        if enrollment is None:
            raise _no_such_enrollment()
        known = await session.get(LessonAttempt, attempt_id)
    if known is not None and (known.lesson_id, known.score) != (lesson_id, body.score):
        raise ProblemError(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used for another attempt.")
    return enrollment.course_id


def _not_theirs_to_say(detail: str) -> ProblemError:
    return ProblemError(Reason.ROLE_NOT_ALLOWED, detail)


def _no_such_enrollment() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such enrollment or lesson, or it is not yours.")
