"""Enrollments: who has a place in which course."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Row, Select, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.learning_facts import learning_of_many
from models.errors import Reason
from models.tables import Course, Enrollment, OrderLine
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, Judgement, RefundPolicy
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, matching, page_of, sorted_page, total_of
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from rules.completion import percent_done

router = APIRouter(prefix="/v1/enrollments", tags=["enrollments"], route_class=AuthenticatedRoute)

_SORTABLE = {"created_at": col(Enrollment.created_at), "enrolled_at": col(Enrollment.enrolled_at)}


class EnrollmentQuery(PageQuery):
    """Which enrollments to list."""

    sort: Literal["created_at", "created_at:desc", "enrolled_at", "enrolled_at:desc"] = "created_at:desc"
    status: EnrollmentStatus | None = None
    student_id: UUID | None = None
    course_id: UUID | None = None


class EnrollmentView(BaseModel):
    """A student's place in a course."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    status: EnrollmentStatus
    student_id: UUID
    course_id: UUID
    title: str = Field(description="the course's title at purchase")
    order_id: UUID
    refund_policy: RefundPolicy = Field(description="the rule that was in force at purchase")
    enrolled_at: datetime | None = Field(description="when the place became the student's, after payment")
    access_ends_at: datetime | None = Field(description="none while not enrolled, if access is for good, or not begun")
    started_at: datetime | None = Field(description="when the student first began with a lesson")
    completed_at: datetime | None = Field(description="for the first time; it stays until staff's reset begins anew")
    judgement: Judgement | None = Field(description="of staff, where the course is judged")
    progress_percent: int = Field(description="how much is done of what counts for completion")
    paused_until: datetime | None = Field(description="none unless it is paused")
    created_at: datetime


_ENROLLMENT = EnrollmentView(
    id=UUID("0198f3a0-4444-7000-8000-000000000001"),
    status=EnrollmentStatus.ACTIVE,
    student_id=UUID("0198f3a0-2222-7000-8000-000000000001"),
    course_id=UUID("0198f3a0-1111-7000-8000-000000000001"),
    title="Conversational Spanish B1",
    order_id=UUID("5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    refund_policy=RefundPolicy.WINDOW,
    enrolled_at=datetime(2026, 3, 2, 10, 17, tzinfo=UTC),
    access_ends_at=datetime(2026, 8, 29, 10, 17, tzinfo=UTC),
    started_at=datetime(2026, 3, 2, 18, 40, tzinfo=UTC),
    completed_at=None,
    judgement=None,
    progress_percent=25,
    paused_until=None,
    created_at=datetime(2026, 3, 2, 10, 15, tzinfo=UTC),
)


@router.get(
    "",
    summary="List enrollments",
    responses={
        **answer(HTTPStatus.OK, "One page of enrollments", example_page(_ENROLLMENT), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_enrollments(
    asked: Annotated[EnrollmentQuery, Query()],
    principal: Annotated[Principal, Depends(require())],
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[EnrollmentView]:
    """Students see their own, tutors those of their courses too; staff, admin and service see all."""
    conditions = [*_visible_to(principal), *_asked_for(asked)]
    page = sorted_page(_enrollments().where(*conditions), asked, asked.sort, _SORTABLE, col(Enrollment.id))
    async with connections.sessions() as session:
        total = await total_of(session, select(Enrollment).where(*conditions))
        views = await _views(session, (await session.execute(page)).all())
    return page_of(request, response, asked, views, total)


@router.get(
    "/{enrollment_id}",
    summary="Read an enrollment",
    responses={
        **answer(HTTPStatus.OK, "The enrollment", _ENROLLMENT),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_enrollment(
    enrollment_id: UUID, principal: Annotated[Principal, Depends(require())], connections: TheConnections
) -> EnrollmentView:
    """An enrollment the caller may not see is, to them, no enrollment at all."""
    query = _enrollments().where(col(Enrollment.id) == enrollment_id, *_visible_to(principal))
    async with connections.sessions() as session:
        found = await _views(session, (await session.execute(query)).all())
    if not found:
        raise _no_such_enrollment()
    return found[0]


async def require_visible(session: AsyncSession, enrollment_id: UUID, principal: Principal) -> None:
    """Raise `ProblemError` unless there is such an enrollment and the caller may see it."""
    query = select(col(Enrollment.id)).where(col(Enrollment.id) == enrollment_id, *_visible_to(principal))
    if (await session.execute(query)).first() is None:
        raise _no_such_enrollment()


def _no_such_enrollment() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such enrollment, or it is not yours.")


def _enrollments() -> Select[*tuple[Any, ...]]:
    return select(Enrollment, OrderLine).join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))


def _visible_to(principal: Principal) -> list[ColumnElement[bool]]:
    if principal.is_staff:
        return []
    teaches = exists().where(col(Course.id) == col(Enrollment.course_id), col(Course.tutor_id) == principal.person_id)
    return [or_(col(Enrollment.student_id) == principal.person_id, teaches)]


def _asked_for(asked: EnrollmentQuery) -> list[ColumnElement[bool]]:
    return matching(
        (col(Enrollment.status), asked.status),
        (col(Enrollment.student_id), asked.student_id),
        (col(Enrollment.course_id), asked.course_id),
    )


async def _views(session: AsyncSession, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[EnrollmentView]:
    """What there is to say of them, in as many statements however many they are."""
    learning, moment = await learning_of_many(session, [enrollment.id for enrollment, _ in rows]), now()
    views = []
    for enrollment, line in rows:
        learned = learning[enrollment.id]
        pause = learned.open_pause(moment)
        views.append(
            EnrollmentView(
                id=enrollment.id,
                status=EnrollmentStatus(enrollment.status),
                student_id=enrollment.student_id,
                course_id=enrollment.course_id,
                title=line.title,
                order_id=line.order_id,
                refund_policy=RefundPolicy(enrollment.refund_policy),
                enrolled_at=enrollment.enrolled_at,
                access_ends_at=enrollment.access_ends_at,
                started_at=enrollment.started_at,
                completed_at=enrollment.completed_at,
                judgement=enrollment.judgement and Judgement(enrollment.judgement),
                progress_percent=percent_done(learned.results()),
                paused_until=pause and pause.until,
                created_at=enrollment.created_at,
            )
        )
    return views
