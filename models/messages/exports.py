"""What is said about exports."""

from datetime import date, datetime
from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from models.messages.message import Actor, Message
from models.vocabulary import ExportFormat, ExportReport, ExportStatus


class ExportFilters(Message):
    """Which rows an export has. What is not named is not narrowed; not every report knows every filter."""

    date_from: date | None = Field(default=None, description="the first day, in the academy's zone")
    date_until: date | None = Field(default=None, description="the day after the last, in the academy's zone")
    statuses: tuple[str, ...] = Field(default=(), max_length=20)
    course_ids: tuple[UUID, ...] = Field(default=(), max_length=500)
    person_ids: tuple[UUID, ...] = Field(default=(), max_length=500, description="payers, learners, holders, …")
    coupon_ids: tuple[UUID, ...] = Field(default=(), max_length=500)
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    include_tests: bool = Field(default=False, description="whether orders of tests are in it")

    @model_validator(mode="after")
    def _a_span(self) -> Self:
        if self.date_from is not None and self.date_until is not None and self.date_from >= self.date_until:
            raise ValueError("the span ends before it begins")
        return self


class ExportRequest(Message):
    """The input of `ExportWorkflow`."""

    export_id: UUID
    report: ExportReport
    format: ExportFormat
    filters: ExportFilters = ExportFilters()
    actor: Actor


class RenderReport(Message):
    """Which report to make a file of. `moment` (UTC) is when it was asked for: `today` is by it."""

    export_id: UUID
    report: ExportReport
    format: ExportFormat
    filters: ExportFilters = ExportFilters()
    moment: datetime


class RenderedReport(Message):
    """The file of a report, by reference, and of when its figures are (UTC)."""

    key: str
    sha256: str
    size: int
    row_count: int
    snapshot_at: datetime


class ExportProgress(Message):
    """How far an export is. Before its snapshot is taken nobody knows how many rows there are."""

    status: ExportStatus
    rows_written: int = 0
    row_count: int | None = None


class MakeReport(Message):
    """The input of `ScheduledReportWorkflow`: both formats, on the days that follow from the moment it is meant for."""

    report: ExportReport
    formats: tuple[ExportFormat, ...] = (ExportFormat.PDF, ExportFormat.XLSX)


class PlanReport(Message):
    """Which days is a schedule's report about that is meant for this moment (UTC)?"""

    report: ExportReport
    moment: datetime


class PlannedReport(Message):
    """The days, in the academy's zone: `date_until` is the one after the last."""

    date_from: date
    date_until: date


class ReportRecipients(Message):
    """Who is sent a report, by their ids."""

    person_ids: tuple[UUID, ...] = ()


class ReportSent(Message):
    """What a schedule's report came to: its files, and how many were sent it."""

    days: PlannedReport
    export_ids: tuple[UUID, ...] = ()
    mails: int = 0
