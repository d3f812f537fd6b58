"""What the workbooks of all reports are made of: typed cells, sheets with a head, and charts of their own columns.

Text is text, whatever it begins with: no program takes a title for a formula.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.chart import BarChart, Reference, Series
from openpyxl.chart.shapes import GraphicalProperties
from openpyxl.styles import Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from activities.one_line import one_line
from activities.report_facts import Heading
from activities.spreadsheet_cells import amount_format, put_text
from models.money import in_major_units, places_of

_A4 = 9  # in the words of the format
_BOLD = Font(name="Calibri", size=11, bold=True)
_HEAD_FILL = PatternFill("solid", fgColor="E8ECF8")
_OVER = Border(top=Side(style="thin"))
_DAY, _MOMENT = "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"
_COLORS = ("0072B2", "E69F00")
_CHART_SIZE = (26.0, 9.0)  # centimeters


@dataclass(frozen=True)
class Amount:
    """A sum of minor units, shown in major ones."""

    amount: int
    currency: str


@dataclass(frozen=True)
class Percent:
    """A share, in thousandths."""

    thousandths: int


Value = str | int | date | datetime | Amount | Percent | None


@dataclass(frozen=True)
class Head:
    """A column: what it is called, and how wide it is in characters."""

    title: str
    width: float = 14


@dataclass(frozen=True)
class Drawn:
    """A chart of some rows of a sheet: the columns (from 1) that name them, and its bars."""

    title: str
    unit: str
    first_row: int
    last_row: int
    names: int
    bars: tuple[tuple[int, str], ...]
    is_lying: bool = False


class ReportBook:
    """A workbook while it is written. Moments are on the academy's clocks."""

    def __init__(self, heading: Heading) -> None:
        self.heading = heading
        self._book = Workbook(write_only=True)
        self._book.properties.title = f"{heading.title}, {heading.days}"
        self._book.properties.creator = one_line(heading.academy)
        self._book.properties.created = self._book.properties.modified = heading.snapshot_at.replace(tzinfo=None)

    def sheet(
        self,
        title: str,
        heads: Sequence[Head],
        rows: Iterable[Sequence[Value]],
        totals: Sequence[Sequence[Value]] = (),
    ) -> WriteOnlyWorksheet:
        """A sheet with a frozen head, a filter over its rows, and sums below them."""
        sheet: WriteOnlyWorksheet = self._book.create_sheet(title)
        sheet.freeze_panes = "A2"
        sheet.print_title_rows = "1:1"
        sheet.page_setup.orientation = "landscape"
        sheet.page_setup.paperSize = _A4
        sheet.page_setup.fitToHeight = 0
        sheet.sheet_properties.pageSetUpPr.fitToPage = True
        for place, head in enumerate(heads, start=1):
            sheet.column_dimensions[get_column_letter(place)].width = head.width
        cells = [self._cell(sheet, head.title) for head in heads]
        for cell in cells:
            cell.font, cell.fill = _BOLD, _HEAD_FILL
        sheet.append(cells)
        count = 0
        for row in rows:
            sheet.append([self._cell(sheet, value) for value in row])
            count += 1
        sheet.auto_filter.ref = f"A1:{get_column_letter(len(heads))}{count + 1}"
        for total in totals:
            sums = [self._cell(sheet, value) for value in total]
            for cell in sums:
                cell.font, cell.border = _BOLD, _OVER
            sheet.append(sums)
        return sheet

    def charts(self, title: str, source: WriteOnlyWorksheet, drawn: Sequence[Drawn]) -> None:
        """A sheet with charts of the rows of another."""
        sheet: WriteOnlyWorksheet = self._book.create_sheet(title)
        sheet.page_setup.orientation = "landscape"
        sheet.page_setup.fitToHeight = 0
        sheet.sheet_properties.pageSetUpPr.fitToPage = True
        row = 1
        for each in drawn:
            sheet.add_chart(_chart(source, each), f"A{row}")
            row += 20

    def about(self, *more: tuple[str, str]) -> None:
        """The last sheet: what the workbook is, of when its figures are, and how they are counted."""
        heading = self.heading
        pairs = [
            ("Report", heading.title),
            ("Academy", heading.academy),
            ("Days", heading.days),
            ("State of the record", heading.as_of),
            ("What is in it", heading.narrowed),
            ("Moments", f"on the clocks of {heading.zone.key}"),
            ("Amounts", "in major units of the currency beside them"),
            *more,
        ]
        self.sheet("About", (Head("", 24), Head("", 120)), pairs)

    def saved(self) -> bytes:
        """The file."""
        kept = BytesIO()
        self._book.save(kept)
        return kept.getvalue()

    def _cell(self, sheet: WriteOnlyWorksheet, value: Value) -> WriteOnlyCell:
        if isinstance(value, Amount):
            cell = WriteOnlyCell(sheet, value=in_major_units(value.amount, value.currency))
            cell.number_format = number_format(value.currency)
        elif isinstance(value, Percent):
            cell = WriteOnlyCell(sheet, value=value.thousandths / 1000)
            cell.number_format = "0.0%"
        elif isinstance(value, datetime):
            cell = WriteOnlyCell(sheet, value=value.astimezone(self.heading.zone).replace(tzinfo=None))
            cell.number_format = _MOMENT
        elif isinstance(value, date):
            cell = WriteOnlyCell(sheet, value=value)
            cell.number_format = _DAY
        elif isinstance(value, str):
            cell = WriteOnlyCell(sheet)
            put_text(cell, one_line(value))
        else:
            cell = WriteOnlyCell(sheet, value=value)
        return cell


def number_format(currency: str) -> str:
    """How a spreadsheet shows amounts of the currency."""
    return amount_format(places_of(currency))


def _chart(source: WriteOnlyWorksheet, drawn: Drawn) -> BarChart:
    chart = BarChart()
    chart.type = "bar" if drawn.is_lying else "col"
    chart.title, chart.y_axis.title = drawn.title, drawn.unit
    chart.width, chart.height = _CHART_SIZE
    chart.gapWidth, chart.overlap = 60, 0
    for (column, name), color in zip(drawn.bars, _COLORS, strict=False):
        values = Reference(source, min_col=column, min_row=drawn.first_row, max_row=drawn.last_row)
        series = Series(values, title=name)
        series.graphicalProperties = GraphicalProperties(solidFill=color)
        chart.series.append(series)
    chart.set_categories(Reference(source, min_col=drawn.names, min_row=drawn.first_row, max_row=drawn.last_row))
    # Without it programs leave the axes out.
    chart.x_axis.delete = chart.y_axis.delete = False
    chart.y_axis.number_format = "#,##0"
    # Beside the bars, also where some are below nothing.
    chart.x_axis.tickLblPos = "low"
    if drawn.is_lying:
        chart.x_axis.scaling.orientation = "maxMin"
    chart.legend.position = "b"
    return chart
