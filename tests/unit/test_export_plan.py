"""How an export is cut into parts and sheets."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from activities.export_parts import plan_of
from models.vocabulary import ExportFormat
from rules.export_plan import ExportLimits, planned_parts


@given(st.integers(0, 5_000), st.integers(1, 700), st.none() | st.integers(1, 900))
def test_every_row_is_in_one_part_and_no_part_is_on_two_sheets(
    row_count: int, part_rows: int, rows_of_sheet: int | None
) -> None:
    parts = planned_parts(row_count, part_rows, rows_of_sheet)
    assert [part.number for part in parts] == list(range(len(parts)))
    assert [row for part in parts for row in range(part.first, part.last)] == list(range(row_count))
    assert all(0 < part.last - part.first <= part_rows for part in parts)
    for part in parts:
        start = part.sheet * (rows_of_sheet or 0)
        assert part.offset == part.first - start
        assert rows_of_sheet is None or start <= part.first < part.last <= start + rows_of_sheet
    for before, after in pairwise(parts):
        assert after.sheet - before.sheet in {0, 1}
        # Only the end of a sheet, or of all, makes a part short.
        assert before.last - before.first == part_rows or after.sheet > before.sheet


def test_a_sheet_is_full_with_its_header_and_totals() -> None:
    limits = ExportLimits()
    parts = plan_of(ExportFormat.XLSX, 1_100_000, 3, limits)
    last_of_first = [part for part in parts if part.sheet == 0][-1]
    assert 1 + last_of_first.last + 3 == 1_048_576
    assert len(plan_of(ExportFormat.XLSX, 1_048_572, 3, limits)) == 21
    assert {part.sheet for part in plan_of(ExportFormat.XLSX, 1_048_572, 3, limits)} == {0}
    assert {part.sheet for part in plan_of(ExportFormat.CSV, 3_000_000, 3, limits)} == {0}
    assert plan_of(ExportFormat.PDF, 10_000, 3, limits) == ()
