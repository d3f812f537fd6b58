"""Changing a course that people learn in already: tried out, made, followed to its last learner."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Response
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field

from activities.course_changes import CourseImpact, preview_course_change
from activities.database import Sessions
from models.errors import Reason
from models.identifiers import course_change_id_for
from models.messages.learning import CourseChangeRequest
from models.tables import Course, CourseChange
from models.vocabulary import ContentChange, CourseChangeStatus, EnrollmentChange, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.change_bodies import CourseChangeBody
from routes.course_change_start import COURSE_CHANGE_REFUSALS, start_course_change, stop_course_change
from routes.documentation import answer, location_header, problems
from routes.enrollment_changes import DryRunQuery
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from routes.validation import idempotency_header
from rules.decision import Refused

router = APIRouter(prefix="/v1/courses", tags=["learning"], route_class=AuthenticatedRoute)

_MayChange = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))]
_EXAMPLES: dict[str, Example] = {
    "add_lesson": {
        "summary": "A lesson more, two days after another is passed",
        "value": {
            "content": "add_lesson",
            "lesson": {
                "title": "Reading a menu",
                "drip_rule": {
                    "kind": "after_lesson",
                    "lesson_id": "0198f3a0-3333-7000-8000-000000000001",
                    "outcome": "passed",
                    "amount": 2,
                },
            },
        },
    },
    "move_meeting": {
        "summary": "A meeting is a day later",
        "value": {
            "content": "move_meeting",
            "meeting_id": "0198f3a0-7777-7000-8000-000000000001",
            "meeting_starts_at": "2026-03-11T17:00:00Z",
            "meeting_ends_at": "2026-03-11T18:30:00Z",
        },
    },
    "pause_all": {
        "summary": "Everybody has a pause",
        "value": {"members": {"change": "pause", "until": "2026-08-31T22:00:00Z"}},
    },
}


class LessonImpactView(BaseModel):
    """For how many learners a lesson opens at another time. One that is open, or done, does not move."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lesson_id: UUID
    earlier: int
    later: int
    at_once: int
    no_more: int = Field(description="it opens no more, or nobody knows when")


class CourseImpactView(BaseModel):
    """What a change would come to. Nothing was written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learners: int = Field(description="enrollments that it concerns")
    refused: int = Field(description="enrollments for which it makes no sense: for them nothing moves")
    lessons: tuple[LessonImpactView, ...] = Field(description="those that move for somebody")


class CourseChangeView(BaseModel):
    """A change of a course and how far it is, in enrollments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID = Field(description="a lesson that was added has the same id")
    course_id: UUID
    change: ContentChange | EnrollmentChange
    status: CourseChangeStatus
    enrollments: int = Field(description="that it concerns")
    done: int
    refused: int = Field(description="enrollments for which it makes no sense")
    requested_by: str
    created_at: datetime
    ended_at: datetime | None


_IMPACT = CourseImpactView(
    learners=31,
    refused=0,
    lessons=(
        LessonImpactView(
            lesson_id=UUID("0198f3a0-3333-7000-8000-000000000002"), earlier=4, later=0, at_once=20, no_more=0
        ),
    ),
)
_CHANGE = CourseChangeView(
    id=UUID("7b1e6c1e-0d0a-5b52-8f0e-3f5a3d1c7e22"),
    course_id=UUID("0198f3a0-1111-7000-8000-000000000001"),
    change=ContentChange.ADD_LESSON,
    status=CourseChangeStatus.RUNNING,
    enrollments=431,
    done=200,
    refused=0,
    requested_by="staff:frida",
    created_at=datetime(2026, 3, 9, 17, 2, tzinfo=UTC),
    ended_at=None,
)
_PATH = f"/v1/courses/{_CHANGE.course_id}/changes/{_CHANGE.id}"


