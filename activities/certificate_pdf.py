"""Certificates as PDF, from the facts that they were issued with.

The same canvas, facts, image and address give the same bytes on every machine: no clock, no chance, and the fonts are
pinned. Every text goes through the typesetter, so that every name is set in its script and no markup means anything.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import md5
from io import BytesIO
from math import ceil, log

from PIL import Image
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.utils import ImageReader

from activities.certificate_frames import draw_frame
from activities.certificate_qr import draw_qr
from activities.certificate_tags import Role, Tags, UndatedInfo
from activities.document_page import Sheet
from activities.fonts import BOLD, REGULAR, SEMIBOLD
from activities.one_line import one_line
from activities.translations import Texts, texts_for
from activities.typesetting import SetLine, Style, Typesetter, advance
from models.canvas import CUSTOM_FIELD, CUSTOM_TEXT, FACT_KEYS, ISSUER, PLACE, VERIFICATION_URL, Box, Canvas
from models.certificate_facts import CertificateFacts
from models.errors import Reason, refusal

MAX_BACKGROUND_BYTES = 10 * 1024 * 1024
MAX_BACKGROUND_PIXELS = 40_000_000

_LEADING = 1.25  # of the size
_CAPITALS = 0.72  # their height, of the size
_SHRINKS_TO = 0.6  # of the size, before a text takes a second line
_STEP = 0.94
_SMALLEST = 4.0  # points
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG"}
# Across the page, under the text, light enough to read what stands on it.
_GHOST = Color(0.5, 0.5, 0.5, alpha=1)


def render_certificate_pdf(canvas: Canvas, facts: CertificateFacts, background: bytes | None, verify_url: str) -> bytes:
    """The certificate on one page: tagged, with its fonts in it, and a QR code to `verify_url` if the canvas has one.

    `background` are the bytes of the canvas's image, if it has one. Raises the refusal `template_invalid` if they are
    not that image, or none that can be read. Takes processor time: not for the event loop.
    """
    image = _image(canvas, background)
    texts = texts_for("documents", facts.language)
    pdf = BytesIO()
    sheet = Sheet(pdf, (canvas.width, canvas.height), pdfVersion=(1, 7), invariant=1, lang=texts.language)
    sheet._doc.signature = md5(
        f"{canvas.model_dump_json()}{facts.model_dump_json()}{verify_url}".encode(errors="replace"),
        usedforsecurity=False,
    )
    _introduce(sheet, facts, texts)
    _Certificate(canvas, facts, texts, verify_url, sheet).draw(image)
    sheet.save()
    return pdf.getvalue()


def check_background(content: bytes, media_type: str) -> None:
    """Whether an image can lie under a certificate. Raises the refusal `template_invalid` if it cannot."""
    _read(content, media_type)


def printed_words(canvas: Canvas, facts: CertificateFacts, verify_url: str) -> tuple[str, ...]:
    """What each box prints, in the order of the boxes; nothing where its fact is missing."""
    known = _known(facts, verify_url)
    return tuple(_words(box, known) for box in canvas.boxes)


def _introduce(sheet: Sheet, facts: CertificateFacts, texts: Texts) -> None:
    name, course = one_line(facts.student_full_name or ""), one_line(facts.course_name or "")
    issuer = one_line(facts.issuer or "") or "Registrar"
    subject = (texts["certificate.subject"], one_line(facts.certificate_code or ""))
    info = UndatedInfo()
    info.title = texts.say("certificate.title", name=name, course=course)
    info.author, info.creator, info.producer = issuer, issuer, "Registrar"
    info.subject = " ".join(part for part in subject if part)
    sheet._doc.info = info
    sheet.setViewerPreference("DisplayDocTitle", "true")


@dataclass
class _Certificate:
    """One certificate while it is being drawn."""

    canvas: Canvas
    facts: CertificateFacts
    texts: Texts
    verify_url: str
    sheet: Sheet

    def __post_init__(self) -> None:
        self.set = Typesetter(self.facts.language, right_to_left=self.texts.right_to_left)
        self._tags = Tags(self.sheet)

    def draw(self, image: ImageReader | None) -> None:
        """Everything: what lies under the text, the text in the order of the boxes, the code."""
        canvas, sheet = self.canvas, self.sheet
        with self._tags.decoration():
            if image is not None:
                sheet.drawImage(image, 0, 0, canvas.width, canvas.height, mask="auto")
            if canvas.frame is not None:
                draw_frame(sheet, canvas.frame, canvas.width, canvas.height)
            for line in canvas.lines:
                sheet.setFillColor(HexColor(line.color))
                bottom = canvas.height - line.top - line.thickness
                sheet.rect(line.left, bottom, line.width, line.thickness, stroke=0, fill=1)
            if self.facts.is_test:
                self._mark_as_test()
        self._texts()
        if canvas.qr is not None:
            self._code()
        self._tags.close()

    def _texts(self) -> None:
        role: Role = "H1"
        for box, words in zip(self.canvas.boxes, printed_words(self.canvas, self.facts, self.verify_url), strict=True):
            if words:
                with self._tags.text(role, words):
                    self._text(box, words)
                role = "P"

    def _text(self, box: Box, words: str) -> None:
        style, lines = fitted(self.set, words, box)
        shares = {"left": 0.0, "center": 0.5, "right": 1.0}
        top = self.canvas.height - box.top - (box.height - len(lines) * style.leading) / 2
        for number, line in enumerate(lines):
            left = box.left + (box.width - advance(line, style)) * shares[box.align]
            baseline = top - number * style.leading - (style.leading + style.size * _CAPITALS) / 2
            self.set.draw(self.sheet, line, left, baseline, style)

    def _code(self) -> None:
        box = self.canvas.qr
        if box is None:
            return
        bottom = self.canvas.height - box.top - box.size
        place = (box.left, bottom, box.left + box.size, bottom + box.size)
        with self._tags.link(self.verify_url, self.texts.say("certificate.qr", url=self.verify_url), place):
            draw_qr(self.sheet, self.verify_url, box.left, bottom, box.size, box.color)

    def _mark_as_test(self) -> None:
        word = self.texts["test"]
        style = Style(size=min(self.canvas.width, self.canvas.height) / 4, weight=SEMIBOLD, color=_GHOST)
        sheet = self.sheet
        sheet.saveState()
        sheet.setFillAlpha(0.18)
        sheet.translate(self.canvas.width / 2, self.canvas.height / 2)
        sheet.rotate(30)
        [line] = self.set.lines(word, style, self.canvas.width * 4)
        self.set.draw(sheet, line, -advance(line, style) / 2, -style.size * _CAPITALS / 2, style)
        sheet.restoreState()


def fitted(typesetter: Typesetter, words: str, box: Box) -> tuple[Style, list[SetLine]]:
    """The words as large as they fit the box, and never larger than it wants them.

    A fact stays on one line as long as it need not shrink below three fifths; then it takes more lines at the size at
    which they fit. A text of the template's own takes more lines first. What fits at no size ends in an ellipsis.
    """
    weight = BOLD if box.font_weight == "bold" else REGULAR
    style = Style(
        size=box.font_size, weight=weight, color=HexColor(box.font_color), align=box.align, family=box.font_family
    )
    unbroken = _unbroken(typesetter, words, box, style)
    least = 1.0 if box.key == CUSTOM_TEXT else _SHRINKS_TO
    lowest = max(unbroken, _SMALLEST)
    if unbroken < box.font_size * least and lowest < box.font_size:
        # The first step down from the size at which it fits, found by halves: a step costs a shaping of the whole text.
        steps = range(ceil(log(lowest / box.font_size, _STEP)))
        step = bisect_left(steps, True, key=lambda step: _fits_at(typesetter, words, box, style, step))
        if step < len(steps):
            sized = _sized(style, box.font_size * _STEP**step)
            return sized, typesetter.lines(words, sized, box.width)
    sized = _sized(style, lowest)
    lines = typesetter.lines(words, sized, box.width)
    most = max(1, int(box.height / sized.leading))
    if len(lines) > max(most, words.count("\n") + 1) or not _fits(len(lines), sized.size, box):
        lines[most - 1 :] = typesetter.lines(_ELLIPSIS, sized, box.width)
    return sized, lines


def _unbroken(typesetter: Typesetter, words: str, box: Box, style: Style) -> float:
    """The size at which every paragraph keeps to one line, and all of them to the height."""
    paragraphs = words.split("\n")
    em = _sized(style, 1000.0)
    widest = max(typesetter.width(paragraph, em) for paragraph in paragraphs)
    high = box.height if len(paragraphs) == 1 else box.height / len(paragraphs) / _LEADING
    # A hair less, so that rounding never makes a second line of it.
    return min(style.size, high, box.width * 1000 / widest * 0.9999 if widest else style.size)


def _fits_at(typesetter: Typesetter, words: str, box: Box, style: Style, step: int) -> bool:
    size = box.font_size * _STEP**step
    return _fits(len(typesetter.lines(words, _sized(style, size), box.width)), size, box)


def _fits(lines: int, size: float, box: Box) -> bool:
    return lines * size * _LEADING <= box.height + 0.01 or (lines == 1 and size <= box.height)


def _sized(style: Style, size: float) -> Style:
    return replace(style, size=size, leading=size * _LEADING)


def _words(box: Box, known: Mapping[str, str]) -> str:
    if box.key == CUSTOM_TEXT:
        lines = (one_line(line) for line in (box.value or "").split("\n"))
        return "\n".join(lines).strip("\n")
    fact = one_line(known.get(box.key, ""))
    around = one_line(box.value or "")
    return around.replace(PLACE, fact) if fact and PLACE in around else fact


def _known(facts: CertificateFacts, verify_url: str) -> dict[str, str]:
    printed = {key: value for key in FACT_KEYS if (value := getattr(facts, key)) is not None}
    custom = {f"{CUSTOM_FIELD}{key}": value for key, value in facts.custom_fields}
    return {**custom, **printed, ISSUER: facts.issuer or "", VERIFICATION_URL: verify_url}


def _image(canvas: Canvas, background: bytes | None) -> ImageReader | None:
    if canvas.background is None:
        return None
    if background is None:
        raise refusal(Reason.TEMPLATE_INVALID, "The template cannot be used: background: the image is missing")
    return ImageReader(_read(background, canvas.background.media_type))


def _read(content: bytes, media_type: str) -> BytesIO:
    problem = None
    if len(content) > MAX_BACKGROUND_BYTES:
        problem = "has more than 10 MB"
    else:
        try:
            with Image.open(BytesIO(content), formats=[_FORMATS[media_type]]) as image:
                if image.width * image.height > MAX_BACKGROUND_PIXELS:
                    problem = "has more than 40 million pixels"
                else:
                    image.load()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            problem = f"is no {_FORMATS[media_type]} that can be read"
    if problem is not None:
        raise refusal(Reason.TEMPLATE_INVALID, f"The template cannot be used: background: the image {problem}")
    return BytesIO(content)
