"""The files of exports, opened by others' programs: nothing is a formula, everything is of its type."""

import csv
import gzip
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from openpyxl.worksheet.worksheet import Worksheet
from pypdf import PdfReader

from activities.certificate_workbook import ShownLine, workbook_of
from activities.export_columns import Column, ColumnType
from activities.export_csv import csv_head, csv_rows
from activities.export_facts import ExportFacts
from activities.export_pdf import export_pdf
from activities.export_values import Value, rows_of, total_rows
from activities.export_xlsx import SheetOfParts, join_workbook, xlsx_rows
from activities.spreadsheet_cells import LONGEST_TEXT, cell_text, csv_text, looks_like_formula
from models.vocabulary import ExportFormat

WARSAW = ZoneInfo("Europe/Warsaw")
COLUMNS = (
    Column("name", "Name"),
    Column("currency", "Currency"),
    Column("amount", "Amount", ColumnType.MONEY, "currency", is_totalled=True),
    Column("lessons", "Lessons", ColumnType.INTEGER, is_totalled=True),
    Column("score", "Score", ColumnType.NUMBER),
    Column("done", "Done", ColumnType.PERCENT),
    Column("paid", "Paid", ColumnType.BOOLEAN),
    Column("born", "Born", ColumnType.DATE),
    Column("at", "At", ColumnType.MOMENT),
)
TOTALS: dict[str, object] = {"amount": {"EUR": 123456, "JPY": 500, "KWD": -1500}, "lessons": 7}
FORMULAS = (
    *('=1+1', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x","y")'),
    *("＝1+1", "＋1", "－1", "＠SUM(A1)", "﹦1", "⁺1"),
    *("  =1+1", "\u00a0=1", "\u200b=1", "\ufeff=1", " \t -1", "\x00=1", "\x0b+1"),
    *("=", "-", "+49 170 1234567", "-5", "=A1;\"=B1\""),
)  # fmt: skip
HARMLESS = (
    "a=b",
    "1-2",
    "O'Brien",
    "'=1",
    '"=1',
    "#N/A",
    "ليلى",
    "👩‍🏫",
    "TRUE",
    "2026-01-01",
    "1e5",
    "007",
    "_x0041_",
)


def facts(columns: Sequence[Column] = COLUMNS, rows: int = 0, totals: dict[str, object] | None = None) -> ExportFacts:
    return ExportFacts(
        UUID(int=1), "orders", ExportFormat.XLSX, "Orders [all]: new/old", "TutorHub Academy", WARSAW,
        tuple(columns), rows, totals or {},
        datetime(2026, 11, 21, 9, 30, tzinfo=UTC), ["from 2026-01-01", "status paid"], "Rosa (staff)",
    )  # fmt: skip


def workbook(about: ExportFacts, rows: Sequence[Sequence[Value]], folder: Path, *per_sheet: int) -> bytes:
    """The rows as a workbook, in parts of at most three rows, with so many on each sheet."""
    sheets, first = [], 0
    for number, count in enumerate(per_sheet or (len(rows),)):
        paths = []
        for offset in range(0, count, 3):
            part = rows[first + offset : first + min(offset + 3, count)]
            paths.append(folder / f"{number}-{offset}")
            paths[-1].write_bytes(gzip.compress(xlsx_rows(about, part, offset)))
        sheets.append(SheetOfParts(count, paths))
        first += count
    file = BytesIO()
    join_workbook(about, sheets, rows[:10], file)
    return file.getvalue()


def read(rows: Sequence[Sequence[object]], columns: Sequence[Column] = COLUMNS) -> list[list[Value]]:
    return rows_of(json.dumps(rows), columns, WARSAW)


def cells(sheet: Worksheet, first: int = 2) -> list[list[object]]:
    return [[cell.value for cell in row] for row in sheet.iter_rows(min_row=first)]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_begins_like_a_formula_looks_like_one(text: str) -> None:
    assert looks_like_formula(text)
    assert csv_text(text).startswith(f"'{text[0]}")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("Ada;=1+1", "Ada;'=1+1"),
        ('Ada;"=1+1"', 'Ada;\'"=1+1"'),
        ("Ada; \u200b＝1; Bea", "Ada;' \u200b＝1; Bea"),
        ("Ada\n@SUM(A1)\t+1", "Ada\n'@SUM(A1)\t'+1"),
        ("=1;-1", "'=1;'-1"),
        ("Spanish A1; German B2\nat noon", "Spanish A1; German B2\nat noon"),
    ],
)
def test_a_formula_where_another_program_begins_a_field_stays_text_too(text: str, field: str) -> None:
    assert csv_text(text) == field


