"""Setting text in any script: direction, fonts, shaping and lines, as flowables for reportlab.

reportlab's own paragraphs know one font and one direction at a time. Names of people do not, so each text goes
through the Unicode bidirectional algorithm, finds a font per character, and is shaped by HarfBuzz.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Literal, TypeAlias

import uharfbuzz as hb
from bidi import algorithm as bidi
from reportlab.lib.colors import Color, HexColor
from reportlab.pdfbase.pdfdoc import PDFDocument
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable

from activities.fonts import REGULAR, EmbeddedFont, Typeface, family_typeface, typeface_for
from activities.one_line import DIRECTION_MARKS, JOINERS, one_line
from models.canvas import FontFamily

Align = Literal["start", "end", "left", "right", "center"]

_INK = HexColor("#1a1f36")
_KANA = re.compile(r"[\u3040-\u30ff]")
_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
_BRACKETS = {"(": ")", "[": "]", "{": "}", "\u00ab": "\u00bb", "\uff08": "\uff09"}
# A line may end after a space or hyphen, and between two characters of these scripts.
_IDEOGRAPH = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"\S+|\s+")
_VARIANT = re.compile(r"[\ufe00-\ufe0f]")
_KEEPS_WITH_PREVIOUS = re.compile(r"[\u3001\u3002\uff01\uff09\uff0c\uff1a\uff1b\uff1f\u300d\u300f\u3011]")


@dataclass(frozen=True)
class Style:
    """How a text looks: size and leading in points, weight as in CSS; `start` is where its language begins a line.

    A text of more than `most` lines ends in an ellipsis, so that none outgrows its page.
    """

    size: float = 9.5
    leading: float = 14
    weight: int = REGULAR
    color: Color = _INK
    align: Align = "start"
    most: int = 30
    family: FontFamily = FontFamily.NOTO_SANS


@dataclass(frozen=True)
class _Letter:
    character: str
    level: int
    face: Typeface


@dataclass(frozen=True)
class _Glyph:
    """A glyph, in thousandths of the em: how wide the font has it, how far it moves on here, where it is put.

    It stands for the characters `text` from place `start` of its run; a mark on another glyph stands for nothing.
    """

    id: int
    start: int
    text: str
    width: int
    advance: int
    x: int
    y: int


@dataclass(frozen=True)
class _Run:
    """Text of one font and direction; its glyphs in the order in which they stand on the line."""

    face: Typeface
    glyphs: tuple[_Glyph, ...]
    length: int

    @property
    def width(self) -> int:
        return sum(glyph.advance for glyph in self.glyphs)


SetLine: TypeAlias = tuple[_Run, ...]


@dataclass
class Typesetter:
    """Sets the texts of one document, and keeps the fonts that they use.

    `language` is a BCP 47 tag: it decides the direction and, for Chinese characters, whose shapes are used.
    """

    language: str
    right_to_left: bool
    fonts: dict[Typeface, EmbeddedFont] = field(default_factory=dict)
    _set: dict[tuple[str, Style, float], tuple[SetLine, ...]] = field(default_factory=dict, repr=False, compare=False)

    def text(self, content: str, style: Style) -> "Text":
        """A paragraph for the page or a table cell. Line feeds in `content` separate lines."""
        return Text(self, content, style)

    def width(self, content: str, style: Style) -> float:
        """Points that the content takes on one line."""
        return advance([run for _, run in _shaped(self._letters(one_line(content), style))], style)

    def lines(self, content: str, style: Style, available: float) -> list[SetLine]:
        """The runs of each line, broken so that no line is wider than `available` points."""
        # reportlab asks again and again how high a cell is before it draws it once.
        asked = (content, style, available)
        if asked not in self._set:
            self._set[asked] = tuple(self._broken_lines(content, style, available * 1000 / style.size))
        return list(self._set[asked])

    def _broken_lines(self, content: str, style: Style, room: float) -> Iterator[SetLine]:
        for paragraph in content.split("\n"):
            letters = self._letters(one_line(paragraph), style)
            for line in _broken(letters, room):
                yield tuple(_visual(list(_shaped(line))))

    def draw(self, canvas: Canvas, runs: Sequence[_Run], x: float, y: float, style: Style) -> None:
        """Draw one line, its baseline starting at (x, y)."""
        document: PDFDocument = canvas._doc
        color = style.color
        canvas._code.append(f"q BT {color.red:.4f} {color.green:.4f} {color.blue:.4f} rg 1 0 0 1 {x:.3f} {y:.3f} Tm")
        for run in runs:
            font = self._font(document, run.face)
            canvas._code.append(_shown(run, font, style.size))
        canvas._code.append("ET Q")

    def _font(self, document: PDFDocument, face: Typeface) -> EmbeddedFont:
        if face not in self.fonts:
            self.fonts[face] = EmbeddedFont(f"R{len(self.fonts) + 1}", face)
            document.delayedFonts.append(self.fonts[face])
        return self.fonts[face]

    def _letters(self, text: str, style: Style) -> list[_Letter]:
        cjk = self._cjk(text)
        leveled = list(_levels(text, self.right_to_left))
        chosen = _in_family("".join(character for character, _ in leveled), style)
        letters: list[_Letter] = []
        for place, (character, level) in enumerate(leveled):
            face = chosen.get(place) or typeface_for(character, style.weight, cjk)
            if letters and (
                unicodedata.combining(character)
                or character in (DIRECTION_MARKS + JOINERS)
                or _VARIANT.match(character)
            ):
                before = letters[-1].face
                face = before if character in (DIRECTION_MARKS + JOINERS) or before.has(character) else face
            letters.append(_Letter(character, level, face))
        return letters

    def _cjk(self, text: str) -> str:
        """Whose shapes Chinese characters take: the text's own other letters tell, else the document's language."""
        tag = self.language.lower()
        if _KANA.search(text) or tag.startswith("ja"):
            return "ja"
        if _HANGUL.search(text) or tag.startswith("ko"):
            return "ko"
        if tag.startswith("zh-hk"):
            return "zh-HK"
        return "zh-Hant" if tag.startswith(("zh-tw", "zh-hant", "zh-mo")) else "zh-Hans"


def advance(runs: Sequence[_Run], style: Style) -> float:
    """Points that the runs of one line take."""
    return sum(run.width for run in runs) * style.size / 1000


class Text(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A text in a box: wraps, aligns, and never splits over pages (a table row carries it to the next page)."""

    def __init__(self, typesetter: Typesetter, content: str, style: Style) -> None:
        super().__init__()
        self.typesetter, self.content, self.style = typesetter, content, style
        self._lines: list[SetLine] = []

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """Break the text for the width; reportlab calls this before it draws."""
        self.width = available_width
        lines = self.typesetter.lines(self.content, self.style, available_width)
        if len(lines) > self.style.most:
            lines[self.style.most - 1 :] = self.typesetter.lines("\N{HORIZONTAL ELLIPSIS}", self.style, available_width)
        self._lines = lines
        self.height = len(self._lines) * self.style.leading
        return self.width, self.height

    def draw(self) -> None:
        """Draw the lines that `wrap` made."""
        style = self.style
        for number, runs in enumerate(self._lines):
            left = self.width - advance(runs, style)
            share = {"left": 0.0, "center": 0.5, "right": 1.0}[self._side()]
            baseline = self.height - number * style.leading - (style.leading + style.size * 0.72) / 2
            self.typesetter.draw(self.canv, runs, left * share, baseline, style)

    def _side(self) -> str:
        if self.style.align not in {"start", "end"}:
            return self.style.align
        return "right" if (self.style.align == "start") == self.typesetter.right_to_left else "left"


