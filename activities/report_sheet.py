"""What the pages of all reports are made of: headings, lines of facts, tables of figures. In English, for staff."""

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, Spacer, Table, TableStyle

from activities.document_page import ACCENT, INK, QUIET, RULE, WIDTH, Page, set_pages
from activities.fonts import SEMIBOLD
from activities.one_line import one_line
from activities.report_facts import Heading
from activities.translations import texts_for
from activities.typesetting import Style, Typesetter
from models.money import in_major_units, places_of

LANGUAGE = "en"
SMALL = Style(size=8, leading=11.5, color=QUIET, most=12)
NOTHING = "\N{EN DASH}"

_TOGETHER = 150  # points: a heading never stands alone at the foot of a page
_GAP = 9  # before a column of figures
_SLACK = 0.1  # so that what was measured still fits after rounding
_TITLE = Style(size=22, leading=30, weight=SEMIBOLD)
_ACADEMY = Style(size=13, leading=30, weight=SEMIBOLD, align="end", color=ACCENT, most=3)
_CURRENCY = Style(size=15, leading=22, weight=SEMIBOLD)
_HEADING = Style(size=11, leading=17, weight=SEMIBOLD)
_QUIET = Style(color=QUIET)
_BODY = Style(most=12)
_HEAD = Style(size=8, leading=11, color=QUIET, most=3)
_HEAD_FIGURE = Style(size=8, leading=11, color=QUIET, align="end", most=3)
_CELL = Style(size=8.5, leading=12, most=3)
_FIGURE = Style(size=8.5, leading=12, align="end")
_TOTAL = Style(size=8.5, leading=12, weight=SEMIBOLD)
_TOTAL_FIGURE = Style(size=8.5, leading=12, weight=SEMIBOLD, align="end")

_TIGHT = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 0),
    ("TOPPADDING", (0, 0), (-1, -1), 1),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
]
_RULED = [
    *_TIGHT,
    ("TOPPADDING", (0, 1), (-1, -1), 2.5),
    ("BOTTOMPADDING", (0, 1), (-1, -1), 2.5),
    ("LINEBELOW", (0, 0), (-1, 0), 0.9, INK),
    ("LINEBELOW", (0, 1), (-1, -1), 0.4, RULE),
]


def figure(amount: int, currency: str) -> str:
    """A sum in major units without its currency, e.g. `1,234.50` or, where money leaves, `−12.34`."""
    return f"{in_major_units(amount, currency):,.{places_of(currency)}f}".replace("-", "\N{MINUS SIGN}")


def words(word: str) -> str:
    """A word of the vocabulary, or of Stripe, as people write it."""
    return word.replace("_", " ").capitalize()


@dataclass(frozen=True)
class Sheet:
    """The pages of one report while they are set."""

    heading: Heading
    set: Typesetter

    @classmethod
    def of(cls, heading: Heading) -> "Sheet":
        """Blank pages for the report."""
        return cls(heading, Typesetter(LANGUAGE, right_to_left=False))

    def pages(self, story: Sequence[Flowable]) -> bytes:
        """The report on A4, with all fonts embedded. The same figures give the same bytes."""
        heading = self.heading
        title = f"{heading.title}, {heading.days}"
        page = Page(self.set, texts_for("documents", LANGUAGE), title, None, heading.snapshot_at)
        academy = one_line(heading.academy)
        return set_pages(
            page, [*self._head(), *story], title=title, author=academy, subject=heading.title, creator=academy
        )

    def _head(self) -> list[Flowable]:
        heading, say = self.heading, self.set.text
        pairs = [
            ("Days", heading.days),
            ("State of the record", heading.as_of),
            ("What is in it", heading.narrowed),
        ]
        rows = [[say(name, _QUIET), say(one_line(value), _BODY)] for name, value in pairs]
        return [
            Table(
                [[say(heading.title, _TITLE), say(one_line(heading.academy), _ACADEMY)]],
                [WIDTH * 0.6, WIDTH * 0.4],
                style=TableStyle(_TIGHT),
            ),
            Spacer(0, 8),
            Table(rows, [WIDTH * 0.25, WIDTH * 0.75], style=TableStyle(_TIGHT)),
        ]

    def currency(self, currency: str) -> list[Flowable]:
        """The beginning of the part on one currency."""
        return [CondPageBreak(_TOGETHER), Spacer(0, 18), self.set.text(currency, _CURRENCY)]

    def section(self, title: str, *content: Flowable) -> list[Flowable]:
        """A heading and what follows it."""
        return [CondPageBreak(_TOGETHER), Spacer(0, 14), self.set.text(title, _HEADING), Spacer(0, 3), *content]

    def together(self, title: str, content: Flowable) -> Flowable:
        """A heading and one thing under it, on one page."""
        return KeepTogether([Spacer(0, 14), self.set.text(title, _HEADING), Spacer(0, 3), content])

    def note(self, text: str) -> Flowable:
        """A remark in small print."""
        return self.set.text(text, SMALL)

    def table(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        texts: int = 1,
        total: Sequence[str] | None = None,
        widths: Sequence[float] = (),
    ) -> Flowable:
        """A table whose first `texts` columns are words and all others figures, with a last line in bold if given.

        Figures never wrap: their columns are as wide as the widest, the words have the rest in equal parts, or those
        after the first have `widths` in points.
        """
        say = self.set.text
        told = [*rows, *([] if total is None else [total])]
        cells: list[list[Flowable]] = [
            [say(head, _HEAD if place < texts else _HEAD_FIGURE) for place, head in enumerate(heads)]
        ]
        for number, row in enumerate(told):
            is_total = total is not None and number == len(rows)
            styles = (_TOTAL, _TOTAL_FIGURE) if is_total else (_CELL, _FIGURE)
            cells.append([say(one_line(text), styles[place >= texts]) for place, text in enumerate(row)])
        figures = [
            _GAP
            + max(
                [
                    self._widest([row[place] for row in told]),
                    min(self.set.width(heads[place], _HEAD_FIGURE), 56) + _SLACK,
                ]
            )
            for place in range(texts, len(heads))
        ]
        room = WIDTH - sum(figures) - sum(widths)
        named = [room, *widths] if widths else [room / texts] * texts
        style = TableStyle(_RULED)
        for place in range(texts, len(heads)):
            style.add("LEFTPADDING", (place, 0), (place, -1), _GAP)
        if texts > 1:
            style.add("RIGHTPADDING", (0, 0), (texts - 1, -1), 6)
        if total is not None:
            style.add("LINEABOVE", (0, -1), (-1, -1), 0.9, INK)
            style.add("LINEBELOW", (0, -1), (-1, -1), 0, RULE)
        return Table(cells, [*named, *figures], style=style, repeatRows=1)

    def _widest(self, texts: Sequence[str]) -> float:
        return max((self.set.width(text, _TOTAL_FIGURE) for text in texts), default=0) + _SLACK