@pytest.mark.parametrize("text", HARMLESS)
def test_what_does_not_is_left_alone(text: str) -> None:
    assert not looks_like_formula(text)
    assert csv_text(text) == text


def test_no_text_is_a_formula_in_a_workbook(tmp_path: Path) -> None:
    texts = [*FORMULAS, *HARMLESS]
    columns = (Column("text", "=Title"), Column("place", "Place", ColumnType.INTEGER))
    made = workbook(facts(columns, len(texts)), [[text, place] for place, text in enumerate(texts)], tmp_path)
    sheet = load_workbook(BytesIO(made)).worksheets[0]
    held = [cell_text(text) for text in texts]
    assert [cell.value for cell in sheet["A"]] == ["=Title", *held]
    assert {cell.data_type for cell in sheet["A"]} == {"s"}
    assert [cell.quotePrefix for cell in sheet["A"][1:]] == [looks_like_formula(text) for text in held]
    with ZipFile(BytesIO(made)) as archive:
        assert not any(b"<f>" in archive.read(name) for name in archive.namelist())
    frame = pd.read_excel(BytesIO(made), keep_default_na=False, dtype={"=Title": str})
    assert list(frame["=Title"]) == held
    assert list(frame["Place"]) == list(range(len(texts)))


def test_no_text_is_a_formula_in_a_csv_file() -> None:
    texts = [*FORMULAS, *HARMLESS]
    columns = (Column("text", "Text"), Column("amount", "Amount", ColumnType.INTEGER))
    about = facts(columns, len(texts))
    written = csv_head(columns) + csv_rows(about, [[text, -5] for text in texts])
    rows = list(csv.reader(StringIO(written.decode("utf-8-sig"), newline="")))
    assert rows[0] == ["Text", "Amount", "As of"]
    assert [row[0] for row in rows[1:]] == [csv_text(text) for text in texts]
    # A number below zero is a number, and every row says of when it is.
    assert {tuple(row[1:]) for row in rows[1:]} == {("-5", "2026-11-21T10:30:00+01:00")}
    assert not any(row[0].startswith(("=", "+", "-", "@")) for row in rows)


def test_the_other_workbook_knows_the_same_formulas() -> None:
    lines = [ShownLine(1, UUID(int=1), "=cmd|' /C calc'!A0", None, None, None)]
    sheet = load_workbook(BytesIO(workbook_of(lines))).active
    assert isinstance(sheet, Worksheet)
    assert (sheet["C2"].value, sheet["C2"].data_type, sheet["C2"].quotePrefix) == ("=cmd|' /C calc'!A0", "s", True)


# Both nights of Warsaw: the hour that is not there, and the one that is there twice.
MOMENTS = {
    "2026-03-29T00:59:59+00:00": datetime.fromisoformat("2026-03-29T01:59:59"),
    "2026-03-29T01:00:00+00:00": datetime.fromisoformat("2026-03-29T03:00:00"),
    "2026-10-25T00:30:00+00:00": datetime.fromisoformat("2026-10-25T02:30:00"),
    "2026-10-25T01:30:00.654321+00:00": datetime.fromisoformat("2026-10-25T02:30:00"),
    "infinity": "infinity",
    "1066-10-14T00:00:00+00:00": "1066-10-14T01:24:00+01:24",
}
ROWS: list[list[object]] = [
    ["Łukasz Żółciński", "EUR", 123456, 3, 0.5, 66.7, True, "2026-02-28", moment] for moment in MOMENTS
] + [
    ["ليلى الحسيني", "JPY", 500, 4, 12345678.25, 0, False, "1899-12-31", None],
    ["王小明 👩‍🏫", "KWD", -1500, 0, None, 100, None, "9999-12-31", None],
    ["", "EUR", None, None, None, None, None, None, None],
]


