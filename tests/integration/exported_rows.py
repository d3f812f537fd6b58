"""What an export lists, row by row, as its statement selects it."""

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from activities.database import Sessions
from activities.export_columns import Listing
from activities.export_listings import LISTINGS
from models.messages.exports import ExportFilters
from models.vocabulary import ExportReport

BERLIN = ZoneInfo("Europe/Berlin")
Rows = list[dict[str, Any]]


async def listing_of(sessions: Sessions, report: ExportReport, filters: ExportFilters | None = None) -> Listing:
    """The listing of a report, in Berlin."""
    async with sessions() as session:
        return await LISTINGS[report](session, filters or ExportFilters(), BERLIN)


async def rows_of(sessions: Sessions, report: ExportReport, **filters: Any) -> Rows:
    """Its rows by the keys of its columns, in its order."""
    listing = await listing_of(sessions, report, ExportFilters(**filters))
    keys = [column.key for column in listing.columns]
    async with sessions() as session:
        found = (await session.execute(listing.statement.order_by(*listing.order_by))).all()
    return [dict(zip(keys, row, strict=True)) for row in found]


async def snapshot_of(sessions: Sessions, report: ExportReport) -> list[list[Any]]:
    """Its rows as lists of values, made by the database in one statement as an export writes them down."""
    listing = await listing_of(sessions, report)
    rows = listing.statement.order_by(*listing.order_by).subquery()
    async with sessions() as session:
        return list((await session.execute(select(func.json_build_array(*rows.c)))).scalars())
