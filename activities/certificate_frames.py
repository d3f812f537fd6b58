"""What is drawn under the text of a certificate that has no background image."""

from reportlab.lib.colors import Color, HexColor
from reportlab.pdfgen.canvas import Canvas

from models.canvas import Frame

_STEP = 595  # points: on a page whose shorter side is this long, the measures below are points


def draw_frame(canvas: Canvas, frame: Frame, width: float, height: float) -> None:
    """Fill the page, and draw the frame's style in its colors; the measures grow with the page."""
    canvas.saveState()
    page = canvas.beginPath()
    page.rect(0, 0, width, height)
    canvas.clipPath(page, stroke=0, fill=0)
    canvas.setFillColor(HexColor(frame.paper))
    canvas.rect(0, 0, width, height, stroke=0, fill=1)
    _STYLES[frame.style](canvas, frame, width, height, min(width, height) / _STEP)
    canvas.restoreState()


def _classic(canvas: Canvas, frame: Frame, width: float, height: float, unit: float) -> None:
    """A heavy line between two fine ones, and corners cut in by quarter circles with a diamond in each."""
    for inset, weight, color in ((22, 3.2, frame.color), (29, 0.8, frame.accent)):
        canvas.setStrokeColor(HexColor(color))
        canvas.setLineWidth(weight * unit)
        canvas.rect(inset * unit, inset * unit, width - 2 * inset * unit, height - 2 * inset * unit, stroke=1, fill=0)
    edge, radius = 38 * unit, 26 * unit
    canvas.setLineWidth(1.1 * unit)
    canvas.setStrokeColor(HexColor(frame.accent))
    left, bottom, right, top = edge, edge, width - edge, height - edge
    for x0, y0, x1, y1 in (
        (left + radius, bottom, right - radius, bottom),
        (left + radius, top, right - radius, top),
        (left, bottom + radius, left, top - radius),
        (right, bottom + radius, right, top - radius),
    ):
        canvas.line(x0, y0, x1, y1)
    for x, y, start in ((left, bottom, 0), (right, bottom, 90), (right, top, 180), (left, top, 270)):
        canvas.arc(x - radius, y - radius, x + radius, y + radius, start, 90)
        sign_x, sign_y = (1 if x == left else -1), (1 if y == bottom else -1)
        _diamond(canvas, x + sign_x * radius * 0.28, y + sign_y * radius * 0.28, 5.5 * unit, frame.color)
    for x, y in ((width / 2, bottom), (width / 2, top)):
        canvas.setFillColor(HexColor(frame.paper))
        canvas.rect(x - 34 * unit, y - 4 * unit, 68 * unit, 8 * unit, stroke=0, fill=1)
        for shift, size in ((-20, 3.5), (0, 6.5), (20, 3.5)):
            _diamond(canvas, x + shift * unit, y, size * unit, frame.accent)


def _modern(canvas: Canvas, frame: Frame, width: float, height: float, unit: float) -> None:
    """A band of color at the left with a bright edge, and fine rings that leave the page at the lower right."""
    canvas.setFillColor(HexColor(frame.color))
    canvas.rect(0, 0, 56 * unit, height, stroke=0, fill=1)
    canvas.setFillColor(HexColor(frame.accent))
    canvas.rect(56 * unit, 0, 6 * unit, height, stroke=0, fill=1)
    canvas.setFillColor(_mixed(frame.color, "#ffffff", 0.16))
    for row in range(int(height / unit / 28) + 1):
        for column in range(2):
            canvas.circle((18 + 20 * column) * unit, (14 + 28 * row) * unit, 2.2 * unit, stroke=0, fill=1)
    canvas.setLineWidth(1.2 * unit)
    for ring in range(6):
        canvas.setStrokeColor(_mixed(frame.paper, frame.accent, 0.42 - 0.06 * ring))
        canvas.circle(width, 0, (90 + 26 * ring) * unit, stroke=1, fill=0)


def _bold(canvas: Canvas, frame: Frame, width: float, height: float, unit: float) -> None:
    """Color from edge to edge: broad strokes rise from the right, one of them bright."""
    canvas.setFillColor(HexColor(frame.color))
    canvas.rect(0, 0, width, height, stroke=0, fill=1)
    for start, breadth, color in (
        (0.60, 0.46, _mixed(frame.color, "#ffffff", 0.06)),
        (0.76, 0.30, _mixed(frame.color, "#ffffff", 0.12)),
        (0.955, 0.022, HexColor(frame.accent)),
    ):
        canvas.setFillColor(color)
        slant = height * 0.42
        path = canvas.beginPath()
        path.moveTo(width * start - slant / 2, 0)
        path.lineTo(width * (start + breadth) - slant / 2, 0)
        path.lineTo(width * (start + breadth) + slant / 2, height)
        path.lineTo(width * start + slant / 2, height)
        path.close()
        canvas.drawPath(path, stroke=0, fill=1)
    canvas.setFillColor(HexColor(frame.accent))
    canvas.rect(0, 0, width, 10 * unit, stroke=0, fill=1)


def _diamond(canvas: Canvas, x: float, y: float, size: float, color: str) -> None:
    canvas.setFillColor(HexColor(color))
    path = canvas.beginPath()
    path.moveTo(x - size, y)
    path.lineTo(x, y - size)
    path.lineTo(x + size, y)
    path.lineTo(x, y + size)
    path.close()
    canvas.drawPath(path, stroke=0, fill=1)


def _mixed(one: str, other: str, share: float) -> Color:
    """The first color with a share of the other in it."""
    a, b = HexColor(one), HexColor(other)
    return Color(*(x + (y - x) * share for x, y in zip(a.rgb(), b.rgb(), strict=True)))


_STYLES = {"classic": _classic, "modern": _modern, "bold": _bold}
