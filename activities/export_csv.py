"""Rows of an export as CSV (RFC 4180, UTF-8): for programs, so every line is a row and nothing else is in the file."""

import csv
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from io import StringIO

from activities.export_columns import Column
from activities.export_facts import ExportFacts
from activities.export_values import Row, Value
from activities.spreadsheet_cells import csv_text

# Excel takes a file without it for one in the code page of the machine.
BYTE_ORDER_MARK = "\ufeff"
SNAPSHOT_COLUMN = "As of"


def csv_head(columns: Sequence[Column]) -> bytes:
    """How the file begins. Its last column says in each row of when it is: a CSV file has no other place for that."""
    titles = [csv_text(column.title) for column in columns]
    return (BYTE_ORDER_MARK + _lines([[*titles, SNAPSHOT_COLUMN]])).encode()


def csv_rows(facts: ExportFacts, rows: Iterable[Row]) -> bytes:
    """The rows: dates and moments in ISO 8601, these with the offset of the academy's zone; amounts in major units.

    Text that looks like a formula is behind an apostrophe; numbers below zero are not.
    """
    as_of = _field(facts.snapshot_at.astimezone(facts.zone))
    return _lines([*map(_field, row), as_of] for row in rows).encode()


def _lines(rows: Iterable[Sequence[str]]) -> str:
    written = StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue()


def _field(value: Value) -> str:
    match value:
        case None:
            return ""
        case str():
            return csv_text(value)
        case bool():
            return "true" if value else "false"
        case datetime() | date():
            return value.isoformat()
        case int():
            return str(value)
        case _:
            return f"{value:f}"
