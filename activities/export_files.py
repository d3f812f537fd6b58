"""The file of an export: where it is kept, what it is called, and that somebody has taken it."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.exceptions import ApplicationError

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.files import FileStore
from activities.spreadsheet_cells import WORKBOOK_MEDIA_TYPE
from models.messages.documents import StoredFile
from models.tables import Export
from models.vocabulary import ExportFormat, ExportStatus

MEDIA_TYPES: Mapping[ExportFormat, str] = {
    ExportFormat.XLSX: WORKBOOK_MEDIA_TYPE,
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.PDF: "application/pdf",
}
_EXPORT = "export"
_WITHOUT_FILE = (ExportStatus.FAILED, ExportStatus.CANCELED, ExportStatus.EXPIRED)


class ExportNotRunningError(ApplicationError):
    """There is no such export, or it is over."""

    def __init__(self) -> None:
        super().__init__("the export is not running", type="export_not_running", non_retryable=True)


def part_key(export_id: UUID, number: int) -> str:
    """Where a part of an export's file is kept until all are there."""
    return f"exports/{export_id}/part-{number:05}"


def export_key(export_id: UUID, report: str, format_: str) -> str:
    """Where the file of an export is kept."""
    return f"exports/{export_id}/{report}.{format_}"


async def leave_no_file_behind(sessions: Sessions, files: FileStore, export_id: UUID, key: str) -> None:
    """Delete the file that was just stored if its export ended meanwhile without one: nobody else would find it.

    Raises `ExportNotRunningError` then.
    """
    async with sessions() as session:
        export = await session.get(Export, export_id)
    if export is not None and export.status in _WITHOUT_FILE:
        await files.delete(key)
        raise ExportNotRunningError


def stored_file(export: Export) -> StoredFile | None:
    """The file; none where there is none."""
    if export.file_sha256 is None or export.size is None:
        return None
    return StoredFile(
        key=export_key(export.id, export.report, export.format), sha256=export.file_sha256, size=export.size
    )


def file_name(export: Export) -> str:
    """What it is called where it is saved: the report and its day, in plain ASCII."""
    moment = export.snapshot_at or export.created_at
    return f"{export.report}-{moment:%Y-%m-%d}.{export.format}"


async def write_download(session: AsyncSession, export: Export, actor: str, reason: str) -> None:
    """Write down who takes the file. `reason` is how, e.g. `downloaded`."""
    taken = StateChange(_EXPORT, export.id, export.status, export.status)
    await write_audit(session, [taken], actor=actor, reason=reason, workflow_id=export.workflow_id)
