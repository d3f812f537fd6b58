"""What every report on a span of days says of itself, read in the snapshot that its figures come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Date, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import ColumnElement, SQLCoreOperations
from sqlmodel import col

from models.messages.exports import RenderReport
from models.tables import Academy, Course, Order
from models.vocabulary import ExportReport
from rules.report_periods import Span, span_asked

Moment = SQLCoreOperations[datetime] | SQLCoreOperations[datetime | None]

REPORTS: Mapping[ExportReport, str] = {
    ExportReport.SALES: "Sales report",
    ExportReport.FINANCE: "Finance report",
    ExportReport.STATEMENT: "Statement of account",
}


@dataclass(frozen=True)
class Heading:
    """Whose report it is, on which days, as of when, and what it leaves out."""

    title: str
    academy: str
    zone: ZoneInfo
    span: Span
    snapshot_at: datetime
    course_titles: tuple[str, ...] = ()
    currency: str | None = None
    includes_tests: bool = False

    @property
    def days(self) -> str:
        """The days in words."""
        first, last = self.span.first, self.span.last
        if first == last:
            return f"{first:%A}, {first.isoformat()}"
        return f"{first.isoformat()} to {last.isoformat()}"

    @property
    def as_of(self) -> str:
        """The moment of the snapshot on the academy's clocks."""
        return f"{self.snapshot_at.astimezone(self.zone):%Y-%m-%d %H:%M:%S} ({self.zone.key})"

    @property
    def today(self) -> date:
        """The academy's day at the snapshot."""
        return self.snapshot_at.astimezone(self.zone).date()

    @property
    def narrowed(self) -> str:
        """What was asked for beside the days, in words."""
        asked = [
            *(["one currency: " + self.currency] if self.currency else []),
            *(["courses: " + ", ".join(self.course_titles)] if self.course_titles else []),
            "orders of tests are in it" if self.includes_tests else "orders of tests are left out",
        ]
        return "; ".join(asked)


async def heading_of(session: AsyncSession, asked: RenderReport) -> Heading:
    """Read it. This has to be the first that the snapshot is asked for: it says of when the snapshot is."""
    filters, order = asked.filters, Order
    first_order = select(func.min(col(order.created_at))).where(col(order.is_test).is_(False)).scalar_subquery()
    query = select(func.statement_timestamp(), col(Academy.name), col(Academy.time_zone), first_order)
    snapshot_at, academy, zone_name, known_from = (await session.execute(query)).one()
    zone = ZoneInfo(zone_name)
    today = asked.moment.astimezone(zone).date()
    known = today if known_from is None else known_from.astimezone(zone).date()
    titles = select(col(Course.title)).where(col(Course.id).in_(filters.course_ids)).order_by(col(Course.title))
    return Heading(
        title=REPORTS[asked.report],
        academy=academy,
        zone=zone,
        span=span_asked(filters.date_from, filters.date_until, known, today),
        snapshot_at=snapshot_at.astimezone(UTC),
        course_titles=tuple(await session.scalars(titles)) if filters.course_ids else (),
        currency=filters.currency,
        includes_tests=filters.include_tests,
    )


def day_of(moment: Moment, zone: ZoneInfo) -> ColumnElement[date]:
    """The academy's day of a moment."""
    return cast(func.timezone(literal(zone.key), moment), Date)


def within(moment: Moment, heading: Heading) -> ColumnElement[bool]:
    """That the moment is in the report's days."""
    return (moment >= heading.span.begins(heading.zone)) & (moment < heading.span.ends(heading.zone))


@dataclass(frozen=True)
class CourseName:
    """How a course is called in a report; none stands for orders as a whole."""

    id: UUID | None
    code: str
    title: str
    category: str
