"""Ending many places at once: previewed, started, watched, paused."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.cascade_preview import preview_cascade
from activities.cascades import counts_of
from activities.database import Sessions
from activities.refund_record import GOES_BACK
from models.errors import Reason
from models.identifiers import cascade_id_for
from models.messages.cascades import CascadeCount, CascadeWish
from models.money import Money
from models.tables import Cascade, CascadePlace, Course, Note, Person, Refund
from models.vocabulary import CascadeKind, CascadeStatus, RefundShare, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.cascade_start import keep_reason, start_cascade, tell_cascade
from routes.documentation import answer, location_header, problems
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, matching, page_of, sorted_page, total_of
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from routes.validation import NoteText, idempotency_header
from workflows.cascade import CascadeWorkflow

router = APIRouter(prefix="/v1/cascades", tags=["cascades"], route_class=AuthenticatedRoute)

_SORTABLE = {"created_at": col(Cascade.created_at)}
_MayStart = Annotated[Principal, Depends(require(Role.ADMIN, Role.SERVICE))]
_MayRead = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))]


class CascadeBody(BaseModel):
    """Who or what is gone, and why. The reason is mailed to the students."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: CascadeKind
    tutor_id: UUID | None = Field(default=None, description="where a tutor is banned or suspended")
    course_id: UUID | None = Field(default=None, description="where a course is removed")
    share: Literal[RefundShare.FULL, RefundShare.PRO_RATA] = Field(
        default=RefundShare.PRO_RATA, description="all that was paid, or the part of the lessons that were not had"
    )
    reason: Annotated[NoteText, Field(max_length=1000)]
    dry_run: bool = Field(default=False, description="only say what would happen")

    @model_validator(mode="after")
    def _one_is_gone(self) -> Self:
        is_course = self.kind is CascadeKind.COURSE_REMOVED
        if (self.course_id is not None, self.tutor_id is not None) != (is_course, not is_course):
            raise ValueError("name the course that is removed, or else the tutor")
        return self


class MoneyView(BaseModel):
    """An amount."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: int = Field(description="minor units")
    currency: str
    money: str = Field(description="the amount as people write it, in English")


class CascadePreviewView(BaseModel):
    """What a cascade would do now. Nothing was written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    places: dict[str, int] = Field(description="how many enrollments would end, by their state")
    orders_to_cancel: int = Field(description="orders that are not paid; cancelled as a whole")
    amounts: tuple[MoneyView, ...] = Field(description="what would go back, by currency")


