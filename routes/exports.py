"""Exports: described, started, listed, watched and canceled."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.openapi.models import Example
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.database import Sessions
from activities.export_listings import LISTINGS
from models.errors import Reason
from models.identifiers import export_id_for
from models.messages.exports import ExportFilters, ExportRequest
from models.tables import Export
from models.vocabulary import ExportFormat, ExportReport, ExportStatus, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, location_header, problems
from routes.export_start import cancel_export, end_lost_export, start_export
from routes.export_views import (
    EXPORT,
    REPORT,
    ExportBody,
    ExportQuery,
    ExportView,
    ReportsView,
    ReportView,
    export_view,
    report_view,
)
from routes.pagination import LIST_HEADERS, Page, example_page, matching, page_of, sorted_page, total_of
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from routes.validation import InvalidField, idempotency_header
from rules.exports import REPORTS, reports_of, wrong_filters

router = APIRouter(prefix="/v1/exports", tags=["exports"], route_class=AuthenticatedRoute)

ByStaff = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))]
USUAL = (*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE)

_SORTABLE = {"created_at": col(Export.created_at)}
_ANY_ZONE = ZoneInfo("UTC")
_EXAMPLES: dict[str, Example] = {
    "orders": {
        "summary": "The orders of a month as a workbook",
        "value": {
            "report": "orders",
            "format": "xlsx",
            "filters": {"date_from": "2026-03-01", "date_until": "2026-04-01", "statuses": ["completed"]},
        },
    },
    "users": {"summary": "Everybody who is known, for a program", "value": {"report": "users", "format": "csv"}},
    "sales": {
        "summary": "A sales report with charts",
        "value": {
            "report": "sales",
            "format": "pdf",
            "filters": {"date_from": "2026-03-01", "date_until": "2026-04-01"},
        },
    },
}


@router.get(
    "/reports",
    summary="List what can be exported",
    responses={
        **answer(HTTPStatus.OK, "What the caller may export", ReportsView(items=(REPORT,))),
        **problems(*REFUSALS, Reason.UNAVAILABLE),
    },
)
async def get_reports(principal: ByStaff, connections: TheConnections) -> ReportsView:
    """Columns, filters and formats of each report, with the academy's own fields among the columns."""
    async with connections.sessions() as session:
        return ReportsView(items=tuple([await _described(session, each) for each in reports_of(principal.roles)]))


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    summary="Export what is on record",
    responses={
        **answer(HTTPStatus.ACCEPTED, "It is being written", EXPORT, location_header(f"/v1/exports/{EXPORT.id}")),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.IDEMPOTENCY_KEY_REUSED,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.FORMAT_NOT_AVAILABLE,
            Reason.TOO_MANY_ROWS,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_export(
    body: Annotated[ExportBody, Body(openapi_examples=_EXAMPLES)],
    principal: ByStaff,
    connections: TheConnections,
    response: Response,
    idempotency_key: Annotated[str, idempotency_header("the same key is the same export")],
) -> ExportView:
    """All its rows are of one moment. Watch it at `Location`; once it is `done`, its file is kept for a week."""
    _require_possible(body, principal)
    request = ExportRequest(
        export_id=export_id_for(principal.subject, idempotency_key),
        report=body.report,
        format=body.format,
        filters=ExportFilters.model_validate(body.filters.model_dump()),
        actor=principal.actor,
    )
    known = await _same(connections.sessions, request)
    # One that still runs may have lost its workflow.
    if known is None or known.status == ExportStatus.RUNNING:
        has_begun = await start_export(connections.temporal, request)
        # Of two with the same key at once, the other one may have begun.
        known = await _same(connections.sessions, request)
        if known is None:
            said = "It was not written down" if has_begun else "No worker has answered"
            raise ProblemError(Reason.UNAVAILABLE, f"{said}; repeat it with the same key.")
    if known.status_reason == Reason.TOO_MANY_ROWS:
        raise ProblemError(Reason.TOO_MANY_ROWS, "Narrow it, or ask for a workbook.")
    response.headers["Location"] = f"/v1/exports/{known.id}"
    return export_view(known)


@router.get(
    "",
    summary="List exports",
    responses={
        **answer(HTTPStatus.OK, "One page of exports", example_page(EXPORT), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_exports(
    asked: Annotated[ExportQuery, Query()],
    principal: ByStaff,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[ExportView]:
    """Everybody's, newest first, of the reports that the caller may have."""
    found = select(Export).where(
        col(Export.report).in_(reports_of(principal.roles)),
        *matching(
            (col(Export.report), asked.report),
            (col(Export.status), asked.status),
            (col(Export.requested_by), asked.requested_by),
        ),
    )
    page = sorted_page(found, asked, asked.sort, _SORTABLE, col(Export.id))
    async with connections.sessions() as session:
        total = await total_of(session, found)
        views = [export_view(each) for each in (await session.execute(page)).scalars()]
    return page_of(request, response, asked, views, total)


@router.get(
    "/{export_id}",
    summary="Read an export",
    responses={**answer(HTTPStatus.OK, "The export", EXPORT), **problems(*USUAL)},
)
async def get_export(export_id: UUID, principal: ByStaff, connections: TheConnections) -> ExportView:
    """How far it is, and until when its file is kept."""
    return export_view(await visible_export(connections.sessions, export_id, principal))


@router.post(
    "/{export_id}/cancel",
    status_code=HTTPStatus.ACCEPTED,
    summary="Cancel an export",
    responses={
        **answer(HTTPStatus.ACCEPTED, "The export, which hears of it in a moment", EXPORT),
        **problems(*USUAL, Reason.EXPORT_NOT_RUNNING),
    },
)
async def post_export_cancel(export_id: UUID, principal: ByStaff, connections: TheConnections) -> ExportView:
    """What is written of it is deleted."""
    export = await _running(connections.sessions, export_id, principal)
    if not await cancel_export(connections.temporal, export_id):
        # It has just ended, or its workflow was terminated.
        export = await _running(connections.sessions, export_id, principal)
        request = ExportRequest(
            export_id=export_id,
            report=ExportReport(export.report),
            format=ExportFormat(export.format),
            filters=ExportFilters.model_validate(export.filters),
            actor=principal.actor,
        )
        await end_lost_export(connections.temporal, request)
    return export_view(export)


async def visible_export(sessions: Sessions, export_id: UUID, principal: Principal) -> Export:
    """The export. Raises `ProblemError` if there is none, or the caller may not have its report."""
    async with sessions() as session:
        export = await session.get(Export, export_id)
    if export is None or export.report not in reports_of(principal.roles):
        raise ProblemError(Reason.NOT_FOUND, "There is no such export.")
    return export


async def _running(sessions: Sessions, export_id: UUID, principal: Principal) -> Export:
    export = await visible_export(sessions, export_id, principal)
    if export.status != ExportStatus.RUNNING:
        raise ProblemError(Reason.EXPORT_NOT_RUNNING, f"The export is {export.status}.")
    return export


async def _same(sessions: Sessions, request: ExportRequest) -> Export | None:
    """The export with this id, if there is one. Raises `ProblemError` if it is another one."""
    async with sessions() as session:
        export = await session.get(Export, request.export_id)
    if export is not None and (
        (export.report, export.format) != (request.report, request.format)
        or ExportFilters.model_validate(export.filters) != request.filters
    ):
        raise ProblemError(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used with another export.")
    return export


def _require_possible(body: ExportBody, principal: Principal) -> None:
    """Raise `ProblemError` if the caller may not have the report, or if it is not to be had like that."""
    rules = REPORTS[body.report]
    if rules.roles.isdisjoint(principal.roles):
        raise ProblemError(Reason.ROLE_NOT_ALLOWED, f"This report is for {', '.join(sorted(rules.roles))}.")
    if wrong := wrong_filters(body.report, body.filters):
        errors = [InvalidField(pointer=f"#/filters/{each.name}", detail=each.detail) for each in wrong]
        raise ProblemError(Reason.INVALID_REQUEST, "See `errors` for what is not valid.", errors=errors)
    if body.format not in rules.formats:
        raise ProblemError(Reason.FORMAT_NOT_AVAILABLE, f"This report is to be had as {', '.join(rules.formats)}.")


async def _described(session: AsyncSession, report: ExportReport) -> ReportView:
    if report not in LISTINGS:
        return report_view(report, report.capitalize(), ())
    listing = await LISTINGS[report](session, ExportFilters(), _ANY_ZONE)
    return report_view(report, listing.title, listing.columns)