def test_every_value_is_of_its_type_in_a_workbook(tmp_path: Path) -> None:
    made = workbook(facts(COLUMNS, len(ROWS), TOTALS), read(ROWS), tmp_path)
    book = load_workbook(BytesIO(made))
    sheet = book.worksheets[0]
    found = cells(sheet)
    assert [row[8] for row in found[: len(MOMENTS)]] == list(MOMENTS.values())
    assert found[0][:8] == [
        "Łukasz Żółciński",
        "EUR",
        1234.56,
        3,
        0.5,
        0.667,
        True,
        datetime.fromisoformat("2026-02-28T00:00:00"),
    ]
    assert found[6][:8] == ["ليلى الحسيني", "JPY", 500, 4, 12345678.25, 0, False, "1899-12-31"]
    assert found[7][:8] == ["王小明 👩‍🏫", "KWD", -1.5, 0, None, 1, None, datetime.fromisoformat("9999-12-31T00:00:00")]
    assert found[8] == [None, "EUR", *[None] * 7]
    formats = [[cell.number_format for cell in row] for row in sheet.iter_rows(min_row=2)]
    assert [formats[row][2] for row in (0, 6, 7)] == ["#,##0.00", "#,##0", "#,##0.000"]
    assert formats[0][5:] == ["0.0%", '"TRUE";"TRUE";"FALSE"', "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"]
    # The totals are below the filter, a row for each currency.
    assert [row[:4] for row in found[9:]] == [
        ["Total", "EUR", 1234.56, 7], ["Total", "JPY", 500, None], ["Total", "KWD", -1.5, None],
    ]  # fmt: skip
    assert (sheet.auto_filter.ref, sheet.freeze_panes, sheet.dimensions) == ("A1:I10", "A2", "A1:I13")
    assert sheet["A1"].font.bold
    assert sheet["A11"].font.bold
    assert dict(cells(book["Information"], 1))["Narrowed to"] == "from 2026-01-01; status paid"
    assert dict(cells(book["Information"], 1))["As of"] == "2026-11-21 10:30:00 CET"
    frame = pd.read_excel(BytesIO(made)).iloc[: len(ROWS)]
    assert list(frame["Currency"].value_counts().items()) == [("EUR", 7), ("JPY", 1), ("KWD", 1)]
    assert frame["Amount"].sum() == pytest.approx(6 * 1234.56 + 500 - 1.5)


def test_every_value_is_of_its_type_in_a_csv_file() -> None:
    about = facts(COLUMNS, len(ROWS))
    written = csv_head(COLUMNS) + csv_rows(about, read(ROWS))
    frame = pd.read_csv(BytesIO(written), dtype={"Amount": str})
    assert list(frame.columns) == [*(column.title for column in COLUMNS), "As of"]
    assert list(frame["Amount"])[5:] == ["1234.56", "500", "-1.500", frame["Amount"].iloc[8]]
    assert list(frame["At"])[1:4] == [
        "2026-03-29T03:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00.654321+01:00",
    ]  # fmt: skip
    assert list(frame["Paid"].dropna().unique()) == [True, False]
    assert frame["Born"].iloc[6] == "1899-12-31"
    assert frame["Name"].iloc[7] == "王小明 👩‍🏫"


@settings(max_examples=4)
@given(st.lists(st.text(max_size=30), min_size=60, max_size=80))
def test_every_text_comes_back_as_a_cell_holds_it(texts: list[str]) -> None:
    with TemporaryDirectory() as folder:
        made = workbook(facts((Column("text", "Text"),), len(texts)), [[text] for text in texts], Path(folder))
    sheet = load_workbook(BytesIO(made)).worksheets[0]
    found = [sheet.cell(row=row, column=1).value for row in range(2, len(texts) + 2)]
    assert found == [cell_text(text) or None for text in texts]


def test_a_long_text_ends_where_a_cell_does() -> None:
    assert cell_text("x" * LONGEST_TEXT) == "x" * LONGEST_TEXT
    for letter in ("x", "👩", "ł"):
        fit = cell_text(letter * (LONGEST_TEXT + 5))
        assert len(fit.encode("utf-16-le")) // 2 in {LONGEST_TEXT, LONGEST_TEXT - 1}
        assert fit.endswith(f"{letter}…")
    assert cell_text("a\x00\x1f\ufffe\ud800b\r\nc\rd") == "ab\nc\nd"


