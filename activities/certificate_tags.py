"""The structure of a certificate's PDF: which of its marks are text to be read, in what order, and what is decoration.

The document is tagged as ISO 32000 (14.7, 14.8) and PDF/UA want it: a heading, paragraphs, and a link with a figure.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from reportlab.pdfbase.pdfdoc import (
    PDFArray,
    PDFDictionary,
    PDFDocument,
    PDFInfo,
    PDFName,
    PDFStream,
    PDFString,
    PDFtrue,
)

from activities.document_page import Sheet

Role = Literal["H1", "P"]

_LINK = "verify"


class UndatedInfo(PDFInfo):  # type: ignore[misc]  # reportlab has no types
    """What the PDF says of itself, without the moment of its making: that would be a clock."""

    def format(self, document: PDFDocument) -> bytes:
        """The dictionary as reportlab writes it, less the dates."""
        said = {"Title": self.title, "Author": self.author, "Subject": self.subject, "Creator": self.creator}
        entries = {name: PDFString(words) for name, words in {**said, "Producer": self.producer}.items()}
        written: bytes = PDFDictionary(entries).format(document)
        return written


class Tags:
    """The tags of one page while it is being drawn. Whatever is drawn stands within one of the two kinds of marks."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet, self._document = sheet, sheet._doc
        self._marked: list[object] = []
        self._page = self._document.thisPageRef()
        self._root = PDFDictionary({"Type": PDFName("StructTreeRoot")})
        self._root_ref = self._document.Reference(self._root)
        self._whole, self._whole_ref = self._element("Document", self._root_ref)
        self._parts: list[object] = []
        self._links: list[object] = []

    @contextmanager
    def decoration(self) -> Iterator[None]:
        """What is drawn within is passed over by screen readers."""
        self._sheet._code.append("/Artifact BMC")
        yield
        self._sheet._code.append("EMC")

    @contextmanager
    def text(self, role: Role, words: str) -> Iterator[None]:
        """What is drawn within shows these words, whatever the order of its glyphs."""
        with self._mark(role) as mark:
            yield
        _, part = self._element(role, self._whole_ref, ActualText=PDFString(words), K=mark, Pg=self._page)
        self._marked.append(part)
        self._parts.append(part)

    @contextmanager
    def link(self, url: str, words: str, place: tuple[float, float, float, float]) -> Iterator[None]:
        """What is drawn within is a picture that `words` describe, and leads to the URL where `place` is clicked."""
        with self._mark("Figure") as mark:
            yield
        link, link_ref = self._element("Link", self._whole_ref, Pg=self._page)
        box = PDFDictionary({"O": PDFName("Layout"), "BBox": PDFArray(list(place))})
        _, figure = self._element("Figure", link_ref, Alt=PDFString(words), K=mark, Pg=self._page, A=box)
        self._marked.append(figure)
        action = PDFDictionary({"S": PDFName("URI"), "URI": PDFString(url)})
        self._sheet._addAnnotation(
            PDFDictionary(
                {
                    "Type": PDFName("Annot"),
                    "Subtype": PDFName("Link"),
                    "Rect": PDFArray(list(place)),
                    "Border": PDFArray([0, 0, 0]),
                    "F": 4,
                    "A": action,
                    "Contents": PDFString(words),
                    "StructParent": 1,
                }
            ),
            _LINK,
        )
        clicked = {"Type": PDFName("OBJR"), "Obj": self._document.refAnnotation(_LINK), "Pg": self._page}
        link.dict["K"] = PDFArray([figure, PDFDictionary(clicked)])
        self._parts.append(link_ref)
        self._links.append(link_ref)

    def close(self) -> None:
        """Show the page, and write its structure into the document."""
        self._whole.dict["K"] = PDFArray(self._parts)
        numbers: list[object] = [0, PDFArray(self._marked)]
        for link in self._links:
            numbers += [1, link]
        parents = PDFDictionary({"Nums": PDFArray(numbers)})
        self._root.dict.update(
            K=PDFArray([self._whole_ref]), ParentTree=self._document.Reference(parents), ParentTreeNextKey=2
        )
        self._document.Catalog.StructTreeRoot = self._root
        self._document.Catalog.MarkInfo = PDFDictionary({"Marked": PDFtrue})
        self._sheet.showPage()
        page = self._document.Pages.pages[-1]
        page.__NoDefault__ = [*page.__NoDefault__, "StructParents", "Tabs"]
        page.StructParents, page.Tabs = 0, PDFName("S")
        # Compressed here, since reportlab would write the page in letters (ASCII 85), slower and larger.
        filtered = PDFDictionary({"Filter": PDFName("FlateDecode")})
        page.Contents = PDFStream(filtered, zlib.compress(page.stream.encode("ascii"), 9))

    @contextmanager
    def _mark(self, role: str) -> Iterator[int]:
        number = len(self._marked)
        self._sheet._code.append(f"/{role} <</MCID {number}>> BDC")
        yield number
        self._sheet._code.append("EMC")

    def _element(self, role: str, parent: object, **more: object) -> tuple[PDFDictionary, object]:
        element = PDFDictionary({"Type": PDFName("StructElem"), "S": PDFName(role), "P": parent, **more})
        return element, self._document.Reference(element)
