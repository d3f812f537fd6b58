"""What people have to decide: listed, read, taken, decided."""

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.application_record import APPLICATION, is_reviewer
from activities.database import Sessions
from activities.task_record import actors_of, assign_task, notes_of, staff_actor
from models.errors import Reason
from models.messages.applications import MAX_REASONS
from models.messages.tasks import DecideTask
from models.tables import HumanTask, Reviewer, TutorApplication
from models.vocabulary import ReviewReason, Role, TaskAction, TaskKind, TaskQueue, TaskStatus
from routes.application_reading import reviewed_application
from routes.application_reviews import assign_review
from routes.application_start import DECISION_REFUSALS
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.pagination import LIST_HEADERS, Page, example_page, page_of, sorted_page, total_of
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.task_decisions import Said, decide, not_open
from routes.task_views import (
    EXAMPLE,
    SORTABLE,
    WHOLE_EXAMPLE,
    TaskQuery,
    TaskView,
    WholeTaskView,
    conditions_of,
    not_about_own,
    view_of,
    whole_view_of,
)
from routes.tokens import Principal
from routes.validation import NoteText
from rules.decision import Refused
from settings import Settings

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=AuthenticatedRoute)

_TheStaff = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))]


class DecisionBody(BaseModel):
    """What is decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: TaskAction
    note: NoteText | None = Field(default=None, description="why; kept with the task alone, so it may name people")
    reasons: tuple[ReviewReason, ...] = Field(
        default=(), max_length=MAX_REASONS, description="why a tutor's application is not approved"
    )


class AssignmentBody(BaseModel):
    """Who takes care of a task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    assignee: Literal["me"] | UUID | None = Field(description="`me`, the id of a member of staff, or null for nobody")


