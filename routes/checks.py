"""Checks of the record against Stripe, the mail ledger and the jobs: their runs, what they found, and its workbook."""

from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ARRAY, Uuid, any_, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.files import FileMissingError
from activities.findings_workbook import workbook_key
from activities.spreadsheet_cells import WORKBOOK_MEDIA_TYPE
from models.errors import Reason
from models.tables import CheckRun, CheckRunFinding, Finding, Order
from models.vocabulary import CheckKind, CheckStatus, FindingKind, FindingStatus, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, matching, page_of, sorted_page, total_of
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.runs import web_address
from routes.stored_files import IfNoneMatch, file_answer, file_answers
from routes.tokens import Principal

router = APIRouter(prefix="/v1", tags=["checks"], route_class=AuthenticatedRoute)

_ByStaff = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))]
_USUAL = (*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE)
_LISTED = (*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE)
_CHECKS_BY = {"created_at": col(CheckRun.created_at)}
_FINDINGS_BY = {"opened_at": col(Finding.opened_at), "updated_at": col(Finding.updated_at)}


class CheckView(BaseModel):
    """One run of a check."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    kind: CheckKind
    scope: str = Field(description="a word of the check's own, e.g. `recent` or `nightly`")
    status: CheckStatus
    looked_from: datetime | None
    looked_until: datetime | None
    counts: dict[str, int] = Field(description="what was looked at, found, told to a job, asked of a person")
    created_at: datetime
    ended_at: datetime | None
    has_workbook: bool
    job_url: str = Field(description="where operators see the run")


class FindingView(BaseModel):
    """Something that a check has found wrong; amounts in minor units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    found_by: CheckKind
    kind: FindingKind
    status: FindingStatus
    subject_kind: str
    subject_id: UUID
    order_number: str | None = Field(description="where it is about an order")
    stripe_id: str | None
    reason: str
    currency: str | None
    expected_amount: int | None = Field(description="by the record")
    found_amount: int | None = Field(description="by Stripe")
    times: int = Field(description="how often it came up after it was settled, and the first time")
    opened_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    job_url: str | None = Field(description="where operators see the job that it is about")


class CheckQuery(PageQuery):
    """Which runs to list."""

    sort: Literal["created_at", "created_at:desc"] = "created_at:desc"
    kind: CheckKind | None = None
    status: CheckStatus | None = None


class FindingQuery(PageQuery):
    """Which findings to list."""

    sort: Literal["opened_at", "opened_at:desc", "updated_at", "updated_at:desc"] = "opened_at:desc"
    status: FindingStatus | None = None
    kind: FindingKind | None = None
    found_by: CheckKind | None = None
    check_id: UUID | None = Field(default=None, description="those that this run has found")


