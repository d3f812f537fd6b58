"""The fonts of our documents: which has a character, how wide its glyphs are, and how the used part gets into a PDF.

Noto has a font for every living script; the packages carry them as variable fonts. HarfBuzz cuts the weight and the
used glyphs out of them, so that a document holds only what it shows and no font is ever parsed in Python.
Certificates have a choice of families (`models/canvas.py`) for the scripts that these know, before Noto takes over.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import as_file, files
from pathlib import Path, PurePosixPath

import uharfbuzz as hb
from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFDocument, PDFName, PDFStream, PDFString

from models.canvas import FontFamily

REGULAR = 400
SEMIBOLD = 600
BOLD = 700

_UNITS = 1000  # of the em, as PDF counts
_ROW = 768  # bytes; a multiple of every size that an offset can have
_CJK_FACES = {"ja": 0, "ko": 1, "zh-Hans": 2, "zh-Hant": 3, "zh-HK": 4}
_CJK_FILE = ("manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc")
_PACKAGE = "manimgx_fonts"
_FIRST = "NotoSans[wght].ttf"
# Asked in this order, after Noto Sans and before the CJK font.
_SCRIPTS = (
    *("Arabic", "Hebrew", "Armenian", "Georgian", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil"),
    *("Telugu", "Kannada", "Malayalam", "Sinhala", "Thai", "Lao", "Khmer", "Myanmar", "Ethiopic", "Symbols"),
)
_LAST = "NotoEmoji[wght].ttf"
# Package, file, and the file of the bold weight where the font has no axis for it.
_FAMILIES = {
    FontFamily.NOTO_SANS: (_PACKAGE, _FIRST, _FIRST),
    FontFamily.LATO: ("fontpkg_lato", "files/Lato-Regular.ttf", "files/Lato-Bold.ttf"),
    FontFamily.MONTSERRAT: ("fontpkg_montserrat", *["files/Montserrat[wght].ttf"] * 2),
    FontFamily.SOURCE_SANS: ("fontpkg_source_sans_3", *["files/SourceSans3[wght].ttf"] * 2),
    FontFamily.ROBOTO_CONDENSED: ("fontpkg_roboto_condensed", *["files/RobotoCondensed[wght].ttf"] * 2),
    FontFamily.ROBOTO_SLAB: ("fontpkg_roboto_slab", *["files/RobotoSlab[wght].ttf"] * 2),
    FontFamily.SPACE_MONO: ("fontpkg_space_mono", "files/SpaceMono-Regular.ttf", "files/SpaceMono-Bold.ttf"),
    FontFamily.EB_GARAMOND: ("fontpkg_eb_garamond", *["files/EBGaramond[wght].ttf"] * 2),
    FontFamily.PLAYFAIR_DISPLAY: ("fontpkg_playfair_display", *["files/PlayfairDisplay[wght].ttf"] * 2),
}
_NOT_FOR_PDF = ("GSUB", "GPOS", "GDEF", "BASE", "STAT", "name", "post", "OS/2", "cmap", "vhea", "vmtx", "VORG")


@dataclass(frozen=True)
class Typeface:
    """One font file (or one face of a collection) at one weight."""

    package: str
    file: str
    index: int
    weight: int

    @cached_property
    def face(self) -> hb.Face:
        """The face itself, shared by all weights."""
        return _face(self.package, self.file, self.index)

    @cached_property
    def shaper(self) -> hb.Font:
        """HarfBuzz's font of this weight, measuring in thousandths of the em."""
        font = hb.Font(self.face)
        font.scale = (_UNITS, _UNITS)
        font.set_variations({"wght": float(self.weight)})
        return font

    def has(self, character: str) -> bool:
        """Whether there is a glyph for the character."""
        return bool(self.shaper.get_nominal_glyph(ord(character)))

    @property
    def has_postscript_outlines(self) -> bool:
        """Whether the outlines are CFF rather than TrueType, which PDF embeds differently."""
        return "CFF2" in self.face.table_tags

    @property
    def postscript_name(self) -> str:
        """A name for the PDF, without spaces."""
        return f"{PurePosixPath(self.file).name.split('[')[0].split('-')[0]}-{self.weight}"

    def cut(self, glyphs: set[int]) -> bytes:
        """The font file with these glyphs only, at this weight; glyphs keep their numbers."""
        wanted = hb.SubsetInput()
        wanted.flags = (
            hb.SubsetFlags.RETAIN_GIDS
            | hb.SubsetFlags.NO_HINTING
            | hb.SubsetFlags.NOTDEF_OUTLINE
            | hb.SubsetFlags.NO_LAYOUT_CLOSURE
        )
        if self.has_postscript_outlines:
            wanted.flags |= hb.SubsetFlags.DOWNGRADE_CFF2 | hb.SubsetFlags.CFF_IDENTITY_CHARSET
        wanted.glyph_set.update(glyphs)
        wanted.drop_table_tag_set.update(int.from_bytes(table.encode(), "big") for table in _NOT_FOR_PDF)
        wanted.pin_all_axes_to_default(self.face)
        wanted.pin_axis_location(self.face, "wght", float(self.weight))
        cut = wanted.subset(self.face)
        return bytes(cut.reference_table("CFF ").data if self.has_postscript_outlines else cut.blob.data)


