"""The receipt as a PDF: facts in, bytes out. The same facts give the same bytes."""

from collections.abc import Sequence
from datetime import UTC
from io import BytesIO
from zoneinfo import ZoneInfo

from babel.dates import format_date
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, HRFlowable, KeepTogether, SimpleDocTemplate, Spacer, Table, TableStyle

from activities.fonts import SEMIBOLD
from activities.translations import Texts, texts_for
from activities.typesetting import Style, Typesetter
from models.money import Money

_SIDE = 20 * mm
_TOP = 22 * mm
_BOTTOM = 26 * mm
_PADDING = 6  # of reportlab's frames
_WIDTH = A4[0] - 2 * _SIDE

_INK = HexColor("#1a1f36")
_QUIET = HexColor("#5b6478")
_RULE = HexColor("#d9dde6")
_ACCENT = HexColor("#2f4bdd")
_GHOST = HexColor("#eceef3")

_TITLE = Style(size=22, leading=30, weight=SEMIBOLD)
_SELLER = Style(size=13, leading=30, weight=SEMIBOLD, align="end", color=_ACCENT)
_HEADLINE = Style(size=15, leading=22, weight=SEMIBOLD)
_BODY = Style()
_STRONG = Style(weight=SEMIBOLD)
_NOTE = Style(color=_QUIET)
_SMALL = Style(size=8, leading=11.5, color=_QUIET)
_HEAD = Style(size=8, leading=12, color=_QUIET)
_HEAD_AMOUNT = Style(size=8, leading=12, color=_QUIET, align="end")
_AMOUNT = Style(align="end")
_AMOUNT_STRONG = Style(align="end", weight=SEMIBOLD)
_WATERMARK = Style(size=150, leading=150, weight=SEMIBOLD, color=_GHOST)

_TIGHT = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 0),
    ("TOPPADDING", (0, 0), (-1, -1), 1),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Seller(_Facts):
    """The academy as it signs a receipt."""

    name: str
    legal_name: str
    address: str = Field(description="lines separated by newlines")
    tax_number: str | None
    email: str
    time_zone: str = Field(description="IANA zone of the date of issue")


class ReceiptLine(_Facts):
    """One course for one student."""

    title: str
    student_name: str
    list_price: Money
    discount: Money
    total: Money


class ReceiptFacts(_Facts):
    """All that is printed. `locale` is the payer's BCP 47 tag."""

    receipt_number: str
    order_number: str
    issued_at: AwareDatetime
    locale: str
    seller: Seller
    payer_name: str
    payer_email: str
    lines: tuple[ReceiptLine, ...] = Field(min_length=1)
    subtotal: Money
    discount: Money
    total: Money
    payment_reference: str | None = Field(description="Stripe's id of the charge; none if nothing was to be paid")
    is_test: bool


def render_receipt_pdf(facts: ReceiptFacts) -> bytes:
    """The receipt on A4, in the payer's language if we have it, with all fonts embedded."""
    return _Receipt(facts).render()


