"""The steps of reports on a span of days: which days, the file, and who is sent it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from activities.export_files import MEDIA_TYPES, ExportNotRunningError, export_key
from activities.files import FileMissingError, FileStore
from activities.finance_pdf import render_finance
from activities.finance_report import read_finance
from activities.report_books import finance_book, sales_book, statement_book
from activities.report_facts import Heading
from activities.report_recipients import recipients_of
from activities.sales_pdf import render_sales
from activities.sales_report import read_sales
from activities.statement import read_statement
from activities.statement_pdf import render_statement
from activities.time_zones import zone_of_academy
from models.errors import Reason
from models.messages.documents import StoredFile
from models.messages.exports import RenderedReport, RenderReport
from models.messages.reports import PlannedReport, PlanReport, ReportRecipients
from models.tables import Export
from models.tables.columns import now
from models.vocabulary import ExportFormat, ExportReport, ExportStatus
from rules.exports import REPORTS
from rules.report_periods import span_of

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
        """Read the report in one snapshot of the record, make its file and store it; a repeat finds it stored.

        Raises non-retryable `ApplicationError`s: `format_not_available`, `too_many_rows` and `export_not_running`.
        """
        if request.report not in _READ or request.format not in REPORTS[request.report].formats:
            raise FormatNotAvailableError(request.report, request.format)
        async with snapshot(self.sessions) as session:
            read = await _READ[request.report](session, request)
        file = await asyncio.get_running_loop().run_in_executor(self.executor, read.render)
        return await self._store(request, read, file)

    async def _store(self, request: RenderReport, read: _Read, file: bytes) -> RenderedReport:
        """Store the file, unless another attempt has: one that was thought dead, and comes late, changes nothing."""
        key = export_key(request.export_id, request.report, request.format)
        async with self.sessions.begin() as session:
            export = await session.get(Export, request.export_id, with_for_update=True)
            if export is None or export.status != ExportStatus.RUNNING:
                raise ExportNotRunningError
            stored = None if export.snapshot_at is None else await self._stored_before(key)
            if stored is None:
                stored = await self.files.put(key, file, MEDIA_TYPES[request.format])
                export.snapshot_at, export.row_count, export.updated_at = read.snapshot_at, read.row_count, now()
            return RenderedReport(
                key=stored.key,
                sha256=stored.sha256,
                size=stored.size,
                row_count=export.row_count or 0,
                snapshot_at=export.snapshot_at or read.snapshot_at,
            )

    async def _stored_before(self, key: str) -> StoredFile | None:
        """What is under the key; none if it got lost."""
        try:
            data = await self.files.get(key)
        except FileMissingError:
            return None
        return StoredFile(key=key, sha256=sha256(data).hexdigest(), size=len(data))

    @activity.defn
    async def plan_report(self, step: PlanReport) -> PlannedReport:
        """Which days a schedule's report is about that is meant for this moment, where the academy is.

        Raises `ValueError` for a report that no schedule makes.
        """
        async with self.sessions() as session:
            zone = await zone_of_academy(session)
        span = span_of(step.report, step.moment, zone)
        return PlannedReport(date_from=span.first, date_until=span.end)

    @activity.defn
    async def report_recipients(self, report: ExportReport) -> ReportRecipients:
        """Who is sent the report, as it is set now."""
        async with self.sessions() as session:
            return ReportRecipients(person_ids=tuple(await recipients_of(session, report)))


class _Figures(Protocol):
    """What the figures of every report have."""

    @property
    def heading(self) -> Heading: ...

    @property
    def row_count(self) -> int: ...


_Report = TypeVar("_Report", bound=_Figures)


def _report(
    read: Callable[[AsyncSession, RenderReport], Awaitable[_Report]],
    pdf: Callable[[_Report], bytes],
    book: Callable[[_Report], bytes],
) -> Callable[[AsyncSession, RenderReport], Awaitable[_Read]]:
    renderers = {ExportFormat.PDF: pdf, ExportFormat.XLSX: book}

    async def read_and_render(session: AsyncSession, request: RenderReport) -> _Read:
        report = await read(session, request)
        return _Read(report.heading.snapshot_at, report.row_count, partial(renderers[request.format], report))

    return read_and_render


_READ = {
    ExportReport.SALES: _report(read_sales, render_sales, sales_book),
    ExportReport.FINANCE: _report(read_finance, render_finance, finance_book),
    ExportReport.STATEMENT: _report(read_statement, render_statement, statement_book),
}