class CascadeView(BaseModel):
    """A cascade and how far it is, in places."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    kind: CascadeKind
    tutor_id: UUID | None
    course_id: UUID | None
    share: RefundShare
    status: CascadeStatus
    reason: str = Field(description="as it is mailed to the students")
    requested_by: str
    total: int
    ended: int
    waiting: int = Field(description="ended, with money that a person has to see to")
    left: int
    refunded: tuple[MoneyView, ...] = Field(description="what goes back so far, by currency")
    created_at: datetime
    ended_at: datetime | None


class CascadeQuery(PageQuery):
    """Which cascades to list."""

    sort: Literal["created_at", "created_at:desc"] = "created_at:desc"
    status: CascadeStatus | None = None


def _money(amounts: Mapping[str, int]) -> tuple[MoneyView, ...]:
    return tuple(
        MoneyView(amount=amount, currency=currency, money=Money(amount=amount, currency=currency).format())
        for currency, amount in sorted(amounts.items())
    )


_PREVIEW = CascadePreviewView(
    places={"active": 31, "pending_payment": 2}, orders_to_cancel=2, amounts=_money({"EUR": 418500})
)
_CASCADE = CascadeView(
    id=UUID("5a6e6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    kind=CascadeKind.COURSE_REMOVED,
    tutor_id=None,
    course_id=UUID("0198f3a0-1111-7000-8000-000000000001"),
    share=RefundShare.PRO_RATA,
    status=CascadeStatus.RUNNING,
    reason="The course has to close for want of a room.",
    requested_by="admin:frida",
    total=33,
    ended=20,
    waiting=1,
    left=12,
    refunded=_money({"EUR": 274500}),
    created_at=datetime(2026, 3, 10, 9, 0, tzinfo=UTC),
    ended_at=None,
)
_EXAMPLE = {
    "kind": "course_removed",
    "course_id": str(_CASCADE.course_id),
    "reason": "The course has to close for want of a room.",
}


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    response_model=CascadeView | CascadePreviewView,
    summary="End all places of a tutor or a course",
    responses={
        **answer(HTTPStatus.OK, "What would happen, of a dry run", _PREVIEW),
        **answer(HTTPStatus.ACCEPTED, "It runs", _CASCADE, location_header(f"/v1/cascades/{_CASCADE.id}")),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.IDEMPOTENCY_KEY_REUSED,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.UNKNOWN_COURSE,
            Reason.UNKNOWN_PERSON,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_cascade(
    body: Annotated[
        CascadeBody,
        Body(
            openapi_examples={
                "run": {"summary": "A course is removed", "value": _EXAMPLE},
                "dry_run": {"summary": "What would happen", "value": {**_EXAMPLE, "dry_run": True}},
            }
        ),
    ],
    idempotency_key: Annotated[str, idempotency_header("the same key is the same cascade")],
    principal: _MayStart,
    connections: TheConnections,
    response: Response,
) -> CascadeView | CascadePreviewView:
    """Everything goes off sale at once; orders that are not paid are cancelled; what was paid goes back, a few places
    at a time. The reason is written down once and mailed to the students.
    """
    await _require_known(connections.sessions, body)
    if body.dry_run:
        response.status_code = HTTPStatus.OK
        return await _preview(connections.sessions, body)
    cascade_id = cascade_id_for(principal.subject, idempotency_key)
    await _require_same(connections.sessions, cascade_id, body)
    await keep_reason(connections.sessions, cascade_id, principal.actor, body.reason)
    wish = CascadeWish(
        cascade_id=cascade_id,
        kind=body.kind,
        tutor_id=body.tutor_id,
        course_id=body.course_id,
        share=body.share,
        actor=principal.actor,
    )
    await start_cascade(connections.temporal, wish)
    response.headers["Location"] = f"/v1/cascades/{cascade_id}"
    return await _read(connections.sessions, cascade_id)


@router.get(
    "",
    summary="List cascades",
    responses={
        **answer(HTTPStatus.OK, "One page of cascades", example_page(_CASCADE), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_cascades(
    asked: Annotated[CascadeQuery, Query()],
    principal: _MayRead,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[CascadeView]:
    """Newest first, each with how far it is."""
    found = select(Cascade).where(*matching((col(Cascade.status), asked.status)))
    page = sorted_page(found, asked, asked.sort, _SORTABLE, col(Cascade.id))
    async with connections.sessions() as session:
        total = await total_of(session, found)
        views = await _views(session, (await session.execute(page)).scalars().all())
    return page_of(request, response, asked, views, total)


@router.get(
    "/{cascade_id}",
    summary="Read a cascade",
    responses={
        **answer(HTTPStatus.OK, "The cascade", _CASCADE),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_cascade(cascade_id: UUID, principal: _MayRead, connections: TheConnections) -> CascadeView:
    """How far it is, and what goes back so far."""
    return await _read(connections.sessions, cascade_id)


_TOLD = {
    **answer(HTTPStatus.ACCEPTED, "The cascade, which hears of it in a moment", _CASCADE),
    **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.CASCADE_NOT_RUNNING, Reason.UNAVAILABLE),
}


@router.post("/{cascade_id}/pause", status_code=HTTPStatus.ACCEPTED, summary="Pause a cascade", responses=_TOLD)
async def pause_cascade(cascade_id: UUID, principal: _MayStart, connections: TheConnections) -> CascadeView:
    """Nothing new is started; what is under way ends."""
    cascade = await _read(connections.sessions, cascade_id)
    await tell_cascade(connections.temporal, cascade_id, CascadeWorkflow.pause, principal.actor)
    return cascade


@router.post("/{cascade_id}/resume", status_code=HTTPStatus.ACCEPTED, summary="Go on after a pause", responses=_TOLD)
async def resume_cascade(cascade_id: UUID, principal: _MayStart, connections: TheConnections) -> CascadeView:
    """It goes on where it was."""
    cascade = await _read(connections.sessions, cascade_id)
    await tell_cascade(connections.temporal, cascade_id, CascadeWorkflow.resume, principal.actor)
    return cascade


async def _require_known(sessions: Sessions, body: CascadeBody) -> None:
    async with sessions() as session:
        if body.course_id is not None and await session.get(Course, body.course_id) is None:
            raise ProblemError(Reason.UNKNOWN_COURSE, "There is no such course.")
        if body.tutor_id is not None and await session.get(Person, body.tutor_id) is None:
            raise ProblemError(Reason.UNKNOWN_PERSON, "There is no such tutor.")


async def _require_same(sessions: Sessions, cascade_id: UUID, body: CascadeBody) -> None:
    async with sessions() as session:
        known = await session.get(Cascade, cascade_id)
    if known is not None and (known.kind, known.tutor_id, known.course_id, known.share) != (
        body.kind, body.tutor_id, body.course_id, body.share,
    ):  # fmt: skip
        raise ProblemError(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used with another request.")


async def _preview(sessions: Sessions, body: CascadeBody) -> CascadePreviewView:
    async with sessions() as session:
        preview = await preview_cascade(session, body.tutor_id, body.course_id, body.share)
    return CascadePreviewView(
        places=dict(preview.places), orders_to_cancel=preview.orders_to_cancel, amounts=_money(preview.amounts)
    )


async def _read(sessions: Sessions, cascade_id: UUID) -> CascadeView:
    async with sessions() as session:
        cascade = await session.get(Cascade, cascade_id)
        if cascade is None:
            raise ProblemError(Reason.NOT_FOUND, "There is no such cascade.")
        [view] = await _views(session, [cascade])
        return view


async def _views(session: AsyncSession, cascades: Sequence[Cascade]) -> list[CascadeView]:
    """What there is to say of them, in three statements however many they are."""
    ids = [cascade.id for cascade in cascades]
    counts = await counts_of(session, ids)
    notes = select(col(Note.id), col(Note.text)).where(col(Note.id).in_(ids))
    reasons: dict[UUID, str] = {row.id: row.text for row in await session.execute(notes)}
    sums = (
        select(col(Cascade.id), col(Refund.currency), func.sum(col(Refund.amount)))
        .join(CascadePlace, col(CascadePlace.cascade_id) == col(Cascade.id))
        .join(Refund, col(Refund.enrollment_id) == col(CascadePlace.enrollment_id))
        .where(
            col(Cascade.id).in_(ids),
            col(Refund.created_at) >= col(Cascade.created_at),
            col(Refund.status).in_(GOES_BACK),
        )
        .group_by(col(Cascade.id), col(Refund.currency))
    )
    refunded: dict[UUID, dict[str, int]] = {cascade_id: {} for cascade_id in ids}
    for cascade_id, currency, amount in (await session.execute(sums)).all():
        refunded[cascade_id][currency] = int(amount)
    return [
        _view(cascade, counts[cascade.id], reasons.get(cascade.id, ""), refunded[cascade.id]) for cascade in cascades
    ]


def _view(cascade: Cascade, count: CascadeCount, reason: str, refunded: Mapping[str, int]) -> CascadeView:
    return CascadeView(
        id=cascade.id,
        kind=CascadeKind(cascade.kind),
        tutor_id=cascade.tutor_id,
        course_id=cascade.course_id,
        share=RefundShare(cascade.share),
        status=CascadeStatus(cascade.status),
        reason=reason,
        requested_by=cascade.requested_by,
        total=count.total,
        ended=count.ended,
        waiting=count.waiting,
        left=count.left,
        refunded=_money(refunded),
        created_at=cascade.created_at,
        ended_at=cascade.ended_at,
    )