@router.post(
    "/{course_id}/changes",
    status_code=HTTPStatus.ACCEPTED,
    response_model=CourseChangeView | CourseImpactView,
    summary="Change a course, or all enrollments in it",
    responses={
        **answer(HTTPStatus.OK, "What would happen, of a dry run", _IMPACT),
        **answer(
            HTTPStatus.ACCEPTED, "It is made, and reaches one enrollment after another", _CHANGE, location_header(_PATH)
        ),
        **problems(
            *REFUSALS,
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.PAYLOAD_TOO_LARGE,
            *COURSE_CHANGE_REFUSALS,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_course_change(
    course_id: UUID,
    body: Annotated[CourseChangeBody, Body(openapi_examples=_EXAMPLES)],
    asked: Annotated[DryRunQuery, Query()],
    idempotency_key: Annotated[str, idempotency_header("the same key is the same change")],
    principal: _MayChange,
    connections: TheConnections,
    response: Response,
) -> CourseChangeView | CourseImpactView:
    """Lessons and meetings, the rules of the course, or the same change for everybody in it. What has opened for
    somebody, or was done, never locks again. With `dry_run=true` nothing happens: the answer says for how many learners
    which lesson would move, and for how many the change makes no sense.
    """
    change_id = course_change_id_for(principal.subject, idempotency_key)
    request = _request(course_id, change_id, body, principal.actor)
    is_over = await _is_over(connections.sessions, request)
    if asked.dry_run:
        response.status_code = HTTPStatus.OK
        return await _preview(connections.sessions, request)
    if not is_over:
        await start_course_change(connections.temporal, request)
    response.headers["Location"] = f"/v1/courses/{course_id}/changes/{change_id}"
    return await _read(connections.sessions, course_id, change_id)


@router.get(
    "/{course_id}/changes/{change_id}",
    summary="Read a change of a course",
    responses={
        **answer(HTTPStatus.OK, "The change", _CHANGE),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_course_change(
    course_id: UUID,
    change_id: UUID,
    _principal: Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))],
    connections: TheConnections,
) -> CourseChangeView:
    """How many enrollments it has reached."""
    return await _read(connections.sessions, course_id, change_id)


@router.post(
    "/{course_id}/changes/{change_id}/stop",
    status_code=HTTPStatus.ACCEPTED,
    summary="Stop a change of a course",
    responses={
        **answer(HTTPStatus.ACCEPTED, "The change, which hears of it in a moment", _CHANGE),
        **problems(
            *REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.COURSE_CHANGE_NOT_RUNNING, Reason.UNAVAILABLE
        ),
    },
)
async def stop_change(
    course_id: UUID, change_id: UUID, _principal: _MayChange, connections: TheConnections
) -> CourseChangeView:
    """It goes no further than the enrollments that it has reached. What was changed stays so."""
    change = await _read(connections.sessions, course_id, change_id)
    if change.status is not CourseChangeStatus.RUNNING:
        raise ProblemError(Reason.COURSE_CHANGE_NOT_RUNNING, f"The change is {change.status}.")
    await stop_course_change(connections.temporal, change_id)
    return change


def _request(course_id: UUID, change_id: UUID, body: CourseChangeBody, actor: str) -> CourseChangeRequest:
    """As the workflow is asked for it. A new lesson takes over the change's id, so that a repeat adds no second one."""
    said = body.model_dump(exclude_unset=True, exclude={"members"})
    if body.content is ContentChange.ADD_LESSON:
        said["lesson_id"] = change_id
    members = None if body.members is None else body.members.wish(change_id, change_id, actor)
    return CourseChangeRequest.model_validate(
        {**said, "members": members, "change_id": change_id, "course_id": course_id, "actor": actor}
    )


async def _is_over(sessions: Sessions, request: CourseChangeRequest) -> bool:
    """Whether it is a repeat of a change that has come to its end. Raises `ProblemError` if it is not the same.

    One that goes on is joined; one whose workflow was terminated goes on by being asked for again.
    """
    async with sessions() as session:
        if await session.get(Course, request.course_id) is None:
            raise _no_such_course()
        known = await session.get(CourseChange, request.change_id)
    if known is None:
        return False
    # As JSON, in which what was not said and null are two things.
    if CourseChangeRequest.model_validate(known.request).model_dump(mode="json") != request.model_dump(mode="json"):
        raise ProblemError(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used for another change.")
    return known.status != CourseChangeStatus.RUNNING


async def _preview(sessions: Sessions, request: CourseChangeRequest) -> CourseImpactView:
    async with sessions() as session:
        impact = await preview_course_change(session, request)
    if isinstance(impact, Refused):
        raise ProblemError(impact.reason, impact.detail)
    return _impact_view(impact)


def _impact_view(impact: CourseImpact) -> CourseImpactView:
    return CourseImpactView(
        learners=impact.learners,
        refused=impact.refused,
        lessons=tuple(
            LessonImpactView(
                lesson_id=each.lesson_id,
                earlier=each.earlier,
                later=each.later,
                at_once=each.at_once,
                no_more=each.no_more,
            )
            for each in impact.lessons
        ),
    )


async def _read(sessions: Sessions, course_id: UUID, change_id: UUID) -> CourseChangeView:
    async with sessions() as session:
        change = await session.get(CourseChange, change_id)
    if change is None or change.course_id != course_id:
        raise ProblemError(Reason.NOT_FOUND, "There is no such change of this course.")
    of_content = change.change in set(ContentChange)
    return CourseChangeView(
        id=change.id,
        course_id=change.course_id,
        change=ContentChange(change.change) if of_content else EnrollmentChange(change.change),
        status=CourseChangeStatus(change.status),
        enrollments=change.enrollments,
        done=change.done,
        refused=change.refused,
        requested_by=change.actor,
        created_at=change.created_at,
        ended_at=change.ended_at,
    )


def _no_such_course() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such course.")
