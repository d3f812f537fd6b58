"""The steps of reports on a span of days: which days, the file, and who is sent it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from activities.export_files import export_key, leave_no_file_behind
from activities.files import FileStore
from activities.finance_pdf import render_finance
from activities.finance_report import read_finance
from activities.report_books import finance_book, sales_book, statement_book
from activities.report_recipients import recipients_of
from activities.sales_pdf import render_sales
from activities.sales_report import read_sales
from activities.statement import read_statement
from activities.statement_pdf import render_statement
from models.errors import Reason
from models.messages.exports import RenderedReport, RenderReport
from models.messages.reports import PlannedReport, PlanReport, ReportRecipients
from models.tables import Academy
from models.vocabulary import ExportFormat, ExportReport
from rules.report_periods import span_of

MEDIA_TYPES = {
    ExportFormat.PDF: "application/pdf",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# The record is read as of one moment, and nothing is written.
_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


class FormatNotAvailableError(ApplicationError):
    """There is no such file of this report. Trying again does not help."""

    def __init__(self, report: str, format_: str) -> None:
        super().__init__(
            f"there is no {format_} of the report {report}", type=Reason.FORMAT_NOT_AVAILABLE, non_retryable=True
        )


@dataclass(frozen=True)
class _Read:
    """The figures of a report, read, and what makes a file of them."""

    snapshot_at: datetime
    row_count: int
    render: Callable[[], bytes]


@asynccontextmanager
async def snapshot(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """A session that sees the record as of its first statement, whatever others write meanwhile."""
    async with sessions() as session:
        await session.connection(execution_options=dict(_SNAPSHOT))
        yield session


@dataclass
class ReportActivities:
    """Steps that make reports. Setting takes processor time, so it happens in the executor."""

    sessions: Sessions
    files: FileStore
    executor: Executor

    @activity.defn
    async def render_report(self, request: RenderReport) -> RenderedReport:
        """Read the report in one snapshot of the record, make its file and store it.

        A repeat makes it anew, of what is on record then, in place of the one before: nobody has seen that yet.
        Raises non-retryable `ApplicationError`s: `format_not_available`, `too_many_rows` and `ExportNotRunningError`.
        """
        if request.format not in MEDIA_TYPES or request.report not in _READ:
            raise FormatNotAvailableError(request.report, request.format)
        async with snapshot(self.sessions) as session:
            read = await _READ[request.report](session, request)
        file = await asyncio.get_running_loop().run_in_executor(self.executor, read.render)
        key = export_key(request.export_id, request.report, request.format)
        stored = await self.files.put(key, file, MEDIA_TYPES[request.format])
        await leave_no_file_behind(self.sessions, self.files, request.export_id, key)
        return RenderedReport(
            key=stored.key,
            sha256=stored.sha256,
            size=stored.size,
            row_count=read.row_count,
            snapshot_at=read.snapshot_at,
        )

    @activity.defn
    async def plan_report(self, step: PlanReport) -> PlannedReport:
        """Which days a schedule's report is about that is meant for this moment, where the academy is.

        Raises `ValueError` for a report that no schedule makes.
        """
        async with self.sessions() as session:
            zone = ZoneInfo((await session.execute(select(col(Academy.time_zone)))).scalar_one())
        span = span_of(step.report, step.moment, zone)
        return PlannedReport(date_from=span.first, date_until=span.end)

    @activity.defn
    async def report_recipients(self, report: ExportReport) -> ReportRecipients:
        """Who is sent the report, as it is set now."""
        async with self.sessions() as session:
            return ReportRecipients(person_ids=tuple(await recipients_of(session, report)))


async def _sales(session: AsyncSession, request: RenderReport) -> _Read:
    report = await read_sales(session, request)
    render = {ExportFormat.PDF: render_sales, ExportFormat.XLSX: sales_book}[request.format]
    return _Read(report.heading.snapshot_at, report.row_count, partial(render, report))


async def _finance(session: AsyncSession, request: RenderReport) -> _Read:
    report = await read_finance(session, request)
    render = {ExportFormat.PDF: render_finance, ExportFormat.XLSX: finance_book}[request.format]
    return _Read(report.heading.snapshot_at, report.row_count, partial(render, report))


async def _statement(session: AsyncSession, request: RenderReport) -> _Read:
    statement = await read_statement(session, request)
    render = {ExportFormat.PDF: render_statement, ExportFormat.XLSX: statement_book}[request.format]
    return _Read(statement.heading.snapshot_at, statement.row_count, partial(render, statement))


_READ = {ExportReport.SALES: _sales, ExportReport.FINANCE: _finance, ExportReport.STATEMENT: _statement}
