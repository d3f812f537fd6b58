"""Rows of an export as a workbook: openpyxl writes every cell, some thousand rows at a time, and the frame around them.

The rows of a sheet are written in fragments, by themselves; the workbook is made without them, and what is between its
header and its totals is copied in while it is put together. So neither holds more than its own rows in memory.
"""

import gzip
import shutil
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import IO, TypeAlias
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.cell._writer import write_cell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet
from openpyxl.writer.excel import ExcelWriter
from openpyxl.xml.functions import xmlfile

from activities.export_columns import NUMERIC, Column, ColumnType
from activities.export_facts import ExportFacts
from activities.export_values import Row, Value
from activities.spreadsheet_cells import amount_format, cell_text, looks_like_formula

_HEADER_ROWS = 1
_FIRST_DAY = date(1900, 3, 1)  # before it, Excel counts the days in another way, or not at all
_OPENS, _CLOSES, _ROW_ENDS = b"<sheetData>", b"</sheetData>", b"</row>"
_PLACES = range(5)
_WIDTHS = (8, 60)
_FORMATS: Mapping[str, str] = {
    "text": "General",
    "integer": "#,##0",
    "number": "General",
    "percent": "0.0%",
    # Excel says so by itself; LibreOffice would say 1 and 0.
    "boolean": '"TRUE";"TRUE";"FALSE"',
    "date": "yyyy-mm-dd",
    "moment": "yyyy-mm-dd hh:mm:ss",
    **{f"money{places}": amount_format(places) for places in _PLACES},
}
_FACE = {"name": "Calibri", "size": 11, "bold": True}
_HEAD_FONT, _BOLD = Font(**_FACE, color="FFFFFF"), Font(**_FACE)
_HEAD_FILL = PatternFill("solid", fgColor="2F4BDD")
_RIGHT = Alignment(horizontal="right")
_TOTALS_FILL = PatternFill("solid", fgColor="E8ECFB")


@dataclass(frozen=True)
class SheetOfParts:
    """The rows of one sheet: how many there are, and the files that hold them, compressed by gzip, in their order."""

    rows: int
    parts: Sequence[Path]


@dataclass(frozen=True)
class _Gap:
    """A sheet that has no rows yet; `extent` is what it says of how large it is, `true_extent` what it has to say."""

    sheet: SheetOfParts
    extent: bytes
    true_extent: bytes


_Gaps: TypeAlias = Mapping[str, _Gap]


def rows_of_sheet(total_rows: int, sheet_rows: int) -> int:
    """How many rows a sheet holds, if it holds `sheet_rows` with its header and the rows of totals."""
    return sheet_rows - _HEADER_ROWS - total_rows


def xlsx_rows(facts: ExportFacts, rows: Sequence[Row], offset: int) -> bytes:
    """The rows as elements of a sheet that has `offset` rows before them, below its header."""
    palette = _Palette(Workbook(write_only=True).create_sheet())
    written = BytesIO()
    with xmlfile(written) as xf, xf.element("sheetData"):
        for number, row in enumerate(rows, start=offset + _HEADER_ROWS + 1):
            with xf.element("row", {"r": str(number)}):
                for place, (column, value) in enumerate(zip(facts.columns, row, strict=True), start=1):
                    if (cell := palette.cell(column, value)) is not None:
                        cell.row, cell.column = number, place
                        write_cell(xf, palette.sheet, cell, True)
    xml = written.getvalue()
    return xml[len(_OPENS) : -len(_CLOSES)] if rows else b""


def join_workbook(facts: ExportFacts, sheets: Sequence[SheetOfParts], sample: Sequence[Row], file: IO[bytes]) -> None:
    """Write the workbook into the file. What the columns hold in the `sample` decides how wide they are.

    The same parts make the same bytes.
    """
    frame, gaps = _frame(facts, sheets, sample)
    moment = max(facts.snapshot_at.astimezone(UTC), datetime(1980, 1, 1, tzinfo=UTC)).timetuple()[:6]
    with ZipFile(frame) as source, ZipFile(file, "w", ZIP_DEFLATED) as target:
        for name in dict.fromkeys(source.namelist()):
            info, content = ZipInfo(name, moment), source.read(name)
            info.compress_type = ZIP_DEFLATED
            if (gap := gaps.get(name)) is None:
                target.writestr(info, content)
                continue
            content = content.replace(gap.extent, gap.true_extent, 1)
            cut = content.index(_ROW_ENDS) + len(_ROW_ENDS)
            # The larger form of ZIP is for what needs it: programs complain of it elsewhere.
            info.file_size = len(content) + sum(map(_unpacked_size, gap.sheet.parts))
            with target.open(info, "w") as out:
                out.write(content[:cut])
                for part in gap.sheet.parts:
                    with gzip.open(part) as rows:
                        shutil.copyfileobj(rows, out, 1 << 20)
                out.write(content[cut:])


