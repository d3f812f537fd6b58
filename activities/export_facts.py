"""What an export says of itself in its file, read from the record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter
from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.export_columns import Column
from activities.export_files import ExportNotRunningError
from activities.export_listings import LISTINGS
from activities.export_values import Value, total_rows
from activities.people import person_behind
from models.messages.exports import ExportFilters
from models.tables import Academy, Coupon, Course, Export, Person
from models.vocabulary import ExportFormat, ExportStatus

_COLUMNS = TypeAdapter(tuple[Column, ...])
_NAMED = 10


@dataclass(frozen=True)
class ExportFacts:
    """An export whose snapshot is taken. `narrowed` is what narrows it, in words; `totals` are of all its rows."""

    export_id: UUID
    report: str
    format: ExportFormat
    title: str
    academy: str
    zone: ZoneInfo
    columns: tuple[Column, ...]
    row_count: int
    totals: Mapping[str, object]
    snapshot_at: datetime
    narrowed: Sequence[str]
    asked_by: str

    @property
    def total_rows(self) -> list[list[Value]]:
        """The rows below the last one."""
        return total_rows(self.columns, self.totals)

    @property
    def information(self) -> list[tuple[str, str]]:
        """What every reader of the file has to know."""
        return [
            ("Report", self.title),
            ("Academy", self.academy),
            ("As of", f"{self.snapshot_at.astimezone(self.zone):%Y-%m-%d %H:%M:%S %Z}"),
            ("Time zone", self.zone.key),
            ("Narrowed to", "; ".join(self.narrowed) or "everything"),
            ("Rows", f"{self.row_count:,}"),
            ("Asked for by", self.asked_by),
            ("Export", str(self.export_id)),
        ]


def kept_columns(export: Export) -> tuple[Column, ...]:
    """The columns of an export whose snapshot is taken."""
    return _COLUMNS.validate_python(export.columns)


def stored_columns(columns: Sequence[Column]) -> list[object]:
    """The columns as they are kept with the snapshot."""
    kept: list[object] = _COLUMNS.dump_python(tuple(columns), mode="json")
    return kept


async def facts_of(session: AsyncSession, export_id: UUID) -> ExportFacts:
    """What is on record of an export that is being written. Raises `ExportNotRunningError`."""
    found = (
        await session.execute(select(Export, Academy).join(Academy, true()).where(col(Export.id) == export_id))
    ).one_or_none()
    if found is None:
        raise ExportNotRunningError
    export, academy = found
    if export.status != ExportStatus.RUNNING or export.row_count is None or export.snapshot_at is None:
        raise ExportNotRunningError
    filters, zone = ExportFilters.model_validate(export.filters), ZoneInfo(academy.time_zone)
    listing = await LISTINGS[export.report](session, filters, zone)
    return ExportFacts(
        export_id=export.id,
        report=export.report,
        format=ExportFormat(export.format),
        title=listing.title,
        academy=academy.name,
        zone=zone,
        columns=kept_columns(export),
        row_count=export.row_count,
        totals=export.totals or {},
        snapshot_at=export.snapshot_at,
        narrowed=await words_of(session, filters),
        asked_by=await _asked_by(session, export.requested_by),
    )


async def words_of(session: AsyncSession, filters: ExportFilters) -> list[str]:
    """What narrows an export, in words; of long lists the first ten."""
    courses = select(col(Course.title)).where(col(Course.id).in_(filters.course_ids)).order_by(col(Course.title))
    people = select(col(Person.full_name)).where(col(Person.id).in_(filters.person_ids)).order_by(col(Person.full_name))
    coupons = select(col(Coupon.code)).where(col(Coupon.id).in_(filters.coupon_ids)).order_by(col(Coupon.code))
    words = []
    if filters.date_from is not None:
        words.append(f"from {filters.date_from}")
    if filters.date_until is not None:
        words.append(f"before {filters.date_until}")
    if filters.statuses:
        words.append(f"status {', '.join(filters.statuses)}")
    for name, ids, query in (
        ("courses", filters.course_ids, courses),
        ("people", filters.person_ids, people),
        ("coupons", filters.coupon_ids, coupons),
    ):
        if ids:
            names = [*await session.scalars(query.limit(_NAMED))]
            more = [f"{len(ids) - len(names)} more"] if len(ids) > len(names) else []
            words.append(f"{name} {', '.join([*names, *more])}")
    if filters.currency is not None:
        words.append(f"currency {filters.currency}")
    if filters.include_tests:
        words.append("with test orders")
    return words


async def _asked_by(session: AsyncSession, actor: str) -> str:
    """The person's name, if the actor is one whom the record knows."""
    name = await session.scalar(select(col(Person.full_name)).where(col(Person.id) == person_behind(actor)))
    return actor if name is None else f"{name} ({actor.partition(':')[0]})"