def test_a_fragment_is_what_the_library_writes_itself() -> None:
    """Only the numbers of the looks differ: this is what we rely on of its inner parts."""
    columns = (
        Column("text", "Text"),
        Column("number", "Number", ColumnType.NUMBER),
        Column("b", "B", ColumnType.BOOLEAN),
    )
    rows: list[list[Value]] = [["Ł & <b>", Decimal("1.25"), True], [None, 7, None], [" spaced ", None, False]]
    book, kept = Workbook(write_only=True), BytesIO()
    sheet = book.create_sheet()
    for row in rows:
        sheet.append(row)
    book.save(kept)
    with ZipFile(kept) as archive:
        theirs = archive.read("xl/worksheets/sheet1.xml").partition(b"<sheetData>")[2].partition(b"</sheetData>")[0]
    ours = re.sub(rb' s="\d+"', b"", xlsx_rows(facts(columns), rows, -1))
    assert ours == theirs


def test_sheets_are_split_each_with_its_header_and_the_last_with_totals(tmp_path: Path) -> None:
    rows = [["x", "EUR", place, 1, None, None, None, None, None] for place in range(10)]
    about = facts(COLUMNS, 10, {"amount": {"EUR": 45}, "lessons": 10})
    made = workbook(about, read(rows), tmp_path, 4, 4, 2)
    book = load_workbook(BytesIO(made))
    assert book.sheetnames == ["Orders all new old", "Orders all new old 2", "Orders all new old 3", "Information"]
    for sheet in book.worksheets[:3]:
        assert [cell.value for cell in sheet[1]] == [column.title for column in COLUMNS]
        assert sheet.auto_filter.ref == f"A1:I{5 if sheet is not book.worksheets[2] else 3}"
    assert [sheet.max_row for sheet in book.worksheets[:3]] == [5, 5, 4]
    assert [row[2] for sheet in book.worksheets[:3] for row in cells(sheet)] == [*(p / 100 for p in range(10)), 0.45]
    # Readers that do not look at every row believe what a sheet says of its extent.
    with ZipFile(BytesIO(made)) as archive:
        sheets = [archive.read(f"xl/worksheets/sheet{number}.xml") for number in (1, 2, 3)]
    extents = [re.findall(rb'<dimension ref="([^"]*)"', sheet) for sheet in sheets]
    assert extents == [[b"A1:I5"], [b"A1:I5"], [b"A1:I4"]]
    # A second time the same bytes: nothing in it is of a clock.
    assert workbook(about, read(rows), tmp_path, 4, 4, 2) == made


def test_an_export_without_rows_is_a_file_nonetheless(tmp_path: Path) -> None:
    book = load_workbook(BytesIO(workbook(facts(), [], tmp_path, 0)))
    assert cells(book.worksheets[0]) == []
    assert list(pd.read_csv(BytesIO(csv_head(COLUMNS)))) == [*(column.title for column in COLUMNS), "As of"]
    assert "Page 1 of 1" in PdfReader(BytesIO(export_pdf(facts(), []))).pages[0].extract_text()


def test_a_pdf_repeats_its_header_and_counts_its_pages() -> None:
    rows = read(ROWS) + read([[f"Learner {n}", "EUR", n, n, None, None, None, None, None] for n in range(120)])
    about = facts(COLUMNS, len(rows), TOTALS)
    made = export_pdf(about, rows)
    assert export_pdf(about, rows) == made
    pages = [page.extract_text() for page in PdfReader(BytesIO(made)).pages]
    assert len(pages) > 2
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
        assert "Lessons" in page
    for said in ("TutorHub Academy", "from 2026-01-01; status paid", "2026-11-21 10:30:00 CET", "Rosa (staff)"):
        assert said in pages[0]
    assert "Learner 119" in pages[-1]
    assert "1,234.56" in pages[-1]
    box = PdfReader(BytesIO(made)).pages[0].mediabox
    assert box.width > box.height


def test_a_wide_table_gets_wider_paper() -> None:
    columns = [Column(f"c{n}", f"Column number {n}") for n in range(30)]
    made = export_pdf(facts(columns, 1), [["some words that take room"] * 30])
    assert PdfReader(BytesIO(made)).pages[0].mediabox.width > 1_600


def test_totals_have_a_row_for_each_currency() -> None:
    assert total_rows(COLUMNS, {}) == []
    assert [row[:4] for row in total_rows(COLUMNS, {"lessons": 7})] == [["Total", None, None, 7]]
    only = (Column("lessons", "Lessons", ColumnType.INTEGER, is_totalled=True),)
    assert total_rows(only, {"lessons": 7}) == [[7]]
    assert read([["x", "EUR", 1, 2, 3, 4, False, "2026-01-01", None]])[0][7] == date(2026, 1, 1)