@lru_cache(maxsize=64)
def _face(package: str, file: str, index: int) -> hb.Face:
    with as_file(files(package) / file) as path:
        return hb.Face(_blob(path), index)


@lru_cache(maxsize=64)
def _blob(path: Path) -> hb.Blob:
    return hb.Blob.from_file_path(str(path))


@lru_cache(maxsize=128)
def _typeface(package: str, file: str, index: int, weight: int) -> Typeface:
    return Typeface(package, file, index, weight)


def typefaces(weight: int, cjk: str) -> Iterator[Typeface]:
    """Every typeface in the order in which a character looks for its glyph. `cjk` is `ja`, `ko`, `zh-Hans`, …"""
    yield _typeface(_PACKAGE, _FIRST, 0, weight)
    for script in _SCRIPTS:
        yield _typeface(_PACKAGE, f"NotoSans{script}[wght].ttf", 0, weight)
    yield _typeface(*_CJK_FILE, _CJK_FACES[cjk], weight)
    yield _typeface(_PACKAGE, _LAST, 0, weight)


@lru_cache(maxsize=8192)
def typeface_for(character: str, weight: int, cjk: str) -> Typeface:
    """The first typeface that has the character; Noto Sans, which shows a box, if none has."""
    candidates = typefaces(weight, cjk)
    first = next(candidates)
    return first if first.has(character) else next((face for face in candidates if face.has(character)), first)


@lru_cache(maxsize=64)
def family_typeface(family: FontFamily, weight: int) -> Typeface:
    """The typeface of a family at a weight."""
    package, regular, bold = _FAMILIES[family]
    return _typeface(package, bold if weight > REGULAR else regular, 0, weight)


