"""A Temporal whose workflows of exports answer as real ones would, and exports as they stand in the record."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlmodel import col
from temporalio.client import WorkflowUpdateFailedError

from activities.database import Sessions
from activities.export_files import MEDIA_TYPES, export_key
from activities.files import FileStore
from models.errors import Reason, refusal
from models.identifiers import export_workflow_id
from models.messages.exports import ExportRequest
from models.tables import AuditEntry, Export
from models.tables.columns import now
from models.vocabulary import ExportFormat, ExportReport, ExportStatus
from tests.api.recording_temporal import RecordingTemporal


@dataclass
class ExportingTemporal(RecordingTemporal):
    """Begins exports: writes them down, unless it `loses` them; refuses with `refusal_reason`, or is too slow."""

    sessions: Sessions | None = None
    refusal_reason: Reason | None = None
    is_slow: bool = False
    loses: bool = False

    async def execute_update_with_start_workflow(
        self, update: str, argument: object = None, *, start_workflow_operation: Any, **options: Any
    ) -> object:
        """Record the update, and write the row as the first step of the workflow does."""
        await super().execute_update_with_start_workflow(
            update, argument, start_workflow_operation=start_workflow_operation, **options
        )
        request = start_workflow_operation._start_workflow_input.args[0]
        assert isinstance(request, ExportRequest)
        assert self.sessions is not None
        if not self.loses:
            await write_export(self.sessions, request, reason=self.refusal_reason)
        if self.refusal_reason is not None:
            raise WorkflowUpdateFailedError(refusal(self.refusal_reason, "There are 20,000 rows."))
        if self.is_slow:
            raise TimeoutError
        return None


async def write_export(sessions: Sessions, request: ExportRequest, *, reason: Reason | None = None) -> None:
    """The row of an export that is running, or has failed; one that is there stays."""
    async with sessions.begin() as session:
        if await session.get(Export, request.export_id) is not None:
            return
        session.add(
            Export(
                id=request.export_id,
                report=request.report,
                format=request.format,
                status=ExportStatus.RUNNING if reason is None else ExportStatus.FAILED,
                status_reason=reason,
                ended_at=None if reason is None else now(),
                filters=request.filters.model_dump(mode="json"),
                asked_sha256="0" * 64,
                requested_by=request.actor,
                workflow_id=export_workflow_id(request.export_id),
            )
        )


async def finish_export(
    sessions: Sessions, files: FileStore, export: Export, data: bytes, *, kept_for: timedelta = timedelta(days=7)
) -> None:
    """The file of an export, in the store and on record."""
    key = export_key(export.id, export.report, export.format)
    stored = await files.put(key, data, MEDIA_TYPES[export.format])
    async with sessions.begin() as session:
        found = await session.get_one(Export, export.id)
        found.status, found.ended_at, found.row_count, found.rows_written = ExportStatus.DONE, now(), 2, 2
        found.file_sha256, found.size, found.expires_at = stored.sha256, stored.size, now() + kept_for
        found.snapshot_at = datetime.fromisoformat("2026-03-01T06:00:00+00:00")


async def written_export(
    sessions: Sessions,
    report: ExportReport = ExportReport.ORDERS,
    *,
    actor: str = "staff:frida",
    format_: ExportFormat = ExportFormat.CSV,
) -> Export:
    """An export that is running."""
    request = ExportRequest(export_id=uuid4(), report=report, format=format_, actor=actor)
    await write_export(sessions, request)
    async with sessions() as session:
        return await session.get_one(Export, request.export_id)


async def downloads(sessions: Sessions) -> list[tuple[str, str, UUID]]:
    """Who has taken which file, and how."""
    query = select(AuditEntry).where(col(AuditEntry.subject_kind) == "export").order_by(col(AuditEntry.id))
    async with sessions() as session:
        return [(each.actor, each.reason, each.subject_id) for each in await session.scalars(query)]
