"""How a certificate looks: its page, what lies under the text, and boxes of text measured from the top left.

The shape is that of a certificate template of Academy of Mine. All lengths are points (1/72 inch).
"""

import re
from enum import StrEnum
from math import isclose
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from models.errors import Reason, refusal

Align = Literal["left", "center", "right"]
FrameStyle = Literal["classic", "modern", "bold"]
FactKey = Literal[
    "student_first_name",
    "student_last_name",
    "student_full_name",
    "course_name",
    "issue_date",
    "expiry_date",
    "instructor_name",
    "certificate_code",
    "course_credit",
    "learning_path_name",
    "learning_path_credit",
]
FACT_KEYS: tuple[str, ...] = get_args(FactKey)
CUSTOM_TEXT = "custom_text"
# Beyond those of Academy of Mine: who issued it, and where it can be checked by whoever has no camera at hand.
ISSUER, VERIFICATION_URL = "issuer", "verification_url"
CUSTOM_FIELD = "field."
PLACE = "{}"

_LISTED = 10
_MOST_TEXT = 5000  # characters: setting it takes a second
_KEYS = (*FACT_KEYS, CUSTOM_TEXT, ISSUER, VERIFICATION_URL)
_CUSTOM_KEY = re.compile(r"field\.[a-z][a-z0-9_]{0,39}")
_COLOR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


class FontFamily(StrEnum):
    """The families that ship. Characters that one lacks are set in Noto, whatever their script."""

    NOTO_SANS = "Noto Sans"
    LATO = "Lato"
    MONTSERRAT = "Montserrat"
    SOURCE_SANS = "Source Sans 3"
    ROBOTO_CONDENSED = "Roboto Condensed"
    ROBOTO_SLAB = "Roboto Slab"
    SPACE_MONO = "Space Mono"
    EB_GARAMOND = "EB Garamond"
    PLAYFAIR_DISPLAY = "Playfair Display"


# What templates of Academy of Mine ask for (newer, L1004-1023, and older, L7102-7136), and what is taken for it.
FONTS_OF_ACADEMY_OF_MINE = {
    "Arial": (FontFamily.LATO, "regular"),
    "Helvetica": (FontFamily.SOURCE_SANS, "regular"),
    "Source Sans Pro": (FontFamily.SOURCE_SANS, "regular"),
    "Roboto": (FontFamily.ROBOTO_CONDENSED, "regular"),
    "Courier": (FontFamily.SPACE_MONO, "regular"),
    "Courier-Bold": (FontFamily.SPACE_MONO, "bold"),
    "Times-Roman": (FontFamily.EB_GARAMOND, "regular"),
    "Times-Bold": (FontFamily.EB_GARAMOND, "bold"),
    "DejaVuSans-Bold": (FontFamily.NOTO_SANS, "bold"),
    "DejaVuSansMono-Bold": (FontFamily.SPACE_MONO, "bold"),
}


def _color(written: str) -> str:
    """#rrggbb in small letters; three digits are doubled, as in CSS."""
    if not _COLOR.fullmatch(written):
        raise PydanticCustomError("color", "is no color: write #rrggbb or #rgb")
    digits = written[1:].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def _dark(color: str) -> str:
    if contrast_with_white(color) < 4.5:
        raise PydanticCustomError("contrast", "is too light to be scanned on white")
    return color


def _key(key: str) -> str:
    if key not in _KEYS and not _CUSTOM_KEY.fullmatch(key):
        known = ", ".join(_KEYS)
        raise PydanticCustomError(
            "key", "is unknown: there are {known}, and field.<key of a person's field>", {"known": known}
        )
    return key


def _one_of_the_fonts(family: object) -> object:
    if isinstance(family, str) and family not in set(FontFamily):
        known = ", ".join(FontFamily)
        raise PydanticCustomError("font", "is no font that ships: there are {known}", {"known": known})
    return family


