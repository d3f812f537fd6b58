"""What can be taught."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlmodel import col

from models.errors import Reason
from models.tables import Subject
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, page_of, sorted_page, total_of
from routes.parts import TheConnections
from routes.tokens import Principal

router = APIRouter(prefix="/v1/subjects", tags=["subjects"], route_class=AuthenticatedRoute)

_SORTABLE = {"title": col(Subject.title), "code": col(Subject.code)}


class SubjectView(BaseModel):
    """A subject, and what somebody has to show who wants to teach it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    title: str
    requires_certification: bool = Field(description="a certification for this very subject")
    requires_video: bool = Field(description="a video in which the applicant teaches")
    is_open: bool = Field(description="whether tutors are looked for")


class SubjectQuery(PageQuery):
    """Which subjects to list."""

    sort: Literal["title", "title:desc", "code", "code:desc"] = "title"
    is_open: bool | None = None


_EXAMPLE = SubjectView(code="spanish", title="Spanish", requires_certification=True, requires_video=True, is_open=True)


@router.get(
    "",
    summary="List subjects",
    responses={
        **answer(HTTPStatus.OK, "One page of subjects", example_page(_EXAMPLE), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_subjects(
    asked: Annotated[SubjectQuery, Query()],
    principal: Annotated[Principal, Depends(require())],
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[SubjectView]:
    """What each asks for, and whether tutors are looked for."""
    found = select(Subject).where(*([] if asked.is_open is None else [col(Subject.is_open).is_(asked.is_open)]))
    async with connections.sessions() as session:
        total = await total_of(session, found)
        page = await session.execute(sorted_page(found, asked, asked.sort, _SORTABLE, col(Subject.code)))
    views = [SubjectView.model_validate(subject.model_dump()) for subject in page.scalars()]
    return page_of(request, response, asked, views, total)
