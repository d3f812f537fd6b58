"""Certificates as one core sets them, beside bare ReportLab.

The floor draws the same words at the same places in Helvetica, which every reader has: no fonts to cut and embed, no
shaping, no fitting, no tags; once without a QR code, and once with ReportLab's own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from io import BytesIO

from reportlab.graphics import renderPDF
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib.colors import HexColor
from reportlab.pdfgen.canvas import Canvas as Bare

from activities.certificate_pdf import printed_words, render_certificate_pdf
from activities.certificate_samples import SAMPLE_URL, sample_facts, shipped_templates
from bench.figures import Round, Row
from bench.rig import Rig
from bench.sizes import Size
from bench.turns import Way, take_turns
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
_HERE = "benchmark itself"
_Draw = Callable[[Canvas, CertificateFacts, str], bytes]


async def measure(rig: Rig, size: Size) -> list[Row]:
    """One row: the templates that ship in turn, each page for another person with another code."""
    per_round = max(1, size.certificates // size.rounds)
    sizes: dict[str, list[int]] = {}
    contenders: dict[str, _Draw] = {
        "three templates, six scripts": _ours,
        "bare ReportLab": _floor,
        "bare ReportLab and its QR code": _floor_with_code,
    }
    for draw in contenders.values():
        _drawn_pages(draw, len(_NAMES), 0, [])  # fonts are opened once in a process
    ways = [Way(name, _HERE, _work(draw, per_round, sizes.setdefault(name, []))) for name, draw in contenders.items()]
    sides = [
        side.model_copy(update={"notes": (f"{sum(sizes[side.name]) / len(sizes[side.name]) / 1024:.0f} KiB a page",)})
        for side in await take_turns(rig.clock, ways, size.rounds)
    ]
    ours, floor, *others = sides
    return [Row(name="certificates", piece="page", registrar=ours, floor=floor, others=tuple(others))]


def _work(draw: _Draw, pages: int, sizes: list[int]) -> Callable[[int], Awaitable[Round]]:
    return lambda number: asyncio.to_thread(_drawn_pages, draw, pages, number * pages, sizes)


def _drawn_pages(draw: _Draw, pages: int, start: int, sizes: list[int]) -> Round:
    canvases = list(shipped_templates().values())
    milliseconds = []
    began = time.perf_counter()
    for number in range(start, start + pages):
        canvas = canvases[number % len(canvases)]
        facts = sample_facts(canvas, f"{_NAMES[number % len(_NAMES)]} {number}")
        page_began = time.perf_counter()
        sizes.append(len(draw(canvas, facts, f"{SAMPLE_URL[:-6]}{number:06d}")))
        milliseconds.append(1000 * (time.perf_counter() - page_began))
    return Round(pieces=pages, seconds=time.perf_counter() - began, milliseconds=tuple(milliseconds))


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
