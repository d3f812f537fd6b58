"""`make bench`: how many certificates a second one core sets, beside bare ReportLab.

The floor draws the same words at the same places in Helvetica, which every reader has: no fonts to cut and embed, no
shaping, no fitting, no tags; once without a QR code, and once with ReportLab's own.
"""

import time
from collections.abc import Callable
from io import BytesIO
from typing import Annotated

import typer
from reportlab.graphics import renderPDF
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib.colors import HexColor
from reportlab.pdfgen.canvas import Canvas as Bare
from rich.console import Console
from rich.table import Table

from activities.certificate_pdf import printed_words, render_certificate_pdf
from activities.certificate_samples import SAMPLE_URL, sample_facts, shipped_templates
from bench.report import machine
from bench.timing import Timing, pooled, spread
from models.canvas import Canvas
from models.certificate_facts import CertificateFacts

_NAMES = (
    "Grace Hopper",
    "Łukasz Żółciński",
    "Олена Шевченко",
    "ليلى الحسيني",
    "王小明",
    "Aoife O'Connor-Ní Dhomhnaill",
)
_Draw = Callable[[Canvas, CertificateFacts, str], bytes]

console = Console()
if console.width < 120 and not console.is_terminal:
    console = Console(width=120)


def _ours(canvas: Canvas, facts: CertificateFacts, url: str) -> bytes:
    return render_certificate_pdf(canvas, facts, None, url)


def _floor(canvas: Canvas, facts: CertificateFacts, url: str) -> bytes:
    pdf = BytesIO()
    bare = Bare(pdf, (canvas.width, canvas.height))
    _drawn(bare, canvas, facts, url)
    bare.save()
    return pdf.getvalue()


def _floor_with_code(canvas: Canvas, facts: CertificateFacts, url: str) -> bytes:
    pdf = BytesIO()
    bare = Bare(pdf, (canvas.width, canvas.height))
    _drawn(bare, canvas, facts, url)
    if canvas.qr is not None:
        size = canvas.qr.size
        drawing = Drawing(size, size)
        drawing.add(QrCodeWidget(url, barWidth=size, barHeight=size, barLevel="M"))
        renderPDF.draw(drawing, bare, canvas.qr.left, canvas.height - canvas.qr.top - size)
    bare.save()
    return pdf.getvalue()


def _drawn(bare: Bare, canvas: Canvas, facts: CertificateFacts, url: str) -> None:
    for box, words in zip(canvas.boxes, printed_words(canvas, facts, url), strict=True):
        bare.setFont("Helvetica", box.font_size)
        bare.setFillColor(HexColor(box.font_color))
        bare.drawString(
            box.left, canvas.height - box.top - box.height, words.encode("latin-1", "replace").decode("latin-1")
        )


def _timed(draw: _Draw, pages: int, start: int) -> tuple[Timing, int]:
    """So many pages, each of another person with another code; also how many bytes they have."""
    canvases = list(shipped_templates().values())
    milliseconds, size = [], 0
    began = time.perf_counter()
    for number in range(start, start + pages):
        canvas = canvases[number % len(canvases)]
        facts = sample_facts(canvas, f"{_NAMES[number % len(_NAMES)]} {number}")
        page_began = time.perf_counter()
        size += len(draw(canvas, facts, f"{SAMPLE_URL[:-6]}{number:06d}"))
        milliseconds.append(1000 * (time.perf_counter() - page_began))
    return Timing(time.perf_counter() - began, tuple(milliseconds)), size


def main(
    pages: Annotated[int, typer.Option(min=1, help="how many in each round")] = 60,
    rounds: Annotated[int, typer.Option(min=1, help="how often, all of them in turn")] = 4,
) -> None:
    """Print pages per second of each; no time is ever asserted."""
    contenders: dict[str, _Draw] = {
        "certificate": _ours, "bare ReportLab": _floor, "bare ReportLab and its QR code": _floor_with_code
    }  # fmt: skip
    timings: dict[str, list[Timing]] = {name: [] for name in contenders}
    sizes = dict.fromkeys(contenders, 0)
    about = machine()
    for draw in contenders.values():
        _timed(draw, len(_NAMES), 0)  # fonts are opened once in a process
    for turn in range(rounds):
        for name, draw in contenders.items():
            timing, size = _timed(draw, pages, turn * pages)
            timings[name].append(timing)
            sizes[name] += size
    console.print(", ".join(f"{name} {value}" for name, value in about.items()), highlight=False)
    table = Table(title=f"{pages * rounds} certificates each, three templates, {len(_NAMES)} scripts and names")
    for heading in ("", "pages/s (rounds)", "p50 ms", "p95 ms", "KiB a page", "rate ×"):
        table.add_column(heading)
    ours = pooled(timings["certificate"])
    for name, measured in timings.items():
        whole, (slowest, fastest) = pooled(measured), spread(measured)
        table.add_row(
            name,
            f"{whole.per_second:.0f} ({slowest:.0f}–{fastest:.0f})",
            f"{whole.percentile(50):.1f}",
            f"{whole.percentile(95):.1f}",
            f"{sizes[name] / pages / rounds / 1024:.0f}",
            f"{ours.per_second / whole.per_second:.2f}",
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
