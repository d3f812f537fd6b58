"""Who reviews applications, and whether they are there."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row, Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.application_record import is_reviewer
from activities.audit import StateChange, write_audit
from models.errors import Reason
from models.tables import Person, Reviewer, TutorApplication
from models.tables.columns import now
from models.vocabulary import Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, page_of, sorted_page
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from rules.tutor_application import WITH_REVIEWERS

router = APIRouter(prefix="/v1/reviewers", tags=["reviewers"], route_class=AuthenticatedRoute)

_MayReview = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))]
_SORTABLE = {"name": col(Person.full_name), "last_assigned_at": col(Reviewer.last_assigned_at)}
_AWAY, _PRESENT = "away", "present"


class ReviewerView(BaseModel):
    """Somebody who reviews applications."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person_id: UUID
    name: str
    is_away: bool
    away_since: datetime | None
    last_assigned_at: datetime | None = Field(description="who waits longest is next")
    applications: int = Field(description="that they look after now")


class ReviewerQuery(PageQuery):
    """Which reviewers to list."""

    sort: Literal["name", "name:desc", "last_assigned_at", "last_assigned_at:desc"] = "name"
    is_away: bool | None = None


class PresenceBody(BaseModel):
    """Whether a reviewer is there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    is_away: bool


_EXAMPLE = ReviewerView(
    person_id=UUID("0198f3a0-2222-7000-8000-000000000009"),
    name="Rosa Reviewer",
    is_away=False,
    away_since=None,
    last_assigned_at=datetime(2026, 3, 9, 8, 30, tzinfo=UTC),
    applications=4,
)


@router.get(
    "",
    summary="List reviewers",
    responses={
        **answer(HTTPStatus.OK, "One page of reviewers", example_page(_EXAMPLE), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_A_REVIEWER, Reason.UNAVAILABLE),
    },
)
async def get_reviewers(
    asked: Annotated[ReviewerQuery, Query()],
    principal: _MayReview,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[ReviewerView]:
    """For reviewers, who give applications to each other."""
    found = _reviewers()
    if asked.is_away is not None:
        is_away = col(Reviewer.away_since).is_not(None)
        found = found.where(is_away if asked.is_away else ~is_away)
    async with connections.sessions() as session:
        await _require_reviewer(session, principal)
        count = found.with_only_columns(func.count(), maintain_column_froms=True)
        total = (await session.execute(count)).scalar_one()
        page = await session.execute(sorted_page(found, asked, asked.sort, _SORTABLE, col(Reviewer.person_id)))
    return page_of(request, response, asked, _views(page.all()), total)


@router.put(
    "/{person_id}",
    summary="Say whether a reviewer is there",
    responses={
        **answer(HTTPStatus.OK, "The reviewer", _EXAMPLE),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_A_REVIEWER,
            Reason.NOT_YOURS,
            Reason.UNKNOWN_PERSON,
            Reason.UNAVAILABLE,
        ),
    },
)
async def put_reviewer(
    person_id: UUID,
    body: Annotated[
        PresenceBody,
        Body(
            openapi_examples={
                "away": {"summary": "Away from now on", "value": {"is_away": True}},
                "back": {"summary": "Back", "value": {"is_away": False}},
            }
        ),
    ],
    principal: _MayReview,
    connections: TheConnections,
) -> ReviewerView:
    """Reviewers for themselves; an admin for everybody, and for somebody new, who reviews from then on.

    What lies with who is away for two working days goes to others.
    """
    is_admin = Role.ADMIN in principal.roles
    async with connections.sessions.begin() as session:
        await _require_reviewer(session, principal)
        if not is_admin and person_id != principal.person_id:
            raise ProblemError(Reason.NOT_YOURS, "Only an admin says it for somebody else.")
        if await session.get(Person, person_id) is None:
            raise ProblemError(Reason.UNKNOWN_PERSON, "There is no such person.")
        await _write(session, person_id, body.is_away, principal)
        await session.flush()
        row = await session.execute(_reviewers().where(col(Reviewer.person_id) == person_id))
        return _views([row.one()])[0]


async def _require_reviewer(session: AsyncSession, principal: Principal) -> None:
    if not await is_reviewer(session, principal.actor):
        raise ProblemError(Reason.NOT_A_REVIEWER, "This is for those who review applications.")


async def _write(session: AsyncSession, person_id: UUID, is_away: bool, principal: Principal) -> None:
    added = await session.execute(
        insert(Reviewer)
        .values(person_id=person_id, updated_at=now())
        .on_conflict_do_nothing()
        .returning(col(Reviewer.person_id))
    )
    is_new = added.first() is not None
    reviewer = await session.get_one(Reviewer, person_id, with_for_update=True)
    before = None if is_new else _AWAY if reviewer.away_since is not None else _PRESENT
    after = _AWAY if is_away else _PRESENT
    if before == after:
        return
    reviewer.away_since = now() if is_away else None
    reviewer.updated_at = now()
    change = StateChange("reviewer", person_id, before, after)
    await write_audit(session, [change], actor=principal.actor, reason=after, workflow_id=None)


def _reviewers() -> Select[*tuple[Any, ...]]:
    applications = (
        select(func.count())
        .where(
            col(TutorApplication.reviewer_id) == col(Reviewer.person_id),
            col(TutorApplication.status).in_(WITH_REVIEWERS),
        )
        .scalar_subquery()
    )
    return select(Reviewer, col(Person.full_name), applications).join(Person, col(Person.id) == col(Reviewer.person_id))


def _views(rows: Sequence[Row[*tuple[Any, ...]]]) -> list[ReviewerView]:
    return [
        ReviewerView(
            person_id=reviewer.person_id,
            name=name,
            is_away=reviewer.away_since is not None,
            away_since=reviewer.away_since,
            last_assigned_at=reviewer.last_assigned_at,
            applications=applications,
        )
        for reviewer, name, applications in rows
    ]
