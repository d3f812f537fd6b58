"""Documents as PDF: facts in, bytes out. The same facts give the same bytes, in every process and at every time."""

from collections.abc import Sequence

from reportlab.platypus import Flowable, HRFlowable, KeepTogether, Spacer, Table, TableStyle

from activities.document_page import ACCENT, INK, QUIET, RULE, WIDTH, Page, set_pages
from activities.document_words import Pairs, Party, Sheet, sheet_of
from activities.fonts import SEMIBOLD
from activities.printed import PrintedDocument
from activities.typesetting import Style, Typesetter

_SUMS = WIDTH / 2
_GAP = 16  # before a column of amounts
_SLACK = 0.1  # so that what was measured still fits after rounding
_LONGEST_HEAD = 72  # beyond that a column's head takes two lines

_TITLE = Style(size=22, leading=30, weight=SEMIBOLD)
_ACADEMY = Style(size=13, leading=30, weight=SEMIBOLD, align="end", color=ACCENT, most=3)
_HEADLINE = Style(size=15, leading=22, weight=SEMIBOLD)
_BODY = Style()
_STRONG = Style(weight=SEMIBOLD)
_NOTE = Style(color=QUIET)
_NAME = Style(weight=SEMIBOLD, most=8)
_ADDRESS = Style(most=36)
_COURSE = Style(weight=SEMIBOLD, most=10)
_DETAIL = Style(color=QUIET, most=8)
_SMALL = Style(size=8, leading=11.5, color=QUIET)
_HEAD = Style(size=8, leading=12, color=QUIET)
_HEAD_AMOUNT = Style(size=8, leading=12, color=QUIET, align="end", most=4)
_SUM = Style(color=QUIET, most=4)
_AMOUNT = Style(align="end")
_AMOUNT_STRONG = Style(align="end", weight=SEMIBOLD)

_TIGHT = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 0),
    ("TOPPADDING", (0, 0), (-1, -1), 1),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
]


def render_pdf(printed: PrintedDocument) -> bytes:
    """The document on A4, in the payer's language if we have it, with all fonts embedded."""
    sheet = sheet_of(printed)
    texts = sheet.texts
    typesetter = Typesetter(texts.language, right_to_left=texts.right_to_left)
    page = Page(typesetter, texts, sheet.footer, sheet.watermark, printed.issued_at)
    return set_pages(
        page,
        _Story(sheet, typesetter).told(),
        title=f"{sheet.title} {printed.number}",
        author=printed.seller.legal_name,
        subject=sheet.subject,
        creator=printed.seller.name,
    )


