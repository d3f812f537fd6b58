"""What every page of a document has: its size and margins, the coloured edge, the foot and the mark of a test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from io import BytesIO

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, SimpleDocTemplate

from activities.fonts import SEMIBOLD
from activities.translations import Texts
from activities.typesetting import Style, Typesetter, advance

SIDE = 20 * mm
TOP = 22 * mm
BOTTOM = 26 * mm
WIDTH: float = A4[0] - 2 * SIDE

INK = HexColor("#1a1f36")
QUIET = HexColor("#5b6478")
RULE = HexColor("#d9dde6")
ACCENT = HexColor("#2f4bdd")

_PADDING = 6  # of reportlab's frames
_GHOST = HexColor("#eceef3")
_SMALL = Style(size=8, leading=11.5, color=QUIET)
_WATERMARK = Style(size=150, leading=150, weight=SEMIBOLD, color=_GHOST)


@dataclass(frozen=True)
class Page:
    """The furniture of all pages of one document. `moment` is what the PDF says of when it was made."""

    set: Typesetter
    texts: Texts
    foot: str
    watermark: str | None
    moment: datetime

    def below(self, canvas: Canvas, _: object) -> None:
        """Draw what lies under the text."""
        canvas.setFillColor(ACCENT)
        canvas.rect(0, A4[1] - 5, A4[0], 5, stroke=0, fill=1)
        if self.watermark is not None:
            canvas.saveState()
            canvas.translate(A4[0] / 2, A4[1] / 2)
            canvas.rotate(45)
            self._line(canvas, self.watermark, -self.set.width(self.watermark, _WATERMARK) / 2, -50, _WATERMARK)
            canvas.restoreState()

    def footer(self, canvas: Canvas, page: int, pages: int) -> None:
        """Draw the foot, once the number of pages is known. A long name of the seller is cut short."""
        canvas.setStrokeColor(RULE)
        canvas.setLineWidth(0.6)
        canvas.line(SIDE, BOTTOM - 22, A4[0] - SIDE, BOTTOM - 22)
        number = self.texts.say("page", page=str(page), pages=str(pages))
        room = self.set.width(number, _SMALL)
        ends = (SIDE, A4[0] - SIDE - room)
        foot = self.set.lines(self.foot, _SMALL, WIDTH - room - 24)[0]
        if self.texts.right_to_left:
            ends = (A4[0] - SIDE - advance(foot, _SMALL), SIDE)
        self.set.draw(canvas, foot, ends[0], BOTTOM - 36, _SMALL)
        self._line(canvas, number, ends[1], BOTTOM - 36, _SMALL)

    def _line(self, canvas: Canvas, content: str, x: float, y: float, style: Style) -> None:
        self.set.draw(canvas, self.set.lines(content, style, A4[0] * 4)[0], x, y, style)


class Sheet(Canvas):  # type: ignore[misc]  # reportlab has no types
    """A canvas that names no font that is not embedded, and on which no clock shows."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        # reportlab begins the digest with the clock, or with what the environment says of it.
        self._doc.signature = md5(usedforsecurity=False)

    def _make_preamble(self) -> None:
        self._preamble = "1 0 0 1 0 0 cm"

    def setFont(self, *_: object) -> None:  # noqa: N802 - reportlab's name
        """Nothing: texts bring their fonts, only reportlab's tables ask for one, even where they show no text."""


class PagesCounted(Sheet):
    """A canvas that knows the number of pages when it writes the footers."""

    def __init__(self, page: Page, *arguments: object, **options: object) -> None:
        self._page = page
        self._pages: list[Mapping[str, object]] = []
        super().__init__(*arguments, **options)
        self._doc._timeStamp.YMDhms = page.moment.astimezone(UTC).timetuple()[:6]

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        """Keep the page until the number of pages is known."""
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Write all pages, each with its foot."""
        for number, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            self._page.footer(self, number, len(self._pages))
            super().showPage()
        super().save()


def set_pages(page: Page, story: Sequence[Flowable], *, title: str, author: str, subject: str, creator: str) -> bytes:
    """The story on A4 pages with that furniture, as PDF. The same story gives the same bytes.

    The language is the page's; title, author, subject and creator are what the PDF says of itself.
    """
    pdf = BytesIO()
    document = SimpleDocTemplate(
        pdf,
        pagesize=A4,
        leftMargin=SIDE - _PADDING,
        rightMargin=SIDE - _PADDING,
        topMargin=TOP,
        bottomMargin=BOTTOM,
        title=title,
        author=author,
        subject=subject,
        creator=creator,
        producer="Registrar",
        lang=page.texts.language,
        displayDocTitle=True,
        invariant=1,
    )

    def canvas(*arguments: object, **options: object) -> PagesCounted:
        return PagesCounted(page, *arguments, **options)

    document.build(list(story), onFirstPage=page.below, onLaterPages=page.below, canvasmaker=canvas)
    return pdf.getvalue()
