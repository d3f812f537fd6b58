"""Where files are kept: a folder, S3, Google Cloud Storage or Azure, as the address says. They travel by reference."""

import contextlib
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from hashlib import sha256
from typing import IO, TYPE_CHECKING

import obstore
from obstore.exceptions import GenericError
from obstore.store import LocalStore, from_url
from temporalio.exceptions import ApplicationError

from models.messages.documents import StoredFile

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_SAFE_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_LONGEST_KEY = 255
_AT_ONCE = 1000
_PIECE = 1 << 20
# How many pieces of 5 MiB of a file are on their way to the store at a time. More are no faster, and held in memory.
_PIECES_ON_THEIR_WAY = 2


class FileMismatchError(ApplicationError):
    """The bytes are not those that were stored: somebody or something changed the file. Trying again does not help."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the file {key} is not the one that was stored", type="file_mismatch", non_retryable=True)


class FileMissingError(ApplicationError):
    """There is no file under the key (yet)."""

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no file {key}", type="file_missing")


class FileStoreAwayError(OSError):
    """The store cannot be reached, or cannot do it now. Trying again in a moment can help."""


class FileStore:
    """Files under keys like `receipts/0195….pdf`. Keys are made by us and hold no personal data.

    Every method raises `FileStoreAwayError` while the store is away.
    """

    def __init__(self, url: str) -> None:
        """`file:///path` (made if it is not there), `s3://bucket/prefix`, `gs://…` or `az://…`.

        Credentials of the clouds come from their usual environment variables.
        """
        self._store: ObjectStore = from_url(url, mkdir=True) if url.startswith("file:") else from_url(url)

    async def put(self, key: str, data: bytes, media_type: str) -> StoredFile:
        """Write the file in one step, in place of one with the same key. Raises `ValueError` for an unsafe key."""
        safe = _safe(key)
        # A folder has no place for the media type.
        attributes = None if isinstance(self._store, LocalStore) else {"Content-Type": media_type}
        with _reached():
            await obstore.put_async(self._store, safe, data, attributes=attributes)
        return StoredFile(key=safe, sha256=sha256(data).hexdigest(), size=len(data))

    async def put_file(self, key: str, file: IO[bytes], media_type: str) -> None:
        """Write an open file piece by piece, in place of one with this key. Raises `ValueError` for an unsafe key."""
        safe = _safe(key)
        attributes = None if isinstance(self._store, LocalStore) else {"Content-Type": media_type}
        file.seek(0)
        with _reached():
            await obstore.put_async(
                self._store, safe, file, attributes=attributes, max_concurrency=_PIECES_ON_THEIR_WAY
            )

    async def delete(self, key: str) -> None:
        """Remove the file; that there is none is fine. Raises `ValueError` for an unsafe key."""
        with contextlib.suppress(FileNotFoundError), _reached():
            await obstore.delete_async(self._store, _safe(key))

    async def get(self, file: StoredFile | str, *, digest: str | None = None) -> bytes:
        """The bytes of a stored file, or of a key; with a file or a sha256 `digest` they are verified.

        Raises `FileMissingError`, `FileMismatchError` if the bytes are others than those stored, and `ValueError` for
        an unsafe key.
        """
        key, wanted = (file, digest) if isinstance(file, str) else (file.key, file.sha256)
        try:
            with _reached():
                data = bytes(await (await obstore.get_async(self._store, _safe(key))).bytes_async())
        except FileNotFoundError:
            raise FileMissingError(key) from None
        if wanted is not None and sha256(data).hexdigest() != wanted:
            raise FileMismatchError(key)
        return data

    async def open(self, file: StoredFile) -> AsyncIterator[bytes]:
        """A stored file piece by piece, for one that is too large for the memory.

        Its size is compared before the first piece, and its sha256 before the last: whoever reads on to the end has the
        file that was stored, of any other they have less than all of it. Raises as `get` does, `FileMismatchError`
        also in place of the last piece.
        """
        try:
            with _reached():
                opened = await obstore.get_async(self._store, _safe(file.key))
        except FileNotFoundError:
            raise FileMissingError(file.key) from None
        if opened.meta["size"] != file.size:
            raise FileMismatchError(file.key)
        return _verified(file, opened.stream(min_chunk_size=_PIECE))

    async def copy(self, source: str, target: str) -> None:
        """Keep the file under another key as well, in place of one that is there.

        Raises `FileMissingError`, and `ValueError` for an unsafe key.
        """
        try:
            with _reached():
                await obstore.copy_async(self._store, _safe(source), _safe(target))
        except FileNotFoundError:
            raise FileMissingError(source) from None

    async def delete_all(self, folder: str) -> None:
        """Delete every file whose key begins with this folder's; none there is fine. Raises `ValueError` as `put`."""
        with _reached():
            async for found in obstore.list(self._store, _safe(folder), chunk_size=_AT_ONCE):
                await obstore.delete_async(self._store, [file["path"] for file in found])

    async def size(self, key: str) -> int:
        """Bytes of the file. Raises `FileMissingError`, and `ValueError` for an unsafe key."""
        try:
            with _reached():
                return (await obstore.head_async(self._store, _safe(key)))["size"]
        except FileNotFoundError:
            raise FileMissingError(key) from None


async def _verified(file: StoredFile, pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The pieces, each one held back until it is known that it is not the last, or that all are those stored."""
    digest, held = sha256(), b""
    with _reached():
        async for piece in pieces:
            if held:
                yield held
            held = bytes(piece)
            digest.update(held)
    if digest.hexdigest() != file.sha256:
        raise FileMismatchError(file.key)
    if held:
        yield held


@contextlib.contextmanager
def _reached() -> Iterator[None]:
    """The library's own errors are no `OSError`; that there is no file, or no permission, stays what it is."""
    try:
        yield
    except GenericError as error:
        raise FileStoreAwayError("the file store cannot be reached") from error


def _safe(key: str) -> str:
    if len(key) > _LONGEST_KEY or not _SAFE_KEY.fullmatch(key):
        raise ValueError("a file's key is made of plain path segments, none of them hidden or relative")
    return key