@dataclass
class EmbeddedFont:
    """The part of a typeface that one PDF uses. Filled while pages are drawn, written when the document is closed.

    `texts` maps each glyph number to the characters it stands for, so that text can be searched and copied.
    """

    name: str
    typeface: Typeface
    texts: dict[int, str] = field(default_factory=dict)

    def takes(self, glyph: int, text: str) -> bool:
        """Use the glyph for the text; false if it stands for another text in this document already."""
        return self.texts.setdefault(glyph, text) == text

    def addObjects(self, doc: PDFDocument) -> None:  # noqa: N802 - reportlab calls its fonts so
        """Write the font into the document (called by reportlab when it closes the document)."""
        face, glyphs = self.typeface, sorted(self.texts)
        base = PDFName(f"{_tag(self.name)}+{face.postscript_name}")
        postscript = face.has_postscript_outlines
        extents = face.shaper.get_font_extents("ltr")
        cut = face.cut(set(glyphs))
        file = _filtered(cut, {"Subtype": PDFName("CIDFontType0C")}) if postscript else _stream(cut)
        descriptor = {
            "Type": PDFName("FontDescriptor"),
            "FontName": base,
            "Flags": 4,
            "FontBBox": PDFArray([-1000, int(extents.descender), 3000, int(extents.ascender)]),
            "ItalicAngle": 0,
            "Ascent": int(extents.ascender),
            "Descent": int(extents.descender),
            "CapHeight": 714,
            "StemV": 80 if face.weight == REGULAR else 120,
            "FontFile3" if postscript else "FontFile2": doc.Reference(file),
        }
        descendant = {
            "Type": PDFName("Font"),
            "Subtype": PDFName("CIDFontType0" if postscript else "CIDFontType2"),
            "BaseFont": base,
            "CIDSystemInfo": PDFDictionary(
                {"Registry": PDFString("Adobe"), "Ordering": PDFString("Identity"), "Supplement": 0}
            ),
            "FontDescriptor": doc.Reference(PDFDictionary(descriptor)),
            "DW": _UNITS,
            "W": PDFArray([part for g in glyphs for part in (g, PDFArray([face.shaper.get_glyph_h_advance(g)]))]),
        }
        if not postscript:
            descendant["CIDToGIDMap"] = PDFName("Identity")
        doc.idToObject["BasicFonts"].dict[self.name] = doc.Reference(
            PDFDictionary(
                {
                    "Type": PDFName("Font"),
                    "Subtype": PDFName("Type0"),
                    "BaseFont": base,
                    "Encoding": PDFName("Identity-H"),
                    "DescendantFonts": PDFArray([doc.Reference(PDFDictionary(descendant))]),
                    "ToUnicode": doc.Reference(_stream(_to_unicode(self.texts).encode("ascii"))),
                }
            )
        )


def _tag(name: str) -> str:
    """The six capitals that mark a subset."""
    return "".join(chr(65 + ord(letter) % 26) for letter in (name + "AAAAAA")[:6])


def _stream(content: bytes) -> PDFStream:
    entries = {"Filter": PDFName("FlateDecode"), "Length1": len(content)}
    return PDFStream(PDFDictionary(entries), zlib.compress(content, 9))


def _filtered(content: bytes, entries: dict[str, object]) -> PDFStream:
    """A compressed stream whose long tables of offsets, steps of one size, vanish under PNG's "up" filter."""
    padded = content + bytes(-len(content) % _ROW)
    steps = _minus(padded, bytes(_ROW) + padded[:-_ROW])
    rows = b"".join(b"\x02" + steps[start : start + _ROW] for start in range(0, len(steps), _ROW))
    how = PDFDictionary({"Predictor": 12, "Columns": _ROW})
    return PDFStream(
        PDFDictionary({**entries, "Filter": PDFName("FlateDecode"), "DecodeParms": how}),
        zlib.compress(rows, 9),
    )


def _minus(these: bytes, those: bytes) -> bytes:
    """Byte by byte the difference modulo 256, of all bytes at once: the top bits are kept out so that none borrows."""
    size = len(these)
    x, y = int.from_bytes(these, "big"), int.from_bytes(those, "big")
    top, rest = (int.from_bytes(mask * size, "big") for mask in (b"\x80", b"\x7f"))
    return (((x | top) - (y & rest)) ^ ((x ^ ~y) & top)).to_bytes(size, "big")


def _to_unicode(texts: dict[int, str]) -> str:
    pairs = [
        f"<{glyph:04X}> <{text.encode('utf-16-be').hex().upper()}>" for glyph, text in sorted(texts.items()) if text
    ]
    blocks = [pairs[start : start + 100] for start in range(0, len(pairs), 100)]
    mapped = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        f"{mapped}\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    )