class _Story:
    """One sheet while it is being set."""

    def __init__(self, sheet: Sheet, typesetter: Typesetter) -> None:
        self.sheet, self.set = sheet, typesetter

    def told(self) -> list[Flowable]:
        """Everything on the sheet, from top to bottom."""
        sheet, body, say = self.sheet, self.sheet.body, self.set.text
        return [
            self._columns([[say(sheet.title, _TITLE)], [say(sheet.academy, _ACADEMY)]], (0.6, 0.4)),
            Spacer(0, 10),
            self._numbers(body.numbers),
            Spacer(0, 14),
            self._columns([self._party(sheet.seller), self._party(sheet.buyer)], (0.5, 0.5)),
            Spacer(0, 20),
            say(body.headline, _HEADLINE),
            *(say(note, _NOTE) for note in body.notes),
            Spacer(0, 10),
            self._lines(),
            *self._how_to_pay(),
            KeepTogether(
                [Spacer(0, 20), HRFlowable("100%", 0.6, color=RULE), Spacer(0, 6), say(sheet.questions, _SMALL)]
            ),
        ]

    def _numbers(self, pairs: Pairs) -> Flowable:
        cells = [[self.set.text(label, _NOTE), self.set.text(value, _BODY)] for label, value in pairs]
        return self._grid(cells, [WIDTH * 0.25, WIDTH * 0.75], TableStyle(_TIGHT))

    def _party(self, party: Party) -> list[Flowable]:
        say = self.set.text
        return [say(party.role, _NOTE), say(party.name, _NAME), say("\n".join(party.lines), _ADDRESS)]

    def _lines(self) -> Flowable:
        body, say = self.sheet.body, self.set.text
        rows: list[list[object]] = [
            [say(self.sheet.texts["course"], _HEAD), *(say(head, _HEAD_AMOUNT) for head in body.columns)]
        ]
        for row in body.rows:
            course = [say(row.title, _COURSE), *(say(detail, _DETAIL) for detail in row.details)]
            rows.append([course, *(say(amount, _AMOUNT) for amount in row.amounts)])
        last = len(body.rows)
        before = "RIGHTPADDING" if self._is_rtl else "LEFTPADDING"
        amounts = ((0, 0), (-2, -1)) if self._is_rtl else ((1, 0), (-1, -1))
        style = TableStyle(
            [
                *_TIGHT,
                ("BOTTOMPADDING", (0, 0), (-1, 0), 4),
                ("TOPPADDING", (0, 1), (-1, last), 7),
                ("BOTTOMPADDING", (0, 1), (-1, last), 7),
                ("LINEBELOW", (0, 1), (-1, last), 0.6, RULE),
                ("LINEBELOW", (0, 0), (-1, 0), 0.9, INK),
                ("TOPPADDING", (0, -1), (-1, -1), 4),
                (before, *amounts, _GAP),
                ("SPAN", (0, -1), (-1, -1)),
                (before, (0, -1), (0, -1), WIDTH - _SUMS),
                # The sums never stand alone on a page.
                ("NOSPLIT", (0, last), (-1, -1)),
            ]
        )
        rows.append(self._across(self._sums(), len(body.columns) + 1))
        return self._grid(rows, self._line_widths(), style, repeatRows=1)

    def _line_widths(self) -> list[float]:
        """Amounts never wrap: their columns are as wide as the widest, the course has the rest."""
        body = self.sheet.body
        amounts = [
            _GAP
            + max(
                self._widest([row.amounts[column] for row in body.rows], _AMOUNT),
                min(self._widest([head], _HEAD_AMOUNT), _LONGEST_HEAD),
            )
            for column, head in enumerate(body.columns)
        ]
        return [WIDTH - sum(amounts), *amounts]

    def _sums(self) -> Flowable:
        pairs = self.sheet.body.sums
        last = len(pairs) - 1
        cells = [
            [
                self.set.text(name, _STRONG if place == last else _SUM),
                self.set.text(amount, _AMOUNT_STRONG if place == last else _AMOUNT),
            ]
            for place, (name, amount) in enumerate(pairs)
        ]
        amounts = _GAP + self._widest([amount for _, amount in pairs], _AMOUNT_STRONG)
        style = TableStyle(
            [
                *_TIGHT,
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
                ("LINEABOVE", (0, 1), (-1, -1), 0.6, RULE),
            ]
        )
        if last:
            style.add("LINEABOVE", (0, last), (-1, last), 0.9, INK)
        return self._grid(cells, [_SUMS - amounts, amounts], style)

    def _how_to_pay(self) -> list[Flowable]:
        lines = self.sheet.body.how_to_pay
        if not lines:
            return []
        *instructions, reference = (self.set.text(line, _BODY) for line in lines)
        heading = self.set.text(self.sheet.texts["how_to_pay"], _STRONG)
        return [KeepTogether([Spacer(0, 18), heading, Spacer(0, 2), *instructions, Spacer(0, 4), reference])]

    def _widest(self, texts: Sequence[str], style: Style) -> float:
        return max(self.set.width(text, style) for text in texts) + _SLACK

    def _columns(self, cells: Sequence[Sequence[Flowable]], shares: Sequence[float]) -> Flowable:
        return self._grid([[list(cell) for cell in cells]], [WIDTH * share for share in shares], TableStyle(_TIGHT))

    def _grid(
        self, rows: Sequence[Sequence[object]], widths: Sequence[float], style: TableStyle, **options: int
    ) -> Flowable:
        """A table whose first column is where the language begins a line."""
        step = -1 if self._is_rtl else 1
        return Table([list(row)[::step] for row in rows], list(widths)[::step], style=style, **options)

    def _across(self, content: Flowable, columns: int) -> list[object]:
        """A row for one cell that spans it: what it holds has to be in the left one."""
        blank: list[object] = [[]] * (columns - 1)
        return [*blank, content] if self._is_rtl else [content, *blank]

    @property
    def _is_rtl(self) -> bool:
        return self.sheet.texts.right_to_left
