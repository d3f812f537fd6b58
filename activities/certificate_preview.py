"""A certificate template as it will look, about made-up facts: to see before anybody is certified by it."""

import json
from hashlib import sha256
from pathlib import Path

import pypdfium2
from PIL.Image import Image

from activities.certificate_pdf import render_certificate_pdf
from activities.certificate_samples import SAMPLE_URL, sample_facts, shipped_templates
from models.canvas import Canvas, canvas_from
from models.errors import Reason, refusal

_PIXELS_PER_POINT = 2


def write_preview(
    template: str, folder: Path, *, as_png: bool, background: Path | None = None, name: str | None, language: str
) -> list[Path]:
    """Write the PDF, and what is seen of it as PNG, into the folder; the files are named after the template.

    `template` is a JSON file, or the name of one that ships. Raises the refusal `template_invalid`, and `OSError`
    where a file cannot be read or written.
    """
    stem, canvas = _read(template)
    image = None if background is None else background.read_bytes()
    if image is not None and canvas.background is not None and sha256(image).hexdigest() != canvas.background.sha256:
        raise refusal(Reason.TEMPLATE_INVALID, "The template cannot be used: background: this is another image")
    pdf = render_certificate_pdf(canvas, sample_facts(canvas, name, language), image, SAMPLE_URL)
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / f"{stem}.pdf"]
    written[0].write_bytes(pdf)
    if as_png:
        written.append(folder / f"{stem}.png")
        picture(pdf).save(written[1])
    return written


def picture(pdf: bytes) -> Image:
    """The first page as an image, at 144 dots per inch."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        image: Image = document[0].render(scale=_PIXELS_PER_POINT).to_pil()
        return image
    finally:
        document.close()


def _read(template: str) -> tuple[str, Canvas]:
    if template in shipped_templates():
        return template, shipped_templates()[template]
    path = Path(template)
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise refusal(Reason.TEMPLATE_INVALID, f"The template cannot be used: the file is no JSON ({error})") from None
    return path.stem, canvas_from(content)
