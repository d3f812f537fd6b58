"""Files that callers send: what they are is found by looking at their content."""

import hashlib
from dataclasses import dataclass
from typing import IO

from fastapi import UploadFile

from activities.media_types import media_type_of
from models.errors import Reason
from routes.problems import ProblemError

MAX_FILE_BYTES = 10_000_000
# A file with the fields of its form.
MAX_UPLOAD_BYTES = MAX_FILE_BYTES + 100_000

_PIECE = 65_536


@dataclass(frozen=True)
class LookedAt:
    """What an uploaded file is."""

    media_type: str
    sha256: str
    size: int


def looked_at(upload: UploadFile) -> LookedAt:
    """What the file is. It is read once, so not on the event loop.

    Raises the problems `payload_too_large` and `unsupported_file`.
    """
    size = upload.size or 0
    if size > MAX_FILE_BYTES:
        raise ProblemError(Reason.PAYLOAD_TOO_LARGE, "A file may have 10 MB at most.")
    media_type = media_type_of(upload.file, size)
    if media_type is None:
        raise ProblemError(Reason.UNSUPPORTED_FILE, "Send a PDF, or a picture as PNG, JPEG or HEIC.")
    return LookedAt(media_type, digest_of(upload.file), size)


def digest_of(file: IO[bytes]) -> str:
    """The SHA-256 of the whole file, in hexadecimal. It is read once, so not on the event loop."""
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()
