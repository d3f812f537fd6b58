"""Enrollments: who has a place in which course."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Row, Select, exists, or_, select
from sqlmodel import col

from models.errors import Reason
from models.tables import Course, Enrollment, OrderLine
from models.vocabulary import EnrollmentStatus, RefundPolicy
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, matching, page_of, sorted_page, total_of
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal

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
    access_ends_at: datetime | None = Field(description="none while not enrolled, or if access is for good")
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
        rows = (await session.execute(page)).all()
    return page_of(request, response, asked, map(_view, rows), total)


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
        row = (await session.execute(query)).one_or_none()
    if row is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such enrollment, or it is not yours.")
    return _view(row)


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


def _view(row: Row[*tuple[Any, ...]]) -> EnrollmentView:
    enrollment, line = row
    return EnrollmentView(
        id=enrollment.id,
        status=EnrollmentStatus(enrollment.status),
        student_id=enrollment.student_id,
        course_id=enrollment.course_id,
        title=line.title,
        order_id=line.order_id,
        refund_policy=RefundPolicy(enrollment.refund_policy),
        enrolled_at=enrollment.enrolled_at,
        access_ends_at=enrollment.access_ends_at,
        created_at=enrollment.created_at,
    )
