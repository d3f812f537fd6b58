"""Rows of an export as a PDF to be printed or read: a table over pages that all begin with its header."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO

from reportlab.lib.pagesizes import A1, A2, A3, A4, landscape
from reportlab.lib.units import mm

from activities.document_page import ACCENT, INK, QUIET, RULE, Sheet
from activities.export_columns import NUMERIC, Column, ColumnType
from activities.export_facts import ExportFacts
from activities.export_values import Row, Value
from activities.fonts import SEMIBOLD
from activities.typesetting import SetLine, Style, Typesetter, advance

_MARGIN = 12 * mm
_FOOT = 10 * mm
_GAP = 6.0
_CHARACTER = 4.1  # points that one takes on average in the style of the cells
_SHORTEST, _LONGEST = 6, 34  # characters that a column has room for
_LINES_OF_CELL = 4
_CELL = Style(size=7.5, leading=10, color=INK, most=_LINES_OF_CELL)
_HEAD = replace(_CELL, weight=SEMIBOLD)
_TITLE = Style(size=16, leading=22, weight=SEMIBOLD, color=INK)
_SMALL = Style(size=8, leading=11.5, color=QUIET)


@dataclass(frozen=True)
class _Line:
    """A row of the table as it is set: the lines of each cell, and how high it is, in points."""

    cells: Sequence[Sequence[SetLine]]
    style: Style
    height: float


def export_pdf(facts: ExportFacts, rows: Sequence[Row]) -> bytes:
    """The table in landscape, on the smallest paper that is wide enough. The same rows are the same bytes."""
    return _Table(facts).pdf(rows)


class _Table:
    def __init__(self, facts: ExportFacts) -> None:
        self._facts = facts
        self._set = Typesetter("en", right_to_left=False)
        self._known: dict[tuple[str, float, Style], Sequence[SetLine]] = {}

    def pdf(self, rows: Sequence[Row]) -> bytes:
        facts = self._facts
        texts = [[_text(column, value) for column, value in zip(facts.columns, row, strict=True)] for row in rows]
        totals = [
            [_text(column, value) for column, value in zip(facts.columns, row, strict=True)] for row in facts.total_rows
        ]
        titles = [column.title for column in facts.columns]
        self._lay_out([titles, *texts, *totals])
        head = self._line(titles, _HEAD)
        pages = self._pages(head, [*(self._line(row, _CELL) for row in texts), *(self._line(r, _HEAD) for r in totals)])
        written = BytesIO()
        sheet = Sheet(written, pagesize=self._size, invariant=1, lang="en")
        sheet._doc._timeStamp.YMDhms = facts.snapshot_at.astimezone(UTC).timetuple()[:6]
        sheet.setTitle(facts.title)
        sheet.setAuthor(facts.academy)
        sheet.setCreator("Registrar")
        for number, page in enumerate(pages, start=1):
            self._draw(sheet, head, page, number, len(pages))
        sheet.save()
        return written.getvalue()

    def _lay_out(self, texts: Sequence[Sequence[str]]) -> None:
        """Choose the paper and how wide each column is: in proportion to its longest text, within reason."""
        longest = [max(len(row[place]) for row in texts) for place in range(len(self._facts.columns))]
        wanted = [min(max(each, _SHORTEST), _LONGEST) * _CHARACTER + _GAP for each in longest]
        papers = [landscape(paper) for paper in (A4, A3, A2, A1)]
        self._size = next((size for size in papers if size[0] - 2 * _MARGIN >= sum(wanted)), papers[-1])
        room = self._size[0] - 2 * _MARGIN
        self._widths = [each * room / sum(wanted) for each in wanted]

    def _line(self, texts: Sequence[str], style: Style) -> _Line:
        cells = [self._lines(text, width - _GAP, style) for text, width in zip(texts, self._widths, strict=True)]
        return _Line(cells, style, max(map(len, cells)) * style.leading + 3)

    def _lines(self, text: str, width: float, style: Style) -> Sequence[SetLine]:
        """The lines of a cell. Most texts of a table are in it many times."""
        key = (text, width, style)
        if key not in self._known:
            lines = self._set.lines(text, style, width) if text else []
            if len(lines) > style.most:
                lines = [*lines[: style.most - 1], *self._set.lines("\N{HORIZONTAL ELLIPSIS}", style, width)]
            self._known[key] = lines
        return self._known[key]

    def _pages(self, head: _Line, lines: Sequence[_Line]) -> list[list[_Line]]:
        height = self._size[1] - 2 * _MARGIN - _FOOT - head.height
        pages: list[list[_Line]] = [[]]
        left = height - _TITLE.leading - len(self._facts.information) * _SMALL.leading - 10
        for line in lines:
            if line.height > left and pages[-1]:
                pages.append([])
                left = height
            pages[-1].append(line)
            left -= line.height
        return pages

    def _draw(self, sheet: Sheet, head: _Line, lines: Sequence[_Line], number: int, pages: int) -> None:
        width, top = self._size[0], self._size[1] - _MARGIN
        sheet.setFillColor(ACCENT)
        sheet.rect(0, self._size[1] - 5, width, 5, stroke=0, fill=1)
        if number == 1:
            self._write(sheet, self._facts.title, _MARGIN, top - 14, _TITLE)
            top -= _TITLE.leading
            for label, text in self._facts.information:
                self._write(sheet, label, _MARGIN, top - 8, _SMALL)
                self._write(sheet, text, _MARGIN + 70, top - 8, _SMALL)
                top -= _SMALL.leading
            top -= 10
        for line in (head, *lines):
            self._draw_line(sheet, line, top)
            top -= line.height
        facts = self._facts
        foot = f"{facts.academy} · {facts.title} · {facts.snapshot_at.astimezone(facts.zone):%Y-%m-%d %H:%M %Z}"
        self._write(sheet, foot, _MARGIN, _MARGIN - 4, _SMALL)
        paging = f"Page {number} of {pages}"
        self._write(sheet, paging, width - _MARGIN - self._set.width(paging, _SMALL), _MARGIN - 4, _SMALL)
        sheet.showPage()

    def _draw_line(self, sheet: Sheet, line: _Line, top: float) -> None:
        left, style = _MARGIN, line.style
        sheet.setStrokeColor(RULE)
        sheet.setLineWidth(0.4)
        sheet.line(_MARGIN, top - line.height, self._size[0] - _MARGIN, top - line.height)
        for column, width, lines in zip(self._facts.columns, self._widths, line.cells, strict=True):
            for number, runs in enumerate(lines):
                free = width - _GAP - advance(runs, style) if column.type in NUMERIC else 0
                self._set.draw(sheet, runs, left + free, top - (number + 0.8) * style.leading, style)
            left += width

    def _write(self, sheet: Sheet, text: str, x: float, y: float, style: Style) -> None:
        # Half a point more than it takes: what ends at the margin is as wide as its room.
        lines = self._set.lines(text, style, self._size[0] - x - _MARGIN + 0.5)
        if lines:
            self._set.draw(sheet, lines[0], x, y, style)


def _text(column: Column, value: Value) -> str:
    """The value as people read it."""
    match value:
        case None:
            text = ""
        case str():
            text = value
        case bool():
            text = "yes" if value else "no"
        case datetime():
            text = f"{value:%Y-%m-%d %H:%M}"
        case date():
            text = value.isoformat()
        case int() | Decimal() if column.type is ColumnType.PERCENT:
            text = f"{Decimal(value):.1f} %"
        case _:
            text = f"{value:,}"
    return text
