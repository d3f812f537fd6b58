"""The beginning and the end of an export on record: what was asked for, its snapshot, and what became of it."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.export_facts import kept_columns, stored_columns
from activities.export_files import ExportNotRunningError, export_key, part_key
from activities.export_listings import LISTINGS
from activities.export_parts import plan_of
from activities.export_snapshot import statement_moment, write_chunks
from activities.export_values import total_rows
from activities.files import FileStore
from activities.time_zones import zone_of_academy
from models.errors import Reason
from models.identifiers import export_workflow_id
from models.messages.exports import EndExport, ExportBegun, ExportFilters, ExportRequest
from models.tables import Export, ExportChunk, ExportPart
from models.tables.columns import now
from models.vocabulary import ExportFormat, ExportStatus
from rules.export_plan import ExportLimits
from rules.exports import REPORTS

EXPORT = "export"
KEPT_FOR = timedelta(days=7)
# How long the database may take over one statement of a snapshot.
SNAPSHOT_PATIENCE = timedelta(minutes=5)

_QUERY_CANCELED = "57014"
_AT_ONCE = 3


@dataclass
class ExportActivities:
    """Steps of an export on the record. `snapshots` are sessions whose transactions see one moment of it.

    Their connections are beside the pool, so only as many as may `turn` to it are taken at once; others wait.
    """

    sessions: Sessions
    snapshots: Sessions
    files: FileStore
    limits: ExportLimits = field(default_factory=ExportLimits)
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    @activity.defn
    async def begin_export(self, request: ExportRequest) -> ExportBegun:
        """Write down what was asked for, and take the snapshot; a repeat finds it taken.

        Refused with `too_many_rows`: more than fit into a PDF, or more than the database reads in five minutes. Raises
        a non-retryable `ApplicationError` `report_unknown` if there is no such listing, and `ExportNotRunningError`.
        """
        async with self.sessions.begin() as session:
            await _write_down(session, request)
            # One that adds up has no snapshot of which a repeat could see that there is a file already.
            if (await session.get_one(Export, request.export_id)).status != ExportStatus.RUNNING:
                raise ExportNotRunningError
        if REPORTS[request.report].adds_up:
            return ExportBegun()
        if request.report not in LISTINGS:
            raise ApplicationError("there is no such listing", type="report_unknown", non_retryable=True)
        most = self.limits.pdf_rows if request.format is ExportFormat.PDF else None
        try:
            async with self.turn:
                row_count = await self._snapshot(request, most)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _QUERY_CANCELED:
                raise
            return _refused("It takes the database too long to read all of them: narrow it.")
        if most is not None and row_count > most:
            return _refused(f"A PDF has at most {most:,} rows: narrow it, or have a workbook.")
        async with self.sessions() as session:
            export = await session.get_one(Export, request.export_id)
            return ExportBegun(row_count=row_count, parts=self._parts(export))

    @activity.defn
    async def end_export(self, step: EndExport) -> None:
        """Write down how it ended, with its file or without, and delete what it was written from.

        One that was canceled before it was written down has left nothing.
        """
        moment = now()
        async with self.sessions.begin() as session:
            export = await session.get(Export, step.export_id, with_for_update=True)
            if export is None:
                return
            parts = self._parts(export)
            if export.status == ExportStatus.RUNNING:
                change = StateChange(EXPORT, export.id, export.status, step.status)
                export.status, export.status_reason = step.status, step.reason
                export.ended_at = export.updated_at = moment
                if step.sha256 is not None:
                    export.file_sha256, export.size, export.expires_at = step.sha256, step.size, moment + KEPT_FOR
                    export.row_count = export.row_count if step.row_count is None else step.row_count
                    export.rows_written = export.row_count or 0
                    export.snapshot_at = step.snapshot_at or export.snapshot_at
                why = step.reason or "export ended"
                await write_audit(session, [change], actor="system", reason=why, workflow_id=step.workflow_id)
            for table in (ExportChunk, ExportPart):
                await session.execute(delete(table).where(col(table.export_id) == step.export_id))
            is_kept = export.status == ExportStatus.DONE
            whole = export_key(export.id, export.report, ExportFormat(export.format))
        for key in [*(part_key(step.export_id, number) for number in range(parts)), *([] if is_kept else [whole])]:
            await self.files.delete(key)

    def _parts(self, export: Export) -> int:
        """How many parts its file is written in."""
        if export.row_count is None or export.columns is None:
            return 0
        totals = total_rows(kept_columns(export), export.totals or {})
        return len(plan_of(ExportFormat(export.format), export.row_count, len(totals), self.limits))

    async def _snapshot(self, request: ExportRequest, most: int | None) -> int:
        """How many rows there are; nothing is kept if they are more than `most`."""
        async with self.snapshots() as session:
            moment = await statement_moment(session)
            export = await session.get_one(Export, request.export_id, with_for_update=True)
            if export.status != ExportStatus.RUNNING:
                raise ExportNotRunningError
            if export.row_count is not None:
                return export.row_count
            zone = await zone_of_academy(session)
            listing = await LISTINGS[request.report](session, request.filters, zone)
            taken = await write_chunks(
                session, request.export_id, listing, chunk_rows=self.limits.chunk_rows, most=most
            )
            if most is not None and taken.row_count > most:
                return taken.row_count
            export.row_count, export.totals, export.snapshot_at = taken.row_count, taken.totals, moment
            export.columns, export.updated_at = stored_columns(listing.columns), moment
            await session.commit()
            return taken.row_count


def _refused(detail: str) -> ExportBegun:
    return ExportBegun(refusal=Reason.TOO_MANY_ROWS, refusal_detail=detail)


async def _write_down(session: AsyncSession, request: ExportRequest) -> None:
    """The row of the export, unless it is there: the same wish, since its id follows from who asked and how."""
    filters: ExportFilters = request.filters
    workflow_id = export_workflow_id(request.export_id)
    new = (
        insert(Export)
        .values(
            id=request.export_id,
            created_at=now(),
            updated_at=now(),
            report=request.report,
            format=request.format,
            status=ExportStatus.RUNNING,
            filters=filters.model_dump(mode="json"),
            asked_sha256=request.digest,
            requested_by=request.actor,
            rows_written=0,
            workflow_id=workflow_id,
        )
        .on_conflict_do_nothing()
        .returning(col(Export.id))
    )
    if (await session.execute(new)).first() is not None:
        begun = StateChange(EXPORT, request.export_id, None, ExportStatus.RUNNING)
        await write_audit(session, [begun], actor=request.actor, reason="export begun", workflow_id=workflow_id)
