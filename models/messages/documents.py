"""What is said about documents. The files themselves travel by reference (DESIGN §3.11)."""

from uuid import UUID

from pydantic import Field

from models.messages.message import Message


class RenderReceipt(Message):
    """Render the receipt of a completed order."""

    receipt_id: UUID


class RenderDocument(Message):
    """Set and store the PDF of a numbered document."""

    document_id: UUID


class StoredFile(Message):
    """Where a file is kept and what it must hash to."""

    key: str = Field(max_length=255)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, description="bytes")


class SendCopy(Message):
    """The input of `DocumentCopyWorkflow`: mail the payer a document once more."""

    document_id: UUID
    payer_id: UUID
    copy_id: UUID = Field(description="says which of several copies it is; the same id is mailed once")
