"""Certificates for many learners of a course: tried out, started, watched, canceled, and their result."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.certificate_batches import workbook_key
from activities.certificate_eligibility import MAX_LEARNERS, BatchSelection, batch_preview
from activities.database import Sessions
from activities.files import FileMissingError
from activities.spreadsheet_cells import WORKBOOK_MEDIA_TYPE
from models.errors import Reason
from models.identifiers import certificate_batch_id_for
from models.messages.certificates import BatchRequest
from models.moments import Moment
from models.tables import CertificateBatch, CertificateBatchLine, Course
from models.vocabulary import BatchOutcome, BatchStatus, CertificateGround, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.certificate_start import cancel_batch, end_lost_batch, start_batch
from routes.documentation import answer, location_header, problems
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, matching, page_of, sorted_page, total_of
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.stored_files import IfNoneMatch, file_answer, file_answers
from routes.tokens import Principal
from routes.validation import idempotency_header
from rules.decision import Refused

router = APIRouter(prefix="/v1", tags=["certificates"], route_class=AuthenticatedRoute)

# Ten thousand ids are more than what is posted elsewhere.
UPLOADS = {re.compile(r"/v1/courses/[^/]+/certificates"): 1_500_000}

_ByStaff = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))]
_SORTABLE = {"created_at": col(CertificateBatch.created_at)}
_USUAL = (*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE)


class BatchBody(BaseModel):
    """For whom: these enrollments, those of a span of time, or all of the course."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enrollment_ids: tuple[UUID, ...] = Field(default=(), max_length=MAX_LEARNERS)
    enrolled_from: Moment | None = None
    enrolled_until: Moment | None = Field(default=None, description="not included")

    @model_validator(mode="after")
    def _either_a_list_or_a_span(self) -> Self:
        if self.enrollment_ids and (self.enrolled_from is not None or self.enrolled_until is not None):
            raise PydanticCustomError("refused_here", "Name enrollments, or a span of time, not both.")
        if self.enrolled_from and self.enrolled_until and self.enrolled_from >= self.enrolled_until:
            raise PydanticCustomError("refused_here", "The span ends before it begins.")
        return self


class BatchPreviewView(BaseModel):
    """What a run would come to now. Nothing was written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total: int
    outcomes: dict[BatchOutcome, int] = Field(description="how many learners would come to what")
    grounds: dict[CertificateGround, int] = Field(description="how often each stands in the way")


class BatchView(BaseModel):
    """A run, and how far it is, in learners."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    course_id: UUID
    status: BatchStatus
    total: int
    done: int = Field(description="had their turn")
    outcomes: dict[BatchOutcome, int]
    grounds: dict[CertificateGround, int] = Field(description="of those who have no certificate yet, the first of each")
    requested_by: str
    created_at: datetime
    ended_at: datetime | None
    has_result: bool = Field(description="whether its workbook is there")


class BatchQuery(PageQuery):
    """Which runs to list."""

    sort: Literal["created_at", "created_at:desc"] = "created_at:desc"
    status: BatchStatus | None = None
    course_id: UUID | None = None


