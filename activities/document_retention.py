"""Deleting files whose time is over. A file goes before the row forgets it: what dies between is found again."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.audit import StateChange, write_audit
from activities.certificate_corrections import CORRECTION
from activities.database import Sessions
from activities.export_files import part_key
from activities.files import FileStore
from activities.findings_workbook import workbook_key
from models.messages.recurring import DeleteFiles, FilesDeleted
from models.tables import CheckRun, Export, ExportChunk, ExportPart, NameCorrection
from models.tables.columns import now
from models.vocabulary import ExportStatus
from rules.retention import EVIDENCE_KEPT, EXPORTS_RUN, WORKBOOKS_KEPT

_AT_ONCE = 20
_EXPORT = "export"


@dataclass(frozen=True)
class _End:
    """How an export ends, and what the audit log says of it."""

    before: ExportStatus
    after: ExportStatus
    reason: str
    status_reason: str | None = None


_EXPIRED = _End(ExportStatus.DONE, ExportStatus.EXPIRED, "its time is over")
_ABANDONED = _End(ExportStatus.RUNNING, ExportStatus.FAILED, "its job is gone", "job_gone")


@dataclass
class DocumentRetentionActivities:
    """Each step deletes a page of one kind of files; there may be more if it was a full one.

    Raises `FileStoreAwayError`, to be repeated, while the store is away.
    """

    sessions: Sessions
    files: FileStore

    @activity.defn
    async def expire_exports(self, step: DeleteFiles) -> FilesDeleted:
        """Delete the files of exports that are kept no longer, and let them expire."""
        over = select(col(Export.id)).where(
            col(Export.status) == ExportStatus.DONE, col(Export.expires_at) <= step.moment
        )
        ids = await self._page(over.order_by(col(Export.expires_at), col(Export.id)), step)
        await _all(self.files.delete_all(f"exports/{each}") for each in ids)
        async with self.sessions.begin() as session:
            await _clear(session, ids)
            await _end(session, ids, _EXPIRED, step)
        return FilesDeleted(deleted=len(ids))

    @activity.defn
    async def clear_exports(self, step: DeleteFiles) -> FilesDeleted:
        """Delete what exports were written from, where they have ended; those whose job is gone have failed."""
        await self._fail_abandoned(step)
        left = select(col(Export.id), col(Export.status)).where(
            col(Export.status) != ExportStatus.RUNNING,
            # The job itself clears up a moment after its end.
            col(Export.ended_at) <= step.moment - EXPORTS_RUN,
            _has(ExportPart) | _has(ExportChunk),
        )
        async with self.sessions() as session:
            found = (await session.execute(left.order_by(col(Export.id)).limit(step.limit))).all()
            ids = [export_id for export_id, _ in found]
            parts = select(col(ExportPart.export_id), col(ExportPart.number)).where(col(ExportPart.export_id).in_(ids))
            keys = [part_key(export_id, number) for export_id, number in await session.execute(parts)]
        await _all(self.files.delete(each) for each in keys)
        # A part that was stored, but not written down, is known to no row.
        without_file = [export_id for export_id, status in found if status != ExportStatus.DONE]
        await _all(self.files.delete_all(f"exports/{each}") for each in without_file)
        async with self.sessions.begin() as session:
            await _clear(session, ids)
        return FilesDeleted(deleted=len(ids))

    @activity.defn
    async def erase_evidence(self, step: DeleteFiles) -> FilesDeleted:
        """Delete what was shown for another name on a certificate, 90 days after it was decided on."""
        over = select(col(NameCorrection.id)).where(
            col(NameCorrection.evidence_sha256).is_not(None),
            col(NameCorrection.decided_at) <= step.moment - EVIDENCE_KEPT,
        )
        ids = await self._page(over.order_by(col(NameCorrection.decided_at), col(NameCorrection.id)), step)
        await _all(self.files.delete_all(f"certificate-evidence/{each}") for each in ids)
        async with self.sessions.begin() as session:
            erased = await session.execute(
                update(NameCorrection)
                .where(col(NameCorrection.id).in_(ids), col(NameCorrection.evidence_sha256).is_not(None))
                .values(evidence_sha256=None, evidence_media_type=None)
                .returning(col(NameCorrection.id), col(NameCorrection.status))
            )
            changes = [StateChange(CORRECTION, each, status, status) for each, status in erased]
            await write_audit(session, changes, actor="system", reason="evidence erased", workflow_id=step.workflow_id)
        return FilesDeleted(deleted=len(ids))

    @activity.defn
    async def delete_workbooks(self, step: DeleteFiles) -> FilesDeleted:
        """Delete the workbooks of checks that ended 400 days ago. What they found stays in the record."""
        over = select(col(CheckRun.id)).where(
            col(CheckRun.workbook_sha256).is_not(None), col(CheckRun.ended_at) <= step.moment - WORKBOOKS_KEPT
        )
        ids = await self._page(over.order_by(col(CheckRun.ended_at), col(CheckRun.id)), step)
        await _all(self.files.delete(workbook_key(each)) for each in ids)
        async with self.sessions.begin() as session:
            gone = update(CheckRun).where(col(CheckRun.id).in_(ids)).values(workbook_sha256=None, updated_at=now())
            await session.execute(gone)
        return FilesDeleted(deleted=len(ids))

    async def _page(self, query: Select[UUID], step: DeleteFiles) -> list[UUID]:
        async with self.sessions() as session:
            return list((await session.execute(query.limit(step.limit))).scalars())

    async def _fail_abandoned(self, step: DeleteFiles) -> None:
        """Exports that have run for a day, and whose job does not run: it was terminated, and told nobody."""
        running = select(col(Export.id), col(Export.workflow_id)).where(
            col(Export.status) == ExportStatus.RUNNING, col(Export.created_at) <= step.moment - EXPORTS_RUN
        )
        async with self.sessions() as session:
            rows = (await session.execute(running.order_by(col(Export.created_at)).limit(step.limit))).all()
        client = activity.client()
        gone = [export_id for export_id, workflow_id in rows if not await _is_running(client, workflow_id)]
        # Its file may be whole, with nobody to say so; and a part may be there of which no row tells.
        await _all(self.files.delete_all(f"exports/{each}") for each in gone)
        async with self.sessions.begin() as session:
            await _end(session, gone, _ABANDONED, step)


def _has(table: type[ExportPart] | type[ExportChunk]) -> ColumnElement[bool]:
    return select(col(table.export_id)).where(col(table.export_id) == col(Export.id)).exists()


async def _clear(session: AsyncSession, ids: Sequence[UUID]) -> None:
    """Forget what these exports were written from."""
    for table in (ExportChunk, ExportPart):
        await session.execute(delete(table).where(col(table.export_id).in_(ids)))


async def _end(session: AsyncSession, ids: Sequence[UUID], end: _End, step: DeleteFiles) -> None:
    """Move those of these that are as they were found."""
    moment = now()
    ended = await session.execute(
        update(Export)
        .where(col(Export.id).in_(ids), col(Export.status) == end.before)
        .values(
            status=end.after,
            status_reason=end.status_reason,
            ended_at=func.coalesce(col(Export.ended_at), moment),
            updated_at=moment,
        )
        .returning(col(Export.id))
    )
    changes = [StateChange(_EXPORT, each, end.before, end.after) for each in sorted(ended.scalars())]
    await write_audit(session, changes, actor="system", reason=end.reason, workflow_id=step.workflow_id)


async def _all(deletions: Iterable[Awaitable[None]]) -> None:
    """Twenty at a time. Raises what the first one that failed raises."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def in_turn(deletion: Awaitable[None]) -> None:
        async with turn:
            await deletion

    async with asyncio.TaskGroup() as group:
        for each in deletions:
            group.create_task(in_turn(each))


async def _is_running(client: Client, workflow_id: str) -> bool:
    try:
        found = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return found.status is WorkflowExecutionStatus.RUNNING