def _in_family(text: str, style: Style) -> dict[int, Typeface]:
    """The places of the text that the style's family sets: whole words, so that no word is patched together.

    Noto Sans needs no choice: it is asked first for every character anyway.
    """
    if style.family is FontFamily.NOTO_SANS:
        return {}
    face = family_typeface(style.family, style.weight)
    return {
        place: face
        for word in _WORD.finditer(text)
        if all(face.has(character) for character in word[0] if character not in DIRECTION_MARKS + JOINERS)
        for place in range(*word.span())
    }


def _levels(text: str, right_to_left: bool) -> Iterator[tuple[str, int]]:
    """Each character with its embedding level (odd runs right to left), by the Unicode bidirectional algorithm.

    A text without right-to-left letters runs left to right in every document. Otherwise a right-to-left document
    sets the direction, and in other documents the text's first letter does.
    """
    if not any(unicodedata.bidirectional(character) in {"R", "AL"} for character in text):
        yield from ((character, 0) for character in text)
        return
    base = 1 if right_to_left else bidi.get_base_level(text)
    text = _brackets_anchored(text, base)
    storage = bidi.get_empty_storage()
    storage["base_level"], storage["base_dir"] = base, "LR"[base]
    bidi.get_embedding_levels(text, storage)
    bidi.explicit_embed_and_overrides(storage)
    bidi.resolve_weak_types(storage, False)
    bidi.resolve_neutral_types(storage, False)
    bidi.resolve_implicit_levels(storage, False)
    resolved = iter(storage["chars"])
    level = base
    for character in text:
        # Joiners have no direction: the algorithm drops them, shaping needs them.
        if unicodedata.bidirectional(character) != "BN":
            level = next(resolved)["level"]
        yield character, level