_PREVIEW = BatchPreviewView(
    total=120,
    outcomes={BatchOutcome.ISSUED: 96, BatchOutcome.WAITING: 4, BatchOutcome.NOT_ELIGIBLE: 20},
    grounds={CertificateGround.NOT_COMPLETED: 20, CertificateGround.NAME_UNCONFIRMED: 6},
)
_BATCH = BatchView(
    id=UUID("5a6e6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    course_id=UUID("0198f3a0-1111-7000-8000-000000000001"),
    status=BatchStatus.RUNNING,
    total=120,
    done=100,
    outcomes={BatchOutcome.ISSUED: 80, BatchOutcome.NOT_ELIGIBLE: 20},
    grounds={CertificateGround.NOT_COMPLETED: 20},
    requested_by="staff:frida",
    created_at=datetime(2026, 3, 10, 9, 0, tzinfo=UTC),
    ended_at=None,
    has_result=False,
)
_EXAMPLES: dict[str, Example] = {
    "course": {"summary": "All of the course", "value": {}},
    "cohort": {
        "summary": "Who enrolled in spring",
        "value": {"enrolled_from": "2026-03-01T00:00:00Z", "enrolled_until": "2026-06-01T00:00:00Z"},
    },
    "list": {"summary": "These", "value": {"enrollment_ids": ["0198f3a0-4444-7000-8000-000000000001"]}},
}


@router.post(
    "/courses/{course_id}/certificates",
    status_code=HTTPStatus.ACCEPTED,
    response_model=BatchView | BatchPreviewView,
    summary="Certify many learners of a course",
    responses={
        **answer(HTTPStatus.OK, "What would happen, of a dry run", _PREVIEW),
        **answer(HTTPStatus.ACCEPTED, "It runs", _BATCH, location_header(f"/v1/certificate-batches/{_BATCH.id}")),
        **problems(*_USUAL, Reason.IDEMPOTENCY_KEY_MISSING, Reason.IDEMPOTENCY_KEY_REUSED, Reason.PAYLOAD_TOO_LARGE),
    },
)
async def post_certificates(
    course_id: UUID,
    body: Annotated[BatchBody, Body(openapi_examples=_EXAMPLES)],
    principal: _ByStaff,
    connections: TheConnections,
    response: Response,
    dry_run: Annotated[bool, Query(description="only say what would happen")] = False,
    idempotency_key: Annotated[
        str | None, idempotency_header("the same key is the same run; a dry run needs none")
    ] = None,
) -> BatchView | BatchPreviewView:
    """Up to 10,000 in a run. Each is issued, mailed and looked after by a job of their own; nobody gets two."""
    selection = BatchSelection(course_id, body.enrollment_ids, body.enrolled_from, body.enrolled_until)
    async with connections.sessions() as session:
        if await session.get(Course, course_id) is None:
            raise ProblemError(Reason.NOT_FOUND, "There is no such course.")
        if dry_run:
            preview = await batch_preview(session, selection)
            if isinstance(preview, Refused):
                raise ProblemError(preview.reason, preview.detail)
            response.status_code = HTTPStatus.OK
            return BatchPreviewView(total=preview.total, outcomes=dict(preview.outcomes), grounds=dict(preview.grounds))
        if idempotency_key is None:
            raise ProblemError(Reason.IDEMPOTENCY_KEY_MISSING, "Send an Idempotency-Key header, one per run.")
        batch_id = certificate_batch_id_for(principal.subject, idempotency_key)
        known = await session.get(CertificateBatch, batch_id)
    _require_same(known, selection)
    # One that still runs may have lost its workflow.
    if known is None or known.status == BatchStatus.RUNNING:
        request = BatchRequest(batch_id=batch_id, course_id=course_id, actor=principal.actor, **body.model_dump())
        await start_batch(connections.temporal, request)
        # Of two with the same key at once, the other one may have begun.
        async with connections.sessions() as session:
            _require_same(await session.get(CertificateBatch, batch_id), selection)
    response.headers["Location"] = f"/v1/certificate-batches/{batch_id}"
    return await _read(connections.sessions, batch_id)


@router.get(
    "/certificate-batches",
    summary="List runs over many learners",
    responses={
        **answer(HTTPStatus.OK, "One page of runs", example_page(_BATCH), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_certificate_batches(
    asked: Annotated[BatchQuery, Query()],
    _principal: _ByStaff,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[BatchView]:
    """Newest first, each with how far it is."""
    found = select(CertificateBatch).where(
        *matching((col(CertificateBatch.status), asked.status), (col(CertificateBatch.course_id), asked.course_id))
    )
    page = sorted_page(found, asked, asked.sort, _SORTABLE, col(CertificateBatch.id))
    async with connections.sessions() as session:
        total = await total_of(session, found)
        views = await _views(session, (await session.execute(page)).scalars().all())
    return page_of(request, response, asked, views, total)


@router.get(
    "/certificate-batches/{batch_id}",
    summary="Read a run over many learners",
    responses={**answer(HTTPStatus.OK, "The run", _BATCH), **problems(*_USUAL)},
)
async def get_certificate_batch(batch_id: UUID, _principal: _ByStaff, connections: TheConnections) -> BatchView:
    """How far it is, and what became of those who had their turn."""
    return await _read(connections.sessions, batch_id)


@router.get(
    "/certificate-batches/{batch_id}/result.xlsx",
    summary="Download the result of a run",
    response_class=Response,
    responses={
        **file_answers("The workbook, a line for each learner", [WORKBOOK_MEDIA_TYPE], "PK…"),
        **problems(*_USUAL, Reason.DOCUMENT_NOT_READY),
    },
)
async def get_certificate_batch_result(
    batch_id: UUID,
    _principal: _ByStaff,
    parts: TheParts,
    connections: TheConnections,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Once the run is over."""
    async with connections.sessions() as session:
        batch = await session.get(CertificateBatch, batch_id)
    if batch is None:
        raise _unknown_batch()
    not_ready = ProblemError(Reason.DOCUMENT_NOT_READY, "The run has no result yet.")
    if batch.workbook_sha256 is None:
        raise not_ready
    try:
        return await file_answer(
            parts.files,
            workbook_key(batch_id),
            batch.workbook_sha256,
            media_type=WORKBOOK_MEDIA_TYPE,
            disposition=f'attachment; filename="certificates-{batch.created_at:%Y-%m-%d}.xlsx"',
            if_none_match=if_none_match,
        )
    except FileMissingError:
        raise not_ready from None


@router.post(
    "/certificate-batches/{batch_id}/cancel",
    status_code=HTTPStatus.ACCEPTED,
    summary="Cancel a run over many learners",
    responses={
        **answer(HTTPStatus.ACCEPTED, "The run, which hears of it in a moment", _BATCH),
        **problems(*_USUAL, Reason.BATCH_NOT_RUNNING),
    },
)
async def cancel_certificate_batch(batch_id: UUID, principal: _ByStaff, connections: TheConnections) -> BatchView:
    """Nobody else gets a turn; what is issued stays."""
    batch = await _running(connections.sessions, batch_id)
    if not await cancel_batch(connections.temporal, batch_id):
        # It has just ended, or its workflow was terminated.
        batch = await _running(connections.sessions, batch_id)
        request = BatchRequest(batch_id=batch_id, course_id=batch.course_id, actor=principal.actor)
        await end_lost_batch(connections.temporal, request)
    return batch


async def _running(sessions: Sessions, batch_id: UUID) -> BatchView:
    batch = await _read(sessions, batch_id)
    if batch.status is not BatchStatus.RUNNING:
        raise ProblemError(Reason.BATCH_NOT_RUNNING, "The run is over.")
    return batch


def _require_same(batch: CertificateBatch | None, selection: BatchSelection) -> None:
    if batch is not None and batch.asked_sha256 != selection.digest:
        raise ProblemError(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used with another run.")


async def _read(sessions: Sessions, batch_id: UUID) -> BatchView:
    async with sessions() as session:
        batch = await session.get(CertificateBatch, batch_id)
        if batch is None:
            raise _unknown_batch()
        [view] = await _views(session, [batch])
        return view


async def _views(session: AsyncSession, batches: Sequence[CertificateBatch]) -> list[BatchView]:
    """How far they are, in one statement however many they are."""
    line = CertificateBatchLine
    query = (
        select(col(line.batch_id), col(line.outcome), col(line.ground), func.count())
        .where(col(line.batch_id).in_([batch.id for batch in batches]))
        .group_by(col(line.batch_id), col(line.outcome), col(line.ground))
    )
    totals: Counter[UUID] = Counter()
    outcomes: dict[UUID, Counter[BatchOutcome]] = {batch.id: Counter() for batch in batches}
    grounds: dict[UUID, Counter[CertificateGround]] = {batch.id: Counter() for batch in batches}
    for batch_id, outcome, ground, count in await session.execute(query):
        totals[batch_id] += count
        if outcome is not None:
            outcomes[batch_id][BatchOutcome(outcome)] += count
        if ground is not None:
            grounds[batch_id][CertificateGround(ground)] += count
    return [_view(batch, totals[batch.id], outcomes[batch.id], grounds[batch.id]) for batch in batches]


def _view(
    batch: CertificateBatch, total: int, outcomes: Counter[BatchOutcome], grounds: Counter[CertificateGround]
) -> BatchView:
    return BatchView(
        id=batch.id,
        course_id=batch.course_id,
        status=BatchStatus(batch.status),
        total=total,
        done=outcomes.total(),
        outcomes=dict(outcomes),
        grounds=dict(grounds),
        requested_by=batch.requested_by,
        created_at=batch.created_at,
        ended_at=batch.ended_at,
        has_result=batch.workbook_sha256 is not None,
    )


def _unknown_batch() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such run.")
