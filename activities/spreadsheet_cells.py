"""Cells of spreadsheets: text stays text, whatever it begins with, and amounts are shown as their currency has them."""

import re
import unicodedata

from openpyxl.cell import Cell

# The most that a cell holds, in UTF-16 code units, as Excel counts.
LONGEST_TEXT = 32_767

WORKBOOK_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_STARTS_FORMULA = frozenset("=+-@")
_STARTS_CELL = ("\t", "\r", "\n")
_LINE_ENDS = re.compile("\r\n?")
# XML 1.0 has no way to write these.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# Where a field may end for a program that separates them in another way, and knows nothing of our quotes.
_FIELD_MAY_END = re.compile("([;\t\r\n])")
_UNSEEN = {"Cc", "Cf", "Zs", "Zl", "Zp"}


def amount_format(places: int) -> str:
    """How a cell shows an amount in major units that has so many decimals."""
    return f"#,##0.{'0' * places}" if places else "#,##0"


def looks_like_formula(text: str) -> bool:
    """Whether a program may take the text for a formula (OWASP, CSV injection).

    So it may if it begins with = + - @, also in full width, after spaces or after what nobody sees; or with a tab or
    the end of a line.
    """
    if text.startswith(_STARTS_CELL):
        return True
    first = next((each for each in text if unicodedata.category(each) not in _UNSEEN), "")
    return unicodedata.normalize("NFKC", first)[:1] in _STARTS_FORMULA if first else False


def cell_text(text: str) -> str:
    """The text as a cell holds it: without characters that XML cannot have, line ends as spreadsheets write them.

    What is too long for a cell ends in an ellipsis.
    """
    kept = _NOT_IN_XML.sub("", _LINE_ENDS.sub("\n", text))
    if len(kept) * 2 <= LONGEST_TEXT:
        return kept
    units = kept.encode("utf-16-le")
    if len(units) <= LONGEST_TEXT * 2:
        return kept
    return units[: (LONGEST_TEXT - 1) * 2].decode("utf-16-le", errors="ignore") + _ELLIPSIS


def put_text(cell: Cell, text: str) -> None:
    """Make it the text of the cell of a workbook: typed as text, so that no program takes it for anything else.

    Who edits a cell that looks like a formula still edits a text.
    """
    fit = cell_text(text)
    cell.value = fit
    cell.data_type = "s"
    if looks_like_formula(fit):
        cell.quotePrefix = True


def csv_text(text: str) -> str:
    """The text as a field of a CSV file, which has no types: behind an apostrophe if it looks like a formula.

    So is what looks like one after a semicolon, a tab or the end of a line: where the comma is in numbers, spreadsheets
    begin a field there (OWASP, CSV injection).
    """
    if _FIELD_MAY_END.search(text) is None:
        return f"'{text}" if looks_like_formula(text) else text
    pieces = _FIELD_MAY_END.split(text)
    pieces[2::2] = [f"'{each}" if looks_like_formula(each.replace('"', "")) else each for each in pieces[2::2]]
    whole = "".join(pieces)
    return f"'{whole}" if looks_like_formula(text) else whole
