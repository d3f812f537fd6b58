"""The values of an export's snapshot: out of their JSON, typed as their columns say."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias
from zoneinfo import ZoneInfo

from activities.export_columns import Column, ColumnType
from models.money import in_major_units

Value: TypeAlias = str | int | Decimal | bool | date | datetime | None
Row: TypeAlias = Sequence[Value]

TOTAL = "Total"
_NUMBERS = {ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.PERCENT}


def rows_of(chunk: str, columns: Sequence[Column], zone: ZoneInfo) -> list[list[Value]]:
    """The rows of a chunk: money in major units, moments in the zone; what is not of its column's type is text.

    Raises `ValueError` if the chunk is no JSON, or has another number of columns.
    """
    read = [_reader(column, columns, zone) for column in columns]
    rows: list[list[object]] = json.loads(chunk, parse_float=Decimal)
    return [[each(value, row) for each, value in zip(read, row, strict=True)] for row in rows]


def total_rows(columns: Sequence[Column], totals: Mapping[str, object]) -> list[list[Value]]:
    """The rows below the last: one for each currency, what is no money in the first of them; none without totals."""
    if not totals:
        return []
    sums: dict[str, Mapping[str | None, object]] = {
        key: total if isinstance(total, Mapping) else {None: total} for key, total in totals.items()
    }
    currencies: Sequence[str | None] = sorted({str(each) for total in sums.values() for each in total if each})
    rows: list[list[Value]] = []
    for currency in currencies or [None]:
        is_first = not rows
        row: list[Value] = []
        for column in columns:
            total = sums.get(column.key, {})
            if column.type is ColumnType.MONEY and currency in total:
                row.append(in_major_units(int(str(total[currency])), str(currency)))
            elif None in total and is_first:
                row.append(_number(total[None]))
            else:
                is_named = any(each.currency_of == column.key and each.is_totalled for each in columns)
                row.append(currency if is_named else None)
        if columns and row[0] is None:
            row[0] = TOTAL
        rows.append(row)
    return rows


_Reader: TypeAlias = Callable[[object, Sequence[object]], Value]


def _reader(column: Column, columns: Sequence[Column], zone: ZoneInfo) -> _Reader:
    match column.type:
        case ColumnType.MONEY:
            place = next(place for place, each in enumerate(columns) if each.key == column.currency_of)
            return lambda value, row: None if value is None else in_major_units(int(str(value)), str(row[place]))
        case ColumnType.MOMENT:
            return lambda value, _: _moment(value, zone)
        case ColumnType.DATE:
            return lambda value, _: _date(value)
        case ColumnType.BOOLEAN:
            return lambda value, _: value if isinstance(value, bool) else _text(value)
        case number if number in _NUMBERS:
            return lambda value, _: _number(value)
        case _:
            return lambda value, _: _text(value)


def _moment(value: object, zone: ZoneInfo) -> Value:
    try:
        return None if value is None else datetime.fromisoformat(str(value)).astimezone(zone)
    except (ValueError, OverflowError):
        return str(value)


def _date(value: object) -> Value:
    try:
        return None if value is None else date.fromisoformat(str(value))
    except ValueError:
        return str(value)


def _number(value: object) -> Value:
    return value if isinstance(value, int | Decimal) or value is None else _text(value)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
