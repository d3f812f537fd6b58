"""By which templates a course certifies, and for how long."""

from http import HTTPStatus
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import select
from sqlmodel import col

from activities.certificate_templates import AssignedTemplate, assign_templates
from activities.database import Sessions
from models.errors import Reason
from models.messages.certificates import MAX_TEMPLATES
from models.tables import Course, CourseCertificate
from models.vocabulary import Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal

router = APIRouter(prefix="/v1", tags=["certificates"], route_class=AuthenticatedRoute)

_MayRead = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))]
_MayWrite = Annotated[Principal, Depends(require(Role.ADMIN))]
_USUAL = (*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE)


class CourseTemplate(BaseModel):
    """That a course certifies by a template."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    template_id: UUID
    valid_days: int | None = Field(default=None, ge=1, le=36_500, description="none: its certificates never expire")
    grace_days: int = Field(default=0, ge=0, le=3_650, description="after that, in which they can still be renewed")
    series: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,7}$")] = Field(
        default="CERT", description="first part of their numbers"
    )

    @model_validator(mode="after")
    def _grace_follows_an_end(self) -> Self:
        if self.grace_days and self.valid_days is None:
            raise PydanticCustomError("refused_here", "What never expires has no days of grace.")
        return self


class CourseTemplates(BaseModel):
    """All templates by which a course certifies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    templates: tuple[CourseTemplate, ...] = Field(max_length=MAX_TEMPLATES)


_OF_COURSE = CourseTemplates(
    templates=(
        CourseTemplate(
            template_id=UUID("0198f3a0-8888-7000-8000-000000000001"), valid_days=365, grace_days=30, series="SPA"
        ),
    )
)


@router.get(
    "/courses/{course_id}/certificate-templates",
    summary="Read by which templates a course certifies",
    responses={**answer(HTTPStatus.OK, "The templates", _OF_COURSE), **problems(*_USUAL)},
)
async def get_course_templates(course_id: UUID, _principal: _MayRead, connections: TheConnections) -> CourseTemplates:
    """With their validity; none if the course does not certify."""
    return await _of_course(connections.sessions, course_id)


@router.put(
    "/courses/{course_id}/certificate-templates",
    summary="Say by which templates a course certifies",
    responses={
        **answer(HTTPStatus.OK, "The templates", _OF_COURSE),
        **problems(*_USUAL, Reason.PAYLOAD_TOO_LARGE),
    },
)
async def put_course_templates(
    course_id: UUID,
    body: Annotated[
        CourseTemplates,
        Body(
            openapi_examples={
                "year": {"summary": "Valid for a year", "value": _OF_COURSE.model_dump(mode="json")},
                "none": {"summary": "It does not certify", "value": {"templates": []}},
            }
        ),
    ],
    principal: _MayWrite,
    connections: TheConnections,
) -> CourseTemplates:
    """All of them at once. What is issued stays as it is; who has completed the course before can be certified now."""
    assigned = [AssignedTemplate(**each.model_dump()) for each in body.templates]
    async with connections.sessions.begin() as session:
        refused = await assign_templates(session, course_id, assigned, actor=principal.actor)
        if refused is not None:
            reason = Reason.NOT_FOUND if refused.reason is Reason.UNKNOWN_COURSE else refused.reason
            raise ProblemError(reason, refused.detail)
    return await _of_course(connections.sessions, course_id)


async def _of_course(sessions: Sessions, course_id: UUID) -> CourseTemplates:
    query = select(CourseCertificate).where(col(CourseCertificate.course_id) == course_id)
    async with sessions() as session:
        if await session.get(Course, course_id) is None:
            raise ProblemError(Reason.NOT_FOUND, "There is no such course.")
        rows = (await session.execute(query.order_by(col(CourseCertificate.template_id)))).scalars().all()
    return CourseTemplates(templates=tuple(CourseTemplate.model_validate(row) for row in rows))
