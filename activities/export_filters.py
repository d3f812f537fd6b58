"""The filters of exports as conditions. What is not asked for is no condition."""

from collections.abc import Collection
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlalchemy.sql.elements import SQLCoreOperations

from models.messages.exports import ExportFilters


def within(moment: SQLCoreOperations[Any], filters: ExportFilters, zone: ZoneInfo) -> list[ColumnElement[bool]]:
    """That the moment is in the half-open span of days, as they begin in the zone."""
    return [
        *([] if filters.date_from is None else [moment >= _start(filters.date_from, zone)]),
        *([] if filters.date_until is None else [moment < _start(filters.date_until, zone)]),
    ]


def among(column: SQLCoreOperations[Any], wanted: Collection[object]) -> list[ColumnElement[bool]]:
    """That the column has one of the values, if any are asked for."""
    return [column.in_(wanted)] if wanted else []


def of_currency(column: SQLCoreOperations[Any], filters: ExportFilters) -> list[ColumnElement[bool]]:
    """That it is in the currency that is asked for."""
    return [] if filters.currency is None else [column == filters.currency]


def but_tests(is_test: SQLCoreOperations[Any], filters: ExportFilters) -> list[ColumnElement[bool]]:
    """That it is no test, unless tests are asked for; what belongs to no order is none."""
    return [] if filters.include_tests else [is_test.is_not(True)]


def _start(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