def _brackets_anchored(text: str, base: int) -> str:
    """The text with direction marks at both sides of paired brackets, as rule N0 of the algorithm pairs them.

    The library knows the algorithm without that rule, and would turn the brackets of "ليلى (VIP) 2" apart.
    """
    anchored, strong = list(text), [_strong(character) for character in text]
    open_at: list[int] = []
    for place, character in enumerate(text):
        if character in _BRACKETS:
            open_at.append(place)
        elif open_at and character == _BRACKETS[text[open_at[-1]]]:
            opened = open_at.pop()
            inside = {level for level in strong[opened:place] if level is not None}
            before = next((level for level in reversed(strong[:opened]) if level is not None), base)
            if inside:
                level = base if base in inside or before == base else 1 - base
                for bracket in (opened, place):
                    anchored[bracket] = f"{DIRECTION_MARKS[level]}{text[bracket]}{DIRECTION_MARKS[level]}"
    return "".join(anchored)


def _strong(character: str) -> int | None:
    return {"L": 0, "R": 1, "AL": 1}.get(unicodedata.bidirectional(character))


def _shaped(letters: Sequence[_Letter]) -> Iterator[tuple[int, _Run]]:
    """Runs of one direction and font, with their level, in the order in which they are read."""
    visible = (letter for letter in letters if letter.character not in DIRECTION_MARKS)
    for (level, face), group in groupby(visible, key=lambda letter: (letter.level, letter.face)):
        yield level, _shape("".join(letter.character for letter in group), face, rightward=level % 2 == 0)


@lru_cache(maxsize=2048)
def _shape(text: str, face: Typeface, *, rightward: bool) -> _Run:
    buffer = hb.Buffer()
    buffer.add_str(text)
    buffer.direction = "ltr" if rightward else "rtl"
    buffer.guess_segment_properties()
    hb.shape(face.shaper, buffer)
    infos, positions = buffer.glyph_infos, buffer.glyph_positions
    starts = sorted({info.cluster for info in infos})
    ends = dict(zip(starts, [*starts[1:], len(text)], strict=True))
    widest: dict[int, int] = {}
    for place, (info, position) in enumerate(zip(infos, positions, strict=True)):
        best = widest.setdefault(info.cluster, place)
        if position.x_advance > positions[best].x_advance:
            widest[info.cluster] = place
    glyphs = (
        _Glyph(
            id=info.codepoint,
            start=info.cluster,
            text=text[info.cluster : ends[info.cluster]] if widest[info.cluster] == place else "",
            width=face.shaper.get_glyph_h_advance(info.codepoint),
            advance=position.x_advance,
            x=position.x_offset,
            y=position.y_offset,
        )
        for place, (info, position) in enumerate(zip(infos, positions, strict=True))
    )
    return _Run(face, tuple(glyphs), len(text))


