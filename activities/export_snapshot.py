"""The snapshot of an export: the rows of its listing, of one moment, written beside each other in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ColumnElement, Subquery, Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.export_columns import ColumnType, Listing
from models.tables import ExportChunk

_MOST_ARGUMENTS = 100  # of a function of PostgreSQL
_SUMMED = {ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.MONEY}


@dataclass(frozen=True)
class Snapshot:
    """What a snapshot came to: sums by column, those of money by currency in minor units."""

    row_count: int
    totals: dict[str, object]


async def statement_moment(session: AsyncSession) -> datetime:
    """The moment of the transaction's snapshot (UTC), if this is the first that is asked in it."""
    moment: datetime = (await session.execute(select(func.statement_timestamp()))).scalar_one()
    return moment


async def write_chunks(
    session: AsyncSession, export_id: UUID, listing: Listing, *, chunk_rows: int, most: int | None
) -> Snapshot:
    """Write the rows of the listing in chunks, and add them up. Only the first `most` and one more, if it is given."""
    listed = listing.statement.order_by(*listing.order_by)
    if most is not None:
        listed = listed.limit(most + 1)
    row_count = await _write_rows(session, export_id, listed.subquery("listed"), chunk_rows)
    is_whole = most is None or row_count <= most
    return Snapshot(row_count, await _totals(session, listing) if is_whole else {})


async def _write_rows(session: AsyncSession, export_id: UUID, listed: Subquery, chunk_rows: int) -> int:
    numbered = select(
        _as_array(list(listed.columns)).label("line"),
        # The rows are counted as they come, and they come in their order.
        (func.row_number().over() - 1).label("place"),
    ).subquery("numbered")
    number = cast(numbered.c.place // chunk_rows, BigInteger)
    chunks = select(
        literal(export_id),
        number,
        func.count(),
        # Without an order of its own PostgreSQL would keep all chunks in memory at once.
        func.json_agg(aggregate_order_by(numbered.c.line, numbered.c.place)),
    ).group_by(number)
    written = await session.execute(
        insert(ExportChunk)
        .from_select(["export_id", "number", "row_count", "rows"], chunks)
        .returning(col(ExportChunk.row_count))
    )
    return sum(written.scalars())


def _as_array(values: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """The values as one JSON array."""
    if len(values) <= _MOST_ARGUMENTS:
        return func.json_build_array(*values, type_=JSON)
    pieces = [values[first : first + _MOST_ARGUMENTS] for first in range(0, len(values), _MOST_ARGUMENTS)]
    arrays: list[ColumnElement[Any]] = [func.jsonb_build_array(*piece, type_=JSONB) for piece in pieces]
    return reduce(lambda left, right: left.op("||")(right), arrays)


async def _totals(session: AsyncSession, listing: Listing) -> dict[str, object]:
    """Sums over the listing: one statement for each column that says of which currency amounts are."""
    totalled = [
        (place, column) for place, column in enumerate(listing.columns) if column.is_totalled and column.type in _SUMMED
    ]
    keys = [column.key for column in listing.columns]
    totals: dict[str, object] = {}
    by_currency = sorted(totalled, key=lambda each: each[1].currency_of or "")
    for currency_of, group in groupby(by_currency, key=lambda each: each[1].currency_of):
        listed, summed = listing.statement.subquery("listed"), list(group)
        columns = list(listed.columns)
        sums = [func.sum(columns[place]) for place, _ in summed]
        if currency_of is None:
            row = (await session.execute(select(*sums))).one()
            totals |= {column.key: _plain(total) for (_, column), total in zip(summed, row, strict=True)}
            continue
        currency = cast(columns[keys.index(currency_of)], Text)
        for name, *row in await session.execute(select(currency, *sums).group_by(currency).order_by(currency)):
            for (_, column), total in zip(summed, row, strict=True):
                if total is not None:
                    known = totals.setdefault(column.key, {})
                    assert isinstance(known, dict)  # noqa: S101 - a column is money or it is not
                    known[name or ""] = _plain(total)
    return totals


def _plain(total: int | float | Decimal | None) -> int | float:
    return int(total or 0) if total is None or total == int(total) else float(total)