class _Palette:
    """A cell for each look, to be filled again and again. The looks are made in the same order in every workbook.

    So a cell that is written with one workbook looks as it should in another.
    """

    def __init__(self, sheet: object) -> None:
        self.sheet = sheet
        self._cells = {name: self._made(number_format=form) for name, form in _FORMATS.items()}
        self._cells["quoted"] = self._made(quotePrefix=True)
        self._cells["head"] = self._made(font=_HEAD_FONT, fill=_HEAD_FILL)
        self._cells["head of numbers"] = self._made(font=_HEAD_FONT, fill=_HEAD_FILL, alignment=_RIGHT)
        self._cells["label"] = self._made(font=_BOLD)
        for name, form in _FORMATS.items():
            self._cells[f"total {name}"] = self._made(number_format=form, font=_BOLD, fill=_TOTALS_FILL)

    def _made(self, **look: object) -> Cell:
        cell = WriteOnlyCell(self.sheet)
        for name, value in look.items():
            setattr(cell, name, value)
        _ = cell.style_id  # gives it its number
        return cell

    def cell(self, column: Column, value: Value) -> Cell | None:
        """The value as a typed cell; none for none, and for a text without a letter."""
        if value is None or value == "":
            return None
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, date) and _day_of(value) < _FIRST_DAY:
            return self.text(value.isoformat())
        name, shown = _look(column, value)
        cell = self._cells[name]
        cell.value = shown
        return cell

    def text(self, text: str, look: str | None = None) -> Cell:
        """The text in a cell that no program takes for anything else."""
        fit = cell_text(text)
        cell = self._cells[look or ("quoted" if looks_like_formula(fit) else "text")]
        cell.value = fit
        cell.data_type = "s"
        return cell

    def total(self, column: Column, value: Value) -> Cell:
        """The value of a row of totals."""
        if isinstance(value, str):
            return self.text(value, "total text")
        name, shown = _look(column, value)
        cell = self._cells[f"total {name}"]
        cell.value = shown
        cell.data_type = "n"
        return cell


def _look(column: Column, value: Value) -> tuple[str, Value]:
    """The name of the look, and the value as a workbook has it: local time without a zone, whole seconds."""
    look, shown = "number", value
    match value:
        case bool():
            look = "boolean"
        case datetime():
            look, shown = "moment", value.replace(tzinfo=None, microsecond=0)
        case date():
            look = "date"
        case Decimal() if column.type is ColumnType.MONEY:
            look = f"money{min(max(0, -int(value.as_tuple().exponent)), _PLACES[-1])}"
        case Decimal() | int() if column.type is ColumnType.PERCENT:
            look, shown = "percent", Decimal(value) / 100
        case int():
            look = "integer"
    return look, shown


def _day_of(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _frame(facts: ExportFacts, sheets: Sequence[SheetOfParts], sample: Sequence[Row]) -> tuple[BytesIO, _Gaps]:
    """The workbook without its rows, and where they belong."""
    book = Workbook()
    book.remove(book.active)
    made = [book.create_sheet(_sheet_title(facts.title, number)) for number in range(1, len(sheets) + 1)]
    palette = _Palette(made[0])
    for sheet, rows in zip(made, sheets, strict=True):
        _furnish(sheet, palette, facts, rows.rows, sample, is_last=sheet is made[-1])
    _inform(book.create_sheet("Information"), palette, facts)
    properties = book.properties
    properties.creator, properties.title = "Registrar", facts.title
    properties.created = properties.modified = facts.snapshot_at.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    kept = BytesIO()
    with ZipFile(kept, "w", ZIP_DEFLATED) as archive:
        ExcelWriter(book, archive).save()
    gaps: dict[str, _Gap] = {}
    for sheet, rows in zip(made, sheets, strict=True):
        last = max(sheet.max_row, rows.rows + _HEADER_ROWS)
        wrong, right = (f'ref="A1:{get_column_letter(len(facts.columns))}{row}"' for row in (sheet.max_row, last))
        gaps[sheet.path.removeprefix("/")] = _Gap(rows, wrong.encode(), right.encode())
    return kept, gaps


def _furnish(
    sheet: Worksheet, palette: _Palette, facts: ExportFacts, rows: int, sample: Sequence[Row], *, is_last: bool
) -> None:
    """Everything of a sheet but its rows."""
    for place, column in enumerate(facts.columns, start=1):
        head = "head of numbers" if column.type in NUMERIC else "head"
        _put(sheet, 1, place, palette.text(column.title, head))
        lengths = (len(_shown(row[place - 1])) for row in sample)
        width = max([len(column.title) + 4, *lengths]) + 2
        sheet.column_dimensions[get_column_letter(place)].width = min(max(width, _WIDTHS[0]), _WIDTHS[1])
    sheet.freeze_panes = f"A{_HEADER_ROWS + 1}"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(facts.columns))}{rows + _HEADER_ROWS}"
    sheet.print_title_rows = f"1:{_HEADER_ROWS}"
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    if is_last:
        for number, row in enumerate(facts.total_rows, start=rows + _HEADER_ROWS + 1):
            for place, (column, value) in enumerate(zip(facts.columns, row, strict=True), start=1):
                _put(sheet, number, place, palette.total(column, value))


def _inform(sheet: Worksheet, palette: _Palette, facts: ExportFacts) -> None:
    for number, (label, text) in enumerate(facts.information, start=1):
        _put(sheet, number, 1, palette.text(label, "label"))
        _put(sheet, number, 2, palette.text(text))
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 18, 80


def _put(sheet: Worksheet, row: int, column: int, filled: Cell) -> None:
    cell = sheet.cell(row=row, column=column)
    cell.value, cell.data_type = filled.value, filled.data_type
    cell._style = copy(filled._style)


def _shown(value: Value) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value or "")


def _sheet_title(title: str, number: int) -> str:
    plain = (
        " ".join("".join(" " if each in "[]:*?/\\" else each for each in title).split())[:25].strip(" '") or "Export"
    )
    return plain if number == 1 else f"{plain} {number}"


def _unpacked_size(part: Path) -> int:
    """Bytes of a file that is compressed by gzip, as its last four say; parts are smaller than they can count."""
    with part.open("rb") as packed:
        packed.seek(-4, 2)
        return int.from_bytes(packed.read(4), "little")
