"""What is said about exports."""

from datetime import date, datetime
from hashlib import sha256
from typing import Self
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from models.errors import Reason
from models.messages.message import Actor, Message
from models.vocabulary import ExportFormat, ExportReport, ExportStatus

# Days that begin at a moment in every zone; at the ends of the calendar some do not.
_FIRST_DAY, _LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)


class ExportFilters(Message):
    """Which rows an export has. What is not named is not narrowed; not every report knows every filter."""

    date_from: date | None = Field(
        default=None, ge=_FIRST_DAY, le=_LAST_DAY, description="the first day, in the academy's zone"
    )
    date_until: date | None = Field(
        default=None, ge=_FIRST_DAY, le=_LAST_DAY, description="the day after the last, in the academy's zone"
    )
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

    @property
    def digest(self) -> str:
        """The same for the same wish, whoever has it, and for no other (SHA-256, in hexadecimal)."""
        wish = self.model_dump_json(include={"report", "format", "filters"})
        return sha256(wish.encode()).hexdigest()


class ExportBegun(Message):
    """What an export comes to: the rows of its snapshot, and in how many parts they are written; or why it failed."""

    row_count: int = 0
    parts: int = 0
    refusal: Reason | None = None
    refusal_detail: str | None = None


class WritePart(Message):
    """The input of `write_part`."""

    export_id: UUID
    number: int = Field(ge=0)


class PartWritten(Message):
    """How many rows of the export are written by now."""

    rows_written: int


class JoinExport(Message):
    """The input of `join_export`."""

    export_id: UUID


class RenderReport(Message):
    """The input of `render_report`: a report that adds up, as of `moment` if it has to say so before it reads."""

    export_id: UUID
    report: ExportReport
    format: ExportFormat
    filters: ExportFilters = ExportFilters()
    moment: AwareDatetime


class RenderedReport(Message):
    """The file of a report, stored; `snapshot_at` is of when it is."""

    key: str
    sha256: str
    size: int
    row_count: int
    snapshot_at: datetime


class EndExport(Message):
    """The input of `end_export`: its file, or why there is none."""

    export_id: UUID
    status: ExportStatus
    reason: Reason | None = None
    sha256: str | None = None
    size: int | None = None
    row_count: int | None = None
    snapshot_at: datetime | None = None
    workflow_id: str


class ExportProgress(Message):
    """How far an export is. Before its snapshot is taken nobody knows how many rows there are."""

    status: ExportStatus
    rows_written: int = 0
    row_count: int | None = None
    reason: Reason | None = None


class MakeReport(Message):
    """The input of `ScheduledReportWorkflow`: both formats, on the days that follow from the moment it is meant for."""

    report: ExportReport
    formats: tuple[ExportFormat, ...] = (ExportFormat.PDF, ExportFormat.XLSX)
