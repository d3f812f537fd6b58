"""What is said about exports."""

from datetime import date
from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from models.messages.message import Actor, Message
from models.vocabulary import ExportFormat, ExportReport


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


class MakeReport(Message):
    """The input of `ScheduledReportWorkflow`: the report on the span that is over at its scheduled time."""

    report: ExportReport