_CHECK = CheckView(
    id=UUID("7c1f2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    kind=CheckKind.RECONCILIATION,
    scope="nightly",
    status=CheckStatus.DONE,
    looked_from=datetime(2026, 3, 3, 1, 30, tzinfo=UTC),
    looked_until=datetime(2026, 3, 10, 1, 20, tzinfo=UTC),
    counts={"orders": 1000, "found": 3, "healing": 2, "told": 2, "asked": 1},
    created_at=datetime(2026, 3, 10, 1, 30, tzinfo=UTC),
    ended_at=datetime(2026, 3, 10, 1, 31, tzinfo=UTC),
    has_workbook=True,
    job_url="http://127.0.0.1:8233/namespaces/default/workflows/reconcile-nightly-2026-03-10T01%3A30%3A00Z",
)
_FINDING = FindingView(
    id=UUID("5a6e6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    found_by=CheckKind.RECONCILIATION,
    kind=FindingKind.AMOUNT_MISMATCH,
    status=FindingStatus.OPEN,
    subject_kind="order",
    subject_id=UUID("5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    order_number="O-2026-000042",
    stripe_id="pi_1a2b3c",
    reason="49.00 EUR came in at Stripe, the record of the order has 48.00 EUR.",
    currency="EUR",
    expected_amount=4800,
    found_amount=4900,
    times=1,
    opened_at=datetime(2026, 3, 10, 1, 30, tzinfo=UTC),
    settled_at=None,
    settled_by=None,
    job_url="http://127.0.0.1:8233/namespaces/default/workflows/order-5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21",
)


@router.get(
    "/checks",
    summary="List runs of checks",
    responses={
        **answer(HTTPStatus.OK, "One page of runs", example_page(_CHECK), LIST_HEADERS),
        **problems(*_LISTED),
    },
)
async def get_checks(
    asked: Annotated[CheckQuery, Query()],
    _principal: _ByStaff,
    parts: TheParts,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[CheckView]:
    """Newest first."""
    found = select(CheckRun).where(*matching((col(CheckRun.kind), asked.kind), (col(CheckRun.status), asked.status)))
    page = sorted_page(found, asked, asked.sort, _CHECKS_BY, col(CheckRun.id))
    async with connections.sessions() as session:
        total = await total_of(session, found)
        runs = (await session.execute(page)).scalars().all()
    return page_of(request, response, asked, [_check_view(run, parts) for run in runs], total)


@router.get(
    "/checks/{check_id}",
    summary="Read a run of a check",
    responses={**answer(HTTPStatus.OK, "The run", _CHECK), **problems(*_USUAL)},
)
async def get_check(check_id: UUID, _principal: _ByStaff, parts: TheParts, connections: TheConnections) -> CheckView:
    """What it looked at, and what it came to."""
    async with connections.sessions() as session:
        return _check_view(await _run(session, check_id), parts)


@router.get(
    "/checks/{check_id}/findings.xlsx",
    summary="Download what a run has found",
    response_class=Response,
    responses={
        **file_answers("The workbook, a line for each finding", [WORKBOOK_MEDIA_TYPE], "PK…"),
        **problems(*_USUAL, Reason.DOCUMENT_NOT_READY),
    },
)
async def get_check_findings_workbook(
    check_id: UUID,
    _principal: _ByStaff,
    parts: TheParts,
    connections: TheConnections,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Of the runs at night, once they are over; as the findings stood then."""
    async with connections.sessions() as session:
        run = await _run(session, check_id)
    not_ready = ProblemError(Reason.DOCUMENT_NOT_READY, "The run has no workbook, or not yet.")
    if run.workbook_sha256 is None:
        raise not_ready
    try:
        return await file_answer(
            parts.files,
            workbook_key(check_id),
            run.workbook_sha256,
            media_type=WORKBOOK_MEDIA_TYPE,
            disposition=f'attachment; filename="findings-{run.created_at:%Y-%m-%d}.xlsx"',
            if_none_match=if_none_match,
        )
    except FileMissingError:
        raise not_ready from None


@router.get(
    "/findings",
    summary="List what checks have found",
    responses={
        **answer(HTTPStatus.OK, "One page of findings", example_page(_FINDING), LIST_HEADERS),
        **problems(*_LISTED),
    },
)
async def get_findings(
    asked: Annotated[FindingQuery, Query()],
    _principal: _ByStaff,
    parts: TheParts,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[FindingView]:
    """Newest first. A finding is decided through its task."""
    found = select(Finding).where(
        *matching(
            (col(Finding.status), asked.status),
            (col(Finding.kind), asked.kind),
            (col(Finding.found_by), asked.found_by),
        )
    )
    if asked.check_id is not None:
        of_run = select(col(CheckRunFinding.finding_id)).where(col(CheckRunFinding.run_id) == asked.check_id)
        found = found.where(col(Finding.id).in_(of_run))
    page = sorted_page(found, asked, asked.sort, _FINDINGS_BY, col(Finding.id))
    async with connections.sessions() as session:
        total = await total_of(session, found)
        rows = (await session.execute(page)).scalars().all()
        numbers = await _numbers(session, rows)
    views = [_finding_view(row, numbers.get(row.subject_id), parts) for row in rows]
    return page_of(request, response, asked, views, total)


async def _run(session: AsyncSession, check_id: UUID) -> CheckRun:
    run = await session.get(CheckRun, check_id)
    if run is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such run of a check.")
    return run


async def _numbers(session: AsyncSession, rows: Iterable[Finding]) -> dict[UUID, str]:
    """The numbers of the orders that they are about."""
    orders = [row.subject_id for row in rows if row.subject_kind == "order"]
    query = select(col(Order.id), col(Order.number)).where(col(Order.id) == any_(literal(orders, ARRAY(Uuid))))
    return {row[0]: row[1] for row in await session.execute(query)}


def _check_view(run: CheckRun, parts: TheParts) -> CheckView:
    return CheckView(
        id=run.id,
        kind=CheckKind(run.kind),
        scope=run.scope,
        status=CheckStatus(run.status),
        looked_from=run.looked_from,
        looked_until=run.looked_until,
        counts=run.counts,
        created_at=run.created_at,
        ended_at=run.ended_at,
        has_workbook=run.workbook_sha256 is not None,
        job_url=web_address(parts.settings, run.workflow_id),
    )


def _finding_view(row: Finding, order_number: str | None, parts: TheParts) -> FindingView:
    return FindingView(
        id=row.id,
        found_by=CheckKind(row.found_by),
        kind=FindingKind(row.kind),
        status=FindingStatus(row.status),
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        order_number=order_number,
        stripe_id=row.stripe_id,
        reason=row.reason,
        currency=row.currency,
        expected_amount=row.expected_amount,
        found_amount=row.found_amount,
        times=row.times,
        opened_at=row.opened_at,
        settled_at=row.settled_at,
        settled_by=row.settled_by,
        job_url=None if row.job_id is None else web_address(parts.settings, row.job_id),
    )
