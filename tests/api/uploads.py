"""Files as applicants upload them: the smallest of each kind, and what only looks like one."""

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xdb\x00\x43\x00"
    + b"\x01" * 64
    + b"\xff\xd9"
)
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + b"\x00" * 64
ZIP = b"PK\x03\x04" + b"\x00" * 26 + b"PK\x05\x06" + b"\x00" * 18
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"

GOOD = {"application/pdf": PDF, "image/png": PNG, "image/jpeg": JPEG, "image/heic": HEIC}
BAD = {
    "empty": b"",
    "text": b"I am a passport.",
    "html": HTML,
    "svg": SVG,
    "zip": ZIP,
    "video": b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42" + b"\x00" * 64,
    "avif": b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif" + b"\x00" * 64,
    "gif": b"GIF89a" + b"\x00" * 32,
    "executable": b"MZ" + b"\x00" * 64,
    "pdf and page": PDF.replace(b"1 0 obj", b"<script>alert(1)</script> 1 0 obj"),
    "pdf and archive": PDF + ZIP,
    "page and pdf": HTML + PDF,
    "picture and pdf": JPEG.replace(b"JFIF", b"%PDF-1.4"),
    "picture and archive": PNG + ZIP,
    "picture and page": JPEG.replace(b"JFIF", HTML),
    "cut pdf": PDF[:40],
    "cut picture": PNG[:30],
    "late pdf": b"\n" * 8 + PDF,
}
