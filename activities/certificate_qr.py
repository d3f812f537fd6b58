"""QR codes as vector graphics."""

from itertools import groupby

from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel
from reportlab.lib.colors import HexColor, white
from reportlab.pdfgen.canvas import Canvas

QUIET = 4  # modules of white at each side, which ISO/IEC 18004 asks for


def modules_of(text: str) -> list[list[bool]]:
    """The dark and light modules of the QR code, row by row from the top; up to 15 % of it may be lost (level M).

    Raises `ValueError` if the text is longer than a QR code holds.
    """
    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    return [[bool(module) for module in row] for row in code.modules]


def draw_qr(canvas: Canvas, text: str, left: float, bottom: float, size: float, color: str) -> None:
    """Draw the code and its white margin into the square, whose side is given in points."""
    modules = modules_of(text)
    step = size / (len(modules) + 2 * QUIET)
    canvas.saveState()
    canvas.setFillColor(white)
    canvas.rect(left, bottom, size, size, stroke=0, fill=1)
    canvas.setFillColor(HexColor(color))
    path = canvas.beginPath()
    for row, across in enumerate(modules):
        y = bottom + size - (row + 1 + QUIET) * step
        column = 0
        for dark, run in groupby(across):
            length = len(list(run))
            if dark:
                path.rect(left + (column + QUIET) * step, y, length * step, step)
            column += length
    canvas.drawPath(path, stroke=0, fill=1)
    canvas.restoreState()
