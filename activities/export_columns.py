"""What an export is made of: typed columns, and the one statement whose rows fill them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import GenerativeSelect
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
