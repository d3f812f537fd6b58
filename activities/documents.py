"""The step that makes a document: read the facts, set it, store it, write down where it is and what is printed."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from activities.document_facts import facts_to_print
from activities.document_pdf import render_pdf
from activities.files import FileMissingError, FileStore
from activities.printed import from_snapshot, snapshot_of
from models.messages.documents import RenderDocument, RenderReceipt, StoredFile
from models.tables import Document
from models.vocabulary import DocumentKind

_FOLDERS = {
    DocumentKind.RECEIPT: "receipts",
    DocumentKind.INVOICE: "invoices",
    DocumentKind.CREDIT_NOTE: "credit-notes",
}


class DocumentDiffersError(ApplicationError):
    """A lost file cannot be made again as it was: what is printed on it, or how it is set, has changed since.

    What is on record stays as it is. The file has to come back from a backup.
    """

    def __init__(self) -> None:
        super().__init__("the document cannot be made again as it was", type="document_differs", non_retryable=True)


@dataclass
class DocumentActivities:
    """Steps that set documents. Setting takes processor time, so it happens in the executor."""

    sessions: Sessions
    files: FileStore
    executor: Executor

    @activity.defn
    async def render_receipt(self, request: RenderReceipt) -> StoredFile:
        """`render_document`, under the name that orders know which began before there were other documents.

        Raises what that raises, with `receipt_unknown` in place of `document_unknown`.
        """
        return await self._render(request.receipt_id, unknown="receipt_unknown")

    @activity.defn
    async def render_document(self, request: RenderDocument) -> StoredFile:
        """Set and store the document; a repeat returns the stored file as it is.

        What is printed is read once and kept with the file. A file that got lost is made again from that, byte by
        byte. Raises non-retryable `ApplicationError`s: `document_unknown` if there is no such document, and
        `document_differs` (`DocumentDiffersError`).
        """
        return await self._render(request.document_id, unknown="document_unknown")

    async def _render(self, document_id: UUID, *, unknown: str) -> StoredFile:
        async with self.sessions() as session:
            document = await session.get(Document, document_id)
            if document is None:
                raise ApplicationError("there is no such document", type=unknown, non_retryable=True)
            if (stored := await self._stored(document)) is not None:
                return stored
            # Files of an earlier version have nothing kept with them: they are made of what is on record now.
            snapshot = document.printed or snapshot_of(await facts_to_print(session, document))
        try:
            printed = from_snapshot(snapshot)
        except ValidationError:  # which would tell the names of people
            raise DocumentDiffersError from None
        pdf = await asyncio.get_running_loop().run_in_executor(self.executor, render_pdf, printed)
        return await self._store(document_id, snapshot, pdf)

    async def _store(self, document_id: UUID, snapshot: dict[str, object], pdf: bytes) -> StoredFile:
        async with self.sessions.begin() as session:
            # Locked until the row names the file, so that an attempt that lost its race overwrites nothing.
            document = await session.get_one(Document, document_id, with_for_update=True)
            if (stored := await self._stored(document)) is not None:
                return stored
            if document.printed and document.sha256 != sha256(pdf).hexdigest():
                raise DocumentDiffersError
            folder = _FOLDERS[DocumentKind(document.kind)]
            file = await self.files.put(f"{folder}/{document_id}.pdf", pdf, "application/pdf")
            document.file_key, document.sha256, document.printed = file.key, file.sha256, snapshot
            return file

    async def _stored(self, document: Document) -> StoredFile | None:
        if document.file_key is None or document.sha256 is None:
            return None
        try:
            size = await self.files.size(document.file_key)
        except FileMissingError:
            return None
        return StoredFile(key=document.file_key, sha256=document.sha256, size=size)
