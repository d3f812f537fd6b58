"""What an export is made of: typed columns, and the one statement whose rows fill them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, FromClause, GenerativeSelect, func, label, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import SQLCoreOperations

from models.messages.exports import ExportFilters


class ColumnType(StrEnum):
    """What the values of a column are, in the snapshot and in the file. 66.7 in a column of percents is 66.7 %."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    PERCENT = "percent"
    BOOLEAN = "boolean"
    DATE = "date"
    MOMENT = "moment"
    MONEY = "money"


# What stands on the right of its column.
NUMERIC = frozenset({ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.PERCENT, ColumnType.MONEY})


@dataclass(frozen=True)
class Column:
    """One column. Money is in minor units; `currency_of` is the column that says of which currency.

    Totalled columns are summed, money for each currency on its own.
    """

    key: str
    title: str
    type: ColumnType = ColumnType.TEXT
    currency_of: str | None = None
    is_totalled: bool = False


@dataclass(frozen=True)
class Listing:
    """What an export lists: `statement` selects the values of the columns, in their order, a row for each thing.

    `order_by` is a total order: the rows are always in the same one.
    """

    title: str
    columns: tuple[Column, ...]
    statement: GenerativeSelect
    order_by: Sequence[SQLCoreOperations[Any]]


# Reads what the listing needs to know of the record, e.g. the academy's custom fields.
ListingOf = Callable[[AsyncSession, ExportFilters, ZoneInfo], Awaitable[Listing]]

SEPARATOR = "; "

# A column, and what fills it.
Shown = tuple[Column, SQLCoreOperations[Any]]


def money(key: str, title: str, *, currency_of: str = "currency", is_totalled: bool = True) -> Column:
    """A column of amounts, of the currency that another column says."""
    return Column(key, title, ColumnType.MONEY, currency_of, is_totalled)


def in_one(value: SQLCoreOperations[Any], order_by: SQLCoreOperations[Any]) -> ColumnElement[str]:
    """An aggregate: the texts one after another, in this order; none if there are none."""
    return func.string_agg(value, aggregate_order_by(literal(SEPARATOR), order_by))


def listing(
    title: str,
    shown: Sequence[Shown],
    source: FromClause,
    conditions: Sequence[ColumnElement[bool]],
    order_by: Sequence[SQLCoreOperations[Any]],
) -> Listing:
    """The listing of the rows of `source` that meet the conditions. Every value is labeled with its column's key."""
    values = [label(column.key, value) for column, value in shown]
    columns = tuple(column for column, _ in shown)
    return Listing(title, columns, select(*values).select_from(source).where(*conditions), order_by)
