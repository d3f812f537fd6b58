"""How the rows of an export are cut into parts, each of which is written by itself, and into sheets."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ExportLimits:
    """How many rows there are at most of what. A sheet's limit counts its header and its totals, as Excel does."""

    chunk_rows: int = 5_000
    part_rows: int = 50_000
    sheet_rows: int = 1_048_576
    pdf_rows: int = 10_000


@dataclass(frozen=True)
class PlannedPart:
    """The rows `first` to `last` (not with it) of an export, counted from 0, which are on sheet number `sheet`.

    `offset` is how many rows that sheet has before them.
    """

    number: int
    sheet: int
    first: int
    last: int
    offset: int


def planned_parts(row_count: int, part_rows: int, rows_of_sheet: int | None) -> Sequence[PlannedPart]:
    """The parts in their order; no part is on two sheets, so that each is written whole.

    `rows_of_sheet` is how many rows a sheet holds beside its header and totals; a file without sheets has no limit.
    """
    parts: list[PlannedPart] = []
    first = 0
    while first < row_count:
        sheet, offset = divmod(first, rows_of_sheet) if rows_of_sheet else (0, first)
        ends_sheet = (sheet + 1) * rows_of_sheet if rows_of_sheet else row_count
        last = min(first + part_rows, ends_sheet, row_count)
        parts.append(PlannedPart(len(parts), sheet, first, last, offset))
        first = last
    return parts
