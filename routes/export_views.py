"""How exports are asked for and shown, and what there is to be exported."""

from datetime import UTC, date, datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from activities.export_columns import Column, ColumnType
from models.messages.exports import ExportFilters
from models.tables import Export
from models.vocabulary import ExportFormat, ExportReport, ExportStatus
from routes.pagination import PageQuery
from rules.exports import REPORTS


class FiltersBody(ExportFilters):
    """Which rows; each report says which of these it knows (`GET /v1/exports/reports`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="after")
    def _a_span(self) -> Self:
        if self.date_from is not None and self.date_until is not None and self.date_from >= self.date_until:
            raise PydanticCustomError("refused_here", "The span ends before it begins.")
        return self


class ExportBody(BaseModel):
    """What to export, and as what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    report: ExportReport
    format: ExportFormat = ExportFormat.XLSX
    filters: FiltersBody = FiltersBody()


class ExportView(BaseModel):
    """An export, and how far it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    report: ExportReport
    format: ExportFormat
    filters: ExportFilters
    status: ExportStatus
    status_reason: str | None = Field(description="why it failed")
    rows_written: int
    row_count: int | None = Field(description="how many it will have; none until its snapshot is taken")
    percent_done: int | None = Field(description="of the rows, rounded down; none until it is known")
    snapshot_at: datetime | None = Field(description="of when all its rows are")
    size: int | None = Field(description="bytes of the file")
    sha256: str | None = Field(description="of the file")
    expires_at: datetime | None = Field(description="until when the file is kept")
    requested_by: str = Field(description="the actor, e.g. `staff:<id>` or `schedule:<id>`")
    created_at: datetime
    ended_at: datetime | None


class ExportQuery(PageQuery):
    """Which exports to list."""

    sort: Literal["created_at", "created_at:desc"] = "created_at:desc"
    report: ExportReport | None = None
    status: ExportStatus | None = None
    requested_by: str | None = Field(default=None, max_length=80, pattern=r"^[^\x00]*$")


class ExportLinkView(BaseModel):
    """A link to the file that needs no login, and until when it is good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    expires_at: datetime


class ColumnView(BaseModel):
    """A column of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    title: str = Field(description="as it is in the header of the file")
    type: ColumnType
    currency_of: str | None = Field(description="of amounts, the column that says of which currency they are")
    is_totalled: bool


class ReportView(BaseModel):
    """What there is to be exported, how it is narrowed, and as what it is to be had."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    report: ExportReport
    title: str
    formats: tuple[ExportFormat, ...]
    filters: tuple[str, ...] = Field(description="the names that `filters` may have")
    statuses: tuple[str, ...] = Field(description="the words that the filter `statuses` takes")
    dated_by: str = Field(description="what the days of `date_from` and `date_until` are about")
    needs_span: bool = Field(description="whether both days have to be given")
    columns: tuple[ColumnView, ...] = Field(description="none of a report that adds up: its pages differ")


class ReportsView(BaseModel):
    """What the caller may export."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[ReportView, ...]


def export_view(export: Export) -> ExportView:
    """The export as it is shown."""
    return ExportView(
        id=export.id,
        report=ExportReport(export.report),
        format=ExportFormat(export.format),
        filters=ExportFilters.model_validate(export.filters),
        status=ExportStatus(export.status),
        status_reason=export.status_reason,
        rows_written=export.rows_written,
        row_count=export.row_count,
        percent_done=_percent(export),
        snapshot_at=export.snapshot_at,
        size=export.size,
        sha256=export.file_sha256,
        expires_at=export.expires_at,
        requested_by=export.requested_by,
        created_at=export.created_at,
        ended_at=export.ended_at,
    )


def report_view(report: ExportReport, title: str, columns: tuple[Column, ...]) -> ReportView:
    """What can be known of the report before it is asked for."""
    rules = REPORTS[report]
    shown = (
        ColumnView(
            key=column.key,
            title=column.title,
            type=column.type,
            currency_of=column.currency_of,
            is_totalled=column.is_totalled,
        )
        for column in columns
    )
    return ReportView(
        report=report,
        title=title,
        formats=rules.formats,
        filters=rules.filters,
        statuses=rules.statuses,
        dated_by=rules.dated_by,
        needs_span=rules.adds_up,
        columns=tuple(shown),
    )


def _percent(export: Export) -> int | None:
    if export.status == ExportStatus.DONE:
        return 100
    return 100 * export.rows_written // export.row_count if export.row_count else None


EXPORT = ExportView(
    id=UUID("5a6e6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    report=ExportReport.ORDERS,
    format=ExportFormat.XLSX,
    filters=ExportFilters(date_from=date(2026, 3, 1), date_until=date(2026, 4, 1)),
    status=ExportStatus.RUNNING,
    status_reason=None,
    rows_written=50_000,
    row_count=120_000,
    percent_done=41,
    snapshot_at=datetime(2026, 4, 1, 6, 0, tzinfo=UTC),
    size=None,
    sha256=None,
    expires_at=None,
    requested_by="staff:frida",
    created_at=datetime(2026, 4, 1, 6, 0, tzinfo=UTC),
    ended_at=None,
)
REPORT = report_view(
    ExportReport.PAYMENTS,
    "Payments and refunds",
    (
        Column("moved_at", "When", ColumnType.MOMENT),
        Column("currency", "Currency"),
        Column("amount", "Amount", ColumnType.MONEY, "currency", is_totalled=True),
    ),
)
LINK = ExportLinkView(
    url="https://academy.example/v1/exports/download/eyJhbGciOiJIUzI1NiJ9.…",
    expires_at=datetime(2026, 4, 2, 6, 0, tzinfo=UTC),
)