@router.get(
    "",
    summary="List what people have to decide",
    responses={
        **answer(HTTPStatus.OK, "One page of tasks", example_page(EXAMPLE), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_tasks(
    asked: Annotated[TaskQuery, Query()],
    principal: _TheStaff,
    parts: TheParts,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[TaskView]:
    """The open ones unless asked otherwise, the most urgent first."""
    conditions = conditions_of(asked, principal)
    page = sorted_page(select(HumanTask).where(*conditions), asked, asked.sort, SORTABLE, col(HumanTask.id))
    async with connections.sessions() as session:
        total = await total_of(session, select(HumanTask).where(*conditions))
        rows = (await session.execute(page)).scalars().all()
    return page_of(request, response, asked, [view_of(row, parts.settings) for row in rows], total)


@router.get(
    "/{task_id}",
    summary="Read a task",
    responses={
        **answer(HTTPStatus.OK, "The task", WHOLE_EXAMPLE),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_task(task_id: UUID, principal: _TheStaff, parts: TheParts, connections: TheConnections) -> WholeTaskView:
    """Why a person has to look, what they can do, who has taken it, and what was said about it."""
    return await _show(connections.sessions, task_id, principal, parts.settings)


@router.post(
    "/{task_id}/assign",
    summary="Take a task, or give it to somebody",
    responses={
        **answer(HTTPStatus.OK, "The task", WHOLE_EXAMPLE),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_FOUND,
            Reason.UNKNOWN_PERSON,
            Reason.TASK_NOT_OPEN,
            Reason.NOT_A_REVIEWER,
            Reason.OWN_APPLICATION,
            Reason.APPLICATION_NOT_IN_REVIEW,
            Reason.APPLICATION_OVER,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_assignment(
    task_id: UUID,
    body: Annotated[
        AssignmentBody,
        Body(
            openapi_examples={
                "mine": {"summary": "Take it", "value": {"assignee": "me"}},
                "nobody": {"summary": "Give it back", "value": {"assignee": None}},
            }
        ),
    ],
    principal: _TheStaff,
    parts: TheParts,
    connections: TheConnections,
) -> WholeTaskView:
    """The record alone is changed: whoever has taken a task gets its reminder, and anybody may still decide it.

    The last word counts, and every one is in the audit log. `me` is for people: a service names a member of staff:
    somebody who looks after a queue, or has taken or decided a task before. What is to be decided of a tutor's
    application goes to a reviewer who is not the applicant; with its review goes the application.
    """
    task = await _read(connections.sessions, task_id, principal)
    if task.kind == TaskKind.TUTOR_REVIEW:
        application = await _reviewed(connections.sessions, task, principal)
        if task.status != TaskStatus.OPEN:
            raise not_open()
        await assign_review(connections, application, body.assignee, principal)
        return await _show(connections.sessions, task_id, principal, parts.settings)
    await _require_may_decide(connections.sessions, task, principal)
    async with connections.sessions.begin() as session:
        assignee = await _actor(session, task, body.assignee, principal)
        assigned = await assign_task(session, task_id, assignee, actor=principal.actor)
        if isinstance(assigned, Refused):
            raise ProblemError(assigned.reason, assigned.detail)
        return whole_view_of(assigned, await notes_of(session, task_id), parts.settings)


@router.post(
    "/{task_id}/decision",
    summary="Decide a task",
    responses={
        **answer(HTTPStatus.OK, "The decided task", WHOLE_EXAMPLE),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_FOUND,
            *DECISION_REFUSALS,
            Reason.UNAVAILABLE,
        ),
    },
)
async def decide_task(
    task_id: UUID,
    body: Annotated[
        DecisionBody,
        Body(
            openapi_examples={
                "refund": {"summary": "Pay it back", "value": {"action": "refund"}},
                "why": {"summary": "Say why", "value": {"action": "accept", "note": "The bank has kept a fee."}},
            }
        ),
    ],
    principal: _TheStaff,
    parts: TheParts,
    connections: TheConnections,
) -> WholeTaskView:
    """The workflow that waits takes the decision, writes it down and goes on.

    A note is kept before the workflow is asked, and taken back if it refuses: none is lost, and none stands for a
    decision that did not count. After `unavailable` it stays, since the decision may count; repeating the request
    repeats neither, and is answered as the first was.
    """
    task = await _read(connections.sessions, task_id, principal)
    await _require_may_decide(connections.sessions, task, principal)
    decision = DecideTask(
        task_id=task_id, action=body.action, actor=principal.actor, reasons=tuple(dict.fromkeys(body.reasons))
    )
    await decide(connections.sessions, connections.temporal, task, decision, Said(note=body.note))
    return await _show(connections.sessions, task_id, principal, parts.settings)


async def _actor(
    session: AsyncSession, task: HumanTask, assignee: Literal["me"] | UUID | None, principal: Principal
) -> str | None:
    if assignee is None:
        return None
    if assignee == "me" and principal.role not in (Role.STAFF, Role.ADMIN):
        raise ProblemError(Reason.ROLE_NOT_ALLOWED, "A service takes no task; name a member of staff.")
    person_id = principal.person_id if assignee == "me" else assignee
    if task.subject_kind == APPLICATION:
        await _require_no_applicant(session, task, person_id)
    if _is_review(task):
        if person_id is None or await session.get(Reviewer, person_id) is None:
            raise ProblemError(Reason.NOT_A_REVIEWER, "This person is not on the list of reviewers.")
        return principal.actor if assignee == "me" else actors_of(str(person_id))[0]
    actor = principal.actor if assignee == "me" else await staff_actor(session, assignee)
    if actor is None:
        raise ProblemError(Reason.UNKNOWN_PERSON, "The record knows no member of staff with this id.")
    return actor


async def _require_no_applicant(session: AsyncSession, task: HumanTask, person_id: UUID | None) -> None:
    application = await session.get(TutorApplication, task.subject_id)
    if application is not None and application.applicant_id == person_id:
        raise ProblemError(Reason.OWN_APPLICATION, "Nobody decides about their own application.")


def _is_review(task: HumanTask) -> bool:
    return task.subject_kind == APPLICATION and task.queue == TaskQueue.REVIEW


async def _show(sessions: Sessions, task_id: UUID, principal: Principal, settings: Settings) -> WholeTaskView:
    task = await _read(sessions, task_id, principal)
    async with sessions() as session:
        # What reviewers say of an applicant is theirs alone.
        is_theirs = task.queue != TaskQueue.REVIEW or await is_reviewer(session, principal.actor)
        return whole_view_of(task, await notes_of(session, task_id) if is_theirs else (), settings)


async def _read(sessions: Sessions, task_id: UUID, principal: Principal) -> HumanTask:
    """The task; those about their own application are nobody's business."""
    async with sessions() as session:
        found = await session.execute(select(HumanTask).where(col(HumanTask.id) == task_id, *not_about_own(principal)))
        task = found.scalar_one_or_none()
    if task is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such task.")
    return task


async def _reviewed(sessions: Sessions, task: HumanTask, principal: Principal) -> TutorApplication:
    async with sessions() as session:
        return await reviewed_application(session, task.subject_id, principal)


async def _require_may_decide(sessions: Sessions, task: HumanTask, principal: Principal) -> None:
    """Reviews are for reviewers, who are people; everything else is for all of the academy."""
    if _is_review(task):
        await _reviewed(sessions, task, principal)