Color = Annotated[str, AfterValidator(_color)]
DarkColor = Annotated[str, AfterValidator(_color), AfterValidator(_dark)]
Key = Annotated[str, AfterValidator(_key)]
Font = Annotated[FontFamily, BeforeValidator(_one_of_the_fonts)]
Place = Annotated[float, Field(ge=0, le=2880, allow_inf_nan=False)]
Length = Annotated[float, Field(gt=0, le=2880, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Background(_Part):
    """An image that fills the page, by reference: its bytes are the file `certificate-backgrounds/{sha256}`."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    media_type: Literal["image/png", "image/jpeg"]


class Frame(_Part):
    """What is drawn under the text where there is no image."""

    style: FrameStyle
    color: Color = "#1f2a44"
    accent: Color = "#b08d3c"
    paper: Color = "#ffffff"


class Line(_Part):
    """A straight line, to sign on or to part the page with."""

    top: Place
    left: Place
    width: Length
    thickness: Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)] = 0.75
    color: Color = "#222222"


class Box(_Part):
    """A fact, or a text of the template's own (`custom_text`), in a box; it stands in the middle of the box's height.

    A fact's `value` may hold `{}`: the words around it are printed with it, and not at all where the fact is missing
    ("Valid until {}"). A `value` without `{}` is the editor's sample, as Academy of Mine stores it, and not printed.
    """

    key: Key
    # PostgreSQL keeps any character but NUL.
    value: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")] | None = None
    top: Place
    left: Place
    width: Length
    height: Length
    font_family: Font = FontFamily.NOTO_SANS
    font_weight: Literal["regular", "bold"] = "regular"
    font_size: Annotated[float, Field(ge=4, le=400, allow_inf_nan=False)] = 16
    font_color: Color = "#222222"
    align: Align = "left"

    @model_validator(mode="before")
    @classmethod
    def _font_that_ships(cls, box: object) -> object:
        """The fonts of Academy of Mine's templates become those that ship."""
        if not isinstance(box, dict):
            return box
        asked = box.get("font_family")
        if not isinstance(asked, str) or asked not in FONTS_OF_ACADEMY_OF_MINE:
            return box
        family, weight = FONTS_OF_ACADEMY_OF_MINE[asked]
        return {"font_weight": weight, **box, "font_family": family}

    @model_validator(mode="after")
    def _says_something(self) -> "Box":
        if self.key == CUSTOM_TEXT and not (self.value or "").strip():
            raise PydanticCustomError("empty", "custom_text needs a value, which is what it prints")
        if self.key != CUSTOM_TEXT and (self.value or "").count(PLACE) > 1:
            raise PydanticCustomError("places", "value has more than one {place} for its fact", {"place": PLACE})
        return self


class QrBox(_Part):
    """A square with the QR code of the verification page; the white margin that scanners need is within it."""

    top: Place
    left: Place
    size: Annotated[float, Field(ge=54, le=400, allow_inf_nan=False)]
    color: DarkColor = "#000000"


class Canvas(_Part):
    """One version of a template, whole."""

    width: Annotated[float, Field(ge=144, le=2880, allow_inf_nan=False)]
    height: Annotated[float, Field(ge=144, le=2880, allow_inf_nan=False)]
    background: Background | None = None
    frame: Frame | None = None
    lines: tuple[Line, ...] = Field(default=(), max_length=20)
    boxes: tuple[Box, ...] = Field(max_length=60)
    qr: QrBox | None = None

    @model_validator(mode="after")
    def _fits_the_page(self) -> "Canvas":
        if not self.boxes:
            raise PydanticCustomError("no_boxes", "boxes: needs one at least")
        if sum(len(box.value or "") for box in self.boxes) > _MOST_TEXT:
            raise PydanticCustomError("text", "boxes: hold more than 5,000 characters")
        if self.background is not None and self.frame is not None:
            raise PydanticCustomError("two_grounds", "background, frame: choose one of them")
        parts = [
            *((f"boxes.{n}", box.left + box.width, box.top + box.height) for n, box in enumerate(self.boxes)),
            *((f"lines.{n}", line.left + line.width, line.top + line.thickness) for n, line in enumerate(self.lines)),
        ]
        if self.qr is not None:
            parts.append(("qr", self.qr.left + self.qr.size, self.qr.top + self.qr.size))
        outside = [path for path, right, bottom in parts if _over(right, self.width) or _over(bottom, self.height)]
        if outside:
            paths = ", ".join(outside)
            raise PydanticCustomError("outside", "{paths}: reaches beyond the page", {"paths": paths})
        return self


def canvas_from(content: object) -> Canvas:
    """The canvas that the content of a JSON file, or of a request, describes.

    Raises the refusal `template_invalid`, whose items name each wrong field by its path: `boxes.3.font_color: …`.
    """
    try:
        return Canvas.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        problems = [_problem(".".join(str(part) for part in each["loc"]), each["msg"]) for each in found]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        detail = f"The template cannot be used: {problems[0]}{more}"
        raise refusal(Reason.TEMPLATE_INVALID, detail, *problems[:_LISTED]) from None


def contrast_with_white(color: str) -> float:
    """The contrast ratio of #rrggbb on white, from 1 to 21 (WCAG 2.2)."""
    shares = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def _over(reached: float, limit: float) -> bool:
    return reached > limit and not isclose(reached, limit, abs_tol=0.01)


def _problem(path: str, message: str) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in path)
    return f"{printable[:80]}: {message}" if printable else message