def _broken(letters: list[_Letter], room: float) -> Iterator[list[_Letter]]:
    """Lines of letters. A word wider than the room is broken wherever it has to be."""
    advances = _advances(letters)
    start = end = 0  # of the line so far; `end` is the last place where it may end
    width = 0.0
    position = 0
    while position < len(letters):
        width += advances[position]
        if width > room and position > start and letters[position].character != " ":
            cut = end if end > start else _before_marks(advances, position, start)
            yield _trimmed(letters[start:cut])
            start = end = position = cut
            width = 0.0
            continue
        position += 1
        if _may_break(letters, position):
            end = position
    yield _trimmed(letters[start:])


def _advances(letters: Sequence[_Letter]) -> list[int]:
    """What each letter adds to the width of the line; nothing where it shares the glyph of the letter before it."""
    advances = [0] * len(letters)
    seen = [place for place, letter in enumerate(letters) if letter.character not in DIRECTION_MARKS]
    offset = 0
    for _, run in _shaped(letters):
        for glyph in run.glyphs:
            advances[seen[offset + glyph.start]] += glyph.advance
        offset += run.length
    return advances


def _before_marks(advances: Sequence[int], position: int, start: int) -> int:
    while position > start + 1 and advances[position] == 0:
        position -= 1
    return position


def _may_break(letters: Sequence[_Letter], position: int) -> bool:
    """Whether a line may end before `position`."""
    if position >= len(letters):
        return False
    before, after = letters[position - 1].character, letters[position].character
    if before in " -\u2010\u2013" and after != " ":
        return True
    between = _IDEOGRAPH.match(before) or _IDEOGRAPH.match(after)
    return bool(between and after != " " and not _KEEPS_WITH_PREVIOUS.match(after))


def _trimmed(letters: list[_Letter]) -> list[_Letter]:
    while letters and letters[-1].character == " ":
        letters = letters[:-1]
    return letters


def _visual(runs: list[tuple[int, _Run]]) -> list[_Run]:
    """The runs from left to right: from the highest level down, neighbours of that level or above are reversed."""
    ordered = list(runs)
    for level in range(max((level for level, _ in ordered), default=0), 0, -1):
        place = 0
        while place < len(ordered):
            until = place
            while until < len(ordered) and ordered[until][0] >= level:
                until += 1
            ordered[place:until] = ordered[place:until][::-1]
            place = until + 1
    return [run for _, run in ordered]


def _shown(run: _Run, font: EmbeddedFont, size: float) -> str:
    """The run as PDF operators.

    A glyph has one text per font. Where it stands for another one (several Arabic letters share a bare shape and
    differ in the dots put on it), what is meant is written beside it, so that text can be searched and copied.
    """
    operators = [f"/{font.name} {size:g} Tf"]
    shown: list[str] = []
    rise = owed = 0

    def show() -> None:
        if shown:
            operators.append(f"[{''.join(shown)}] TJ")
            shown.clear()

    for glyph in run.glyphs:
        plain = font.takes(glyph.id, glyph.text)
        if not plain or glyph.y != rise:
            show()
        if glyph.y != rise:
            rise = glyph.y
            operators.append(f"{rise * size / 1000:.3f} Ts")
        owed += glyph.x
        shown.append(f"{-owed if owed else ''}<{glyph.id:04X}>")
        owed = glyph.advance - glyph.x - glyph.width
        if not plain:
            operators.append(f"/Span <</ActualText <FEFF{glyph.text.encode('utf-16-be').hex().upper()}>>> BDC")
            show()
            operators.append("EMC")
    if owed:
        shown.append(str(-owed))
    show()
    if rise:
        operators.append("0 Ts")
    return " ".join(operators)
