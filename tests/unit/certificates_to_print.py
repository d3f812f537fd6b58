"""Canvases and facts for the tests of certificates, and how their files are read."""

import re
from io import BytesIO

from pypdf import PdfReader

from activities.certificate_pdf import render_certificate_pdf
from activities.certificate_samples import sample_facts, shipped_templates
from models.canvas import Canvas, canvas_from
from models.certificate_facts import CertificateFacts

URL = "https://academy.test/verify/7Z3K9QW2M4X8C1V5B6N0T2R4YH"
PAGE = {"width": 842, "height": 595}


def box(key: str = "student_full_name", **more: object) -> dict[str, object]:
    return {"key": key, "top": 200, "left": 100, "width": 600, "height": 80, "font_size": 40, **more}


def canvas(*boxes: dict[str, object], **more: object) -> Canvas:
    return canvas_from({**PAGE, "boxes": list(boxes or [box()]), **more})


def facts(name: str = "Grace Hopper", **more: object) -> CertificateFacts:
    return sample_facts(shipped_templates()["classic"], name).model_copy(update=more)


def rendered(on: Canvas, printed: CertificateFacts, image: bytes | None = None) -> bytes:
    return render_certificate_pdf(on, printed, image, URL)


def opened(pdf: bytes) -> PdfReader:
    """The file as a reader that forgives nothing sees it."""
    reader = PdfReader(BytesIO(pdf), strict=True)
    assert len(reader.pages) == 1
    return reader


def read(pdf: bytes) -> str:
    """The text of the page, its lines joined."""
    return re.sub(r"\s+", " ", opened(pdf).pages[0].extract_text()).strip()