class _Receipt:
    """One receipt while it is being set."""

    def __init__(self, facts: ReceiptFacts) -> None:
        self.facts = facts
        self.texts: Texts = texts_for("receipt", facts.locale)
        self.set = Typesetter(self.texts.language, right_to_left=self.texts.right_to_left)
        issued = facts.issued_at.astimezone(ZoneInfo(facts.seller.time_zone))
        self.date = format_date(issued.date(), "long", locale=self.texts.locale)

    def render(self) -> bytes:
        facts, pdf = self.facts, BytesIO()
        document = SimpleDocTemplate(
            pdf,
            pagesize=A4,
            leftMargin=_SIDE - _PADDING,
            rightMargin=_SIDE - _PADDING,
            topMargin=_TOP,
            bottomMargin=_BOTTOM,
            title=f"{self.texts['title']} {facts.receipt_number}",
            author=facts.seller.legal_name,
            subject=self.texts.say("subject", number=facts.order_number),
            creator=facts.seller.name,
            producer="Registrar",
            lang=self.texts.language,
            displayDocTitle=True,
            invariant=1,
        )

        def canvas(*arguments: object, **options: object) -> _PagesCounted:
            return _PagesCounted(self, *arguments, **options)

        document.build(self._story(), onFirstPage=self._below, onLaterPages=self._below, canvasmaker=canvas)
        return pdf.getvalue()

    def _story(self) -> list[Flowable]:
        return [
            self._columns(
                [[self._text("title", _TITLE)], [self.set.text(self.facts.seller.name, _SELLER)]], (0.6, 0.4)
            ),
            Spacer(0, 10),
            self._numbers(),
            Spacer(0, 16),
            self._parties(),
            Spacer(0, 22),
            self.set.text(self._headline(), _HEADLINE),
            *([self._text("test_note", _NOTE)] if self.facts.is_test else []),
            Spacer(0, 10),
            self._lines(),
            KeepTogether([Spacer(0, 24), HRFlowable("100%", 0.6, color=_RULE), Spacer(0, 6), self._questions()]),
        ]

    def _numbers(self) -> Flowable:
        facts = self.facts
        rows = [
            ("receipt_number", facts.receipt_number),
            ("order_number", facts.order_number),
            ("issued_on", self.date),
            ("payment_method", self.texts["card" if facts.total.amount else "nothing_due"]),
        ]
        if facts.payment_reference:
            rows.append(("reference", facts.payment_reference))
        cells = [[self._text(key, _NOTE), self.set.text(value, _BODY)] for key, value in rows]
        return self._grid(cells, [_WIDTH * 0.25, _WIDTH * 0.75], TableStyle(_TIGHT))

    def _parties(self) -> Flowable:
        seller, say = self.facts.seller, self.set.text
        address = [say(line, _BODY) for line in seller.address.split("\n") if line.strip()]
        tax = [say(f"{self.texts['tax_number']}: {seller.tax_number}", _BODY)] if seller.tax_number else []
        return self._columns(
            [
                [
                    self._text("sold_by", _NOTE),
                    say(seller.legal_name, _STRONG),
                    *address,
                    say(seller.email, _BODY),
                    *tax,
                ],
                [
                    self._text("billed_to", _NOTE),
                    say(self.facts.payer_name, _STRONG),
                    say(self.facts.payer_email, _BODY),
                ],
            ],
            (0.5, 0.5),
        )

    def _headline(self) -> str:
        if not self.facts.total.amount:
            return self.texts.say("free", date=self.date)
        return self.texts.say("paid", amount=self._money(self.facts.total), date=self.date)

    def _lines(self) -> Flowable:
        head = [self._text("course", _HEAD)]
        head += [self._text(key, _HEAD_AMOUNT) for key in ("list_price", "discount", "amount")]
        rows: list[list[object]] = [list(head)]
        for line in self.facts.lines:
            course = [self.set.text(line.title, _STRONG), self.set.text(line.student_name, _NOTE)]
            amounts = (self._money(line.list_price), self._less(line.discount), self._money(line.total))
            rows.append([course, *(self.set.text(amount, _AMOUNT) for amount in amounts)])
        last = len(self.facts.lines)
        sums = self._sums()
        style = TableStyle(
            [
                *_TIGHT,
                ("TOPPADDING", (0, last + 1), (-1, -1), 3),
                ("BOTTOMPADDING", (0, last + 1), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, 0), 4),
                ("TOPPADDING", (0, 1), (-1, last), 7),
                ("BOTTOMPADDING", (0, 1), (-1, last), 7),
                ("LINEBELOW", (0, 0), (-1, 0), 0.9, _INK),
                ("LINEBELOW", (0, 1), (-1, last), 0.6, _RULE),
                # The sums never stand alone on a page.
                ("NOSPLIT", (0, last), (-1, -1)),
            ]
        )
        first, until = (0, 2) if self.texts.right_to_left else (1, 3)
        for row in range(last + 1, last + 1 + len(sums)):
            style.add("SPAN", (1, row), (2, row))
        style.add("LINEABOVE", (first, -1), (until, -1), 0.9, _INK)
        return self._grid([*rows, *sums], self._line_widths(), style, repeatRows=1)

    def _line_widths(self) -> list[float]:
        """Amounts never wrap: their columns are as wide as the widest, the course has the rest."""
        columns = [
            ("list_price", [self._money(line.list_price) for line in self.facts.lines]),
            ("discount", [self._less(line.discount) for line in self.facts.lines]),
            ("amount", [self._money(line.total) for line in self.facts.lines]),
        ]
        amounts = [
            max(self.set.width(self.texts[key], _HEAD_AMOUNT), *(self.set.width(text, _AMOUNT) for text in texts)) + 18
            for key, texts in columns
        ]
        return [_WIDTH - sum(amounts), *amounts]

    def _sums(self) -> list[list[object]]:
        """The rows below the lines; their labels span the two columns before the amount."""
        rows = [("subtotal", self._money(self.facts.subtotal), _NOTE, _AMOUNT)]
        if self.facts.discount.amount:
            rows.append(("discount", self._less(self.facts.discount), _NOTE, _AMOUNT))
        rows.append(("total_paid", self._money(self.facts.total), _STRONG, _AMOUNT_STRONG))
        return [
            [[], *self._spanning(self._text(key, name)), self.set.text(amount, style)]
            for key, amount, name, style in rows
        ]

    def _spanning(self, label: Flowable) -> tuple[object, object]:
        """The label in the left one of two cells: there a span has its content."""
        return ([], label) if self.texts.right_to_left else (label, [])

    def _questions(self) -> Flowable:
        return self.set.text(self.texts.say("questions", email=self.facts.seller.email), _SMALL)

    def _columns(self, cells: Sequence[Sequence[Flowable]], shares: Sequence[float]) -> Flowable:
        style = TableStyle(_TIGHT)
        return self._grid([[list(cell) for cell in cells]], [_WIDTH * share for share in shares], style)

    def _grid(
        self, rows: Sequence[Sequence[object]], widths: Sequence[float], style: TableStyle, **options: int
    ) -> Flowable:
        """A table whose first column is where the language begins a line."""
        step = -1 if self.texts.right_to_left else 1
        return Table([list(row)[::step] for row in rows], list(widths)[::step], style=style, **options)

    def _text(self, key: str, style: Style) -> Flowable:
        return self.set.text(self.texts[key], style)

    def _money(self, money: Money) -> str:
        return money.format(self.texts.locale)

    def _less(self, discount: Money) -> str:
        """What is taken off; the marks keep the sign at the left of the number also in Arabic."""
        amount = self._money(discount).lstrip("\N{RIGHT-TO-LEFT MARK}")
        return f"\N{LEFT-TO-RIGHT MARK}\N{MINUS SIGN}{amount}" if discount.amount else "\N{EN DASH}"

    def _below(self, canvas: Canvas, _: object) -> None:
        """What lies under the text of every page: the coloured edge and, for test orders, the watermark."""
        canvas.setFillColor(_ACCENT)
        canvas.rect(0, A4[1] - 5, A4[0], 5, stroke=0, fill=1)
        if self.facts.is_test:
            canvas.saveState()
            canvas.translate(A4[0] / 2, A4[1] / 2)
            canvas.rotate(45)
            self._line(canvas, self.texts["test"], -self.set.width(self.texts["test"], _WATERMARK) / 2, -50, _WATERMARK)
            canvas.restoreState()

    def footer(self, canvas: Canvas, page: int, pages: int) -> None:
        """What stands at the foot of every page."""
        canvas.setStrokeColor(_RULE)
        canvas.setLineWidth(0.6)
        canvas.line(_SIDE, _BOTTOM - 22, A4[0] - _SIDE, _BOTTOM - 22)
        left = f"{self.facts.seller.legal_name} · {self.facts.receipt_number}"
        right = self.texts.say("page", page=str(page), pages=str(pages))
        if self.texts.right_to_left:
            left, right = right, left
        self._line(canvas, left, _SIDE, _BOTTOM - 36, _SMALL)
        self._line(canvas, right, A4[0] - _SIDE - self.set.width(right, _SMALL), _BOTTOM - 36, _SMALL)

    def _line(self, canvas: Canvas, content: str, x: float, y: float, style: Style) -> None:
        self.set.draw(canvas, self.set.lines(content, style, A4[0] * 4)[0], x, y, style)


class _PagesCounted(Canvas):  # type: ignore[misc]  # reportlab has no types
    """A canvas that knows the number of pages when it writes the footers, and names no font that is not embedded."""

    def __init__(self, receipt: _Receipt, *arguments: object, **options: object) -> None:
        self._receipt = receipt
        self._pages: list[dict[str, object]] = []
        super().__init__(*arguments, **options)
        self._doc._timeStamp.YMDhms = receipt.facts.issued_at.astimezone(UTC).timetuple()[:6]

    def _make_preamble(self) -> None:
        self._preamble = "1 0 0 1 0 0 cm"

    def setFont(self, *_: object) -> None:  # noqa: N802 - reportlab's name
        """Nothing: texts bring their fonts, only reportlab's tables ask for one, even where they show no text."""

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            self._receipt.footer(self, number, len(self._pages))
            super().showPage()
        super().save()
