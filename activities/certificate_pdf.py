"""The PDF of a certificate."""

from models.canvas import Canvas
from models.certificate_facts import CertificateFacts


def render_certificate_pdf(canvas: Canvas, facts: CertificateFacts, background: bytes | None, verify_url: str) -> bytes:
    """The certificate on one page."""
    return b"\n".join(
        [b"%PDF-1.7", canvas.model_dump_json().encode(), facts.model_dump_json().encode(), verify_url.encode()]
    )
