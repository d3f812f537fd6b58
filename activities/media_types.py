"""What a file is, found by looking at its content. Its name, and the type that was declared, are anybody's words."""

import re
from typing import IO

import puremagic

_LOOKED_AT = 4096
# Where a reader of zip archives looks for the end of one, whatever the file begins with.
_ZIP_TAIL = 65_557
_PDF, _PNG, _JPEG, _HEIC = "application/pdf", "image/png", "image/jpeg", "image/heic"
_KNOWN = {"application/pdf": _PDF, "image/png": _PNG, "image/jpeg": _JPEG, "image/heic": _HEIC, "image/heif": _HEIC}
_BEGINS = {
    _PDF: re.compile(rb"%PDF-[12]\."),
    _PNG: re.compile(rb"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    _JPEG: re.compile(rb"\xff\xd8\xff"),
    _HEIC: re.compile(rb".{4}ftyp(hei[cxsm]|hev[cxms])", re.DOTALL),
}
_ENDS = {_PDF: b"%%EOF", _PNG: b"IEND\xaeB`\x82", _JPEG: b"\xff\xd9"}
_MARKUP = re.compile(rb"<(!doctype|html|head|body|script|svg|iframe|\?php)", re.IGNORECASE)
EXTENSIONS = {_PDF: (".pdf",), _PNG: (".png",), _JPEG: (".jpg", ".jpeg"), _HEIC: (".heic", ".heif")}


def media_type_of(file: IO[bytes], size: int) -> str | None:
    """PDF, PNG, JPEG or HEIC; none of anything else, also of what is one of these and something else at once.

    Reads the beginning and the end of the file only.
    """
    file.seek(0)
    head = file.read(_LOOKED_AT)
    file.seek(max(0, size - _ZIP_TAIL))
    tail = file.read()
    found = _recognized(head)
    if found is None or not _BEGINS[found].match(head) or _ENDS.get(found, b"") not in tail:
        return None
    return None if _is_also_something_else(found, head, tail) else found


def _recognized(head: bytes) -> str | None:
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return None
    return next((_KNOWN[match.mime_type] for match in matches if match.mime_type in _KNOWN), None)


def _is_also_something_else(found: str, head: bytes, tail: bytes) -> bool:
    is_also_pdf = found != _PDF and b"%PDF-" in head
    return is_also_pdf or b"PK\x05\x06" in tail or _MARKUP.search(head) is not None
