"""Stored files as answers: not sent again to who has them, and never other bytes than those that were stored."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Header, Response
from fastapi.responses import StreamingResponse

from activities.files import FileStore
from models.messages.documents import StoredFile

IfNoneMatch = Annotated[str | None, Header(description="the ETag of the file you have")]


def file_answers(description: str, media_types: Iterable[str], example: str) -> dict[int | str, dict[str, Any]]:
    """What a route that answers with a file documents."""
    return {
        200: {
            "description": description,
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}, "example": example}
                for media_type in media_types
            },
            "headers": {
                "ETag": {"description": "the SHA-256 of the file", "schema": {"type": "string"}},
                "Content-Disposition": {"description": "the file's name", "schema": {"type": "string"}},
            },
        },
        304: {"description": "The file is the one you have"},
    }


async def file_answer(
    files: FileStore, key: str, digest: str, *, media_type: str, disposition: str, if_none_match: str | None
) -> Response:
    """The file under the key, or that the caller has it. `digest` is its SHA-256, which is its ETag.

    Raises `FileMissingError`, and `FileMismatchError` if the bytes are others than those stored.
    """
    headers = {"ETag": f'"{digest}"', "Content-Disposition": disposition}
    if if_none_match is not None and f'"{digest}"' in if_none_match:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(await files.get(key, digest=digest), media_type=media_type, headers=headers)


async def streamed_answer(
    files: FileStore, file: StoredFile, *, media_type: str, disposition: str, if_none_match: str | None
) -> Response:
    """As `file_answer`, for files too large for the memory: one that was changed in the store breaks off before its
    last piece, so that it is shorter than its `Content-Length`.

    Raises `FileMissingError`, and `FileMismatchError` if its size is not that of the stored one.
    """
    headers = {"ETag": f'"{file.sha256}"', "Content-Disposition": disposition}
    if if_none_match is not None and f'"{file.sha256}"' in if_none_match:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    headers["Content-Length"] = str(file.size)
    return StreamingResponse(await files.open(file), media_type=media_type, headers=headers)
