"""QR codes as vector graphics."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel
from reportlab.lib.colors import HexColor, white
from reportlab.pdfgen.canvas import Canvas

_MOST = 1000
QUIET = 4  # modules of white at each side, which ISO/IEC 18004 asks for


def modules_of(text: str) -> list[list[bool]]:
    """The dark and light modules of the QR code, row by row from the top; up to 15 % of it may be lost (level M).

    Raises `ValueError` if the text has more than 1,000 bytes, which no camera reads from a certificate.
    """
    if len(text.encode()) > _MOST:
        raise ValueError(f"a QR code of {len(text.encode())} bytes is too fine to be scanned")
    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    return [[bool(module) for module in row] for row in code.modules]


def draw_qr(canvas: Canvas, text: str, left: float, bottom: float, size: float, color: str) -> None:
    """Draw the code and its white margin into the square, whose side is given in points."""
    modules = modules_of(text)
    step = size / (len(modules) + 2 * QUIET)
    dark = [
        f"{column} {-row - 1} {length} 1 re"
        for row, across in enumerate(modules)
        for column, length in _dark_runs(across)
    ]
    canvas.saveState()
    canvas.setFillColor(white)
    canvas.rect(left, bottom, size, size, stroke=0, fill=1)
    canvas.setFillColor(HexColor(color))
    # In units of one module, from the upper left corner of the code.
    canvas.transform(step, 0, 0, step, left + QUIET * step, bottom + size - QUIET * step)
    canvas._code += [*dark, "f"]
    canvas.restoreState()


def _dark_runs(across: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Where in the row dark modules begin, and how many follow each other."""
    column = 0
    for is_dark, run in groupby(across):
        length = len(list(run))
        if is_dark:
            yield column, length
        column += length
