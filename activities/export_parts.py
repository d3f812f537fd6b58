"""Writing an export: part by part out of its snapshot, so that it goes on where it was left; then all in one file."""

import asyncio
import gzip
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from hashlib import file_digest
from io import BytesIO
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar
from uuid import UUID

from sqlalchemy import Text, cast, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.database import Sessions
from activities.export_csv import csv_head, csv_rows
from activities.export_facts import ExportFacts, facts_of
from activities.export_files import (
    MEDIA_TYPES,
    ExportNotRunningError,
    export_key,
    leave_no_file_behind,
    part_key,
)
from activities.export_pdf import export_pdf
from activities.export_values import Row, Value, rows_of
from activities.export_xlsx import SheetOfParts, join_workbook, rows_of_sheet, xlsx_rows
from activities.files import FileMismatchError, FileMissingError, FileStore
from models.messages.documents import StoredFile
from models.messages.exports import JoinExport, PartWritten, WritePart
from models.tables import Export, ExportChunk, ExportPart
from models.tables.columns import now
from models.vocabulary import ExportFormat, ExportStatus
from rules.export_plan import ExportLimits, PlannedPart, planned_parts

_GZIP = "application/gzip"
_QUICKLY = 3  # of gzip's levels: what is packed is unpacked soon
_SAMPLE_ROWS = 500
_BLOCK = 1 << 20
_AT_ONCE = 3

Given = ParamSpec("Given")
Made = TypeVar("Made")


@dataclass
class ExportPartActivities:
    """Steps that write the file of an export. Writing takes processor time, so it happens in the executor.

    At most one chunk of the snapshot is in memory, and what a part is compressed to, of as many exports as may `turn`
    to it at once. The others wait.
    """

    sessions: Sessions
    files: FileStore
    executor: Executor
    limits: ExportLimits = field(default_factory=ExportLimits)
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    @activity.defn
    async def write_part(self, step: WritePart) -> PartWritten:
        """Write one part of the file; one that is there stays as it is.

        Raises `ExportNotRunningError`, which is final.
        """
        async with self.sessions() as session:
            facts = await facts_of(session, step.export_id)
            if await session.get(ExportPart, (step.export_id, step.number)) is not None:
                return await _written(session, step.export_id)
        part = self._plan(facts)[step.number]
        async with self.turn:
            packed = await self._packed(facts, part)
            stored = await self.files.put(part_key(step.export_id, step.number), packed, _GZIP)
        async with self.sessions.begin() as session:
            export = await session.get_one(Export, step.export_id, with_for_update=True)
            if export.status != ExportStatus.RUNNING:
                # It ended meanwhile, and what it left was deleted before this came.
                await self.files.delete(stored.key)
                raise ExportNotRunningError
            new = insert(ExportPart).values(
                export_id=step.export_id, number=step.number, row_count=part.last - part.first,
                sha256=stored.sha256, size=stored.size, created_at=now(),
            )  # fmt: skip
            await session.execute(new.on_conflict_do_nothing())
            written = await _written(session, step.export_id)
            export.rows_written, export.updated_at = written.rows_written, now()
            return written

    @activity.defn
    async def join_export(self, step: JoinExport) -> StoredFile:
        """Put the parts together to the file, and store it; a repeat stores the same bytes again.

        A part that got lost in the store is written anew. Raises `ExportNotRunningError`, which is final.
        """
        async with self.turn:
            return await self._joined(step)

    async def _joined(self, step: JoinExport) -> StoredFile:
        async with self.sessions() as session:
            facts = await facts_of(session, step.export_id)
            found = select(ExportPart).where(col(ExportPart.export_id) == step.export_id)
            parts = (await session.execute(found.order_by(col(ExportPart.number)))).scalars().all()
        key, media_type = export_key(facts.export_id, facts.report, facts.format), MEDIA_TYPES[facts.format]
        if facts.format is ExportFormat.PDF:
            rows = await self._first_rows(facts, facts.row_count)
            file = await self.files.put(key, await self._aside(export_pdf, facts, rows), media_type)
            await leave_no_file_behind(self.sessions, self.files, step.export_id, key)
            return file
        sample = await self._first_rows(facts, min(_SAMPLE_ROWS, facts.row_count))
        with TemporaryDirectory(prefix="export-") as folder:
            paths = [Path(folder, str(part.number)) for part in parts]
            for path, part in zip(paths, parts, strict=True):
                await self._aside(path.write_bytes, await self._fetched(facts, part))
            target = Path(folder, "whole")
            digest, size = await self._aside(_join, facts, self._plan(facts), paths, sample, target)
            with await self._aside(target.open, "rb") as whole:
                await self.files.put_file(key, whole, media_type)
            await leave_no_file_behind(self.sessions, self.files, step.export_id, key)
            return StoredFile(key=key, sha256=digest, size=size)

    def _plan(self, facts: ExportFacts) -> Sequence[PlannedPart]:
        return plan_of(facts.format, facts.row_count, len(facts.total_rows), self.limits)

    async def _fetched(self, facts: ExportFacts, part: ExportPart) -> bytes:
        """The part as it was written."""
        try:
            return await self.files.get(part_key(part.export_id, part.number), digest=part.sha256)
        except (FileMissingError, FileMismatchError):
            return await self._packed(facts, self._plan(facts)[part.number])

    async def _packed(self, facts: ExportFacts, part: PlannedPart) -> bytes:
        """The rows of the part as they are in the file, compressed; chunk by chunk."""
        packed = BytesIO()
        # No name and no time: the same rows are the same bytes.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_QUICKLY, fileobj=packed, mtime=0) as file:
            size = self.limits.chunk_rows
            for chunk in range(part.first // size, -(-part.last // size)):
                first = max(part.first, chunk * size)
                rows = (await self._chunk(facts, chunk))[first - chunk * size : part.last - chunk * size]
                await self._aside(_pack, facts, rows, part.offset + first - part.first, file)
        return packed.getvalue()

    async def _first_rows(self, facts: ExportFacts, count: int) -> list[list[Value]]:
        """So many rows: of a PDF all, of others only some."""
        rows: list[list[Value]] = []
        for chunk in range(-(-count // self.limits.chunk_rows)):
            rows += await self._chunk(facts, chunk)
        return rows[:count]

    async def _chunk(self, facts: ExportFacts, number: int) -> list[list[Value]]:
        query = select(cast(col(ExportChunk.rows), Text)).where(
            col(ExportChunk.export_id) == facts.export_id, col(ExportChunk.number) == number
        )
        async with self.sessions() as session:
            chunk = (await session.execute(query)).scalar_one()
        return await self._aside(rows_of, chunk, facts.columns, facts.zone)

    async def _aside(self, work: Callable[Given, Made], *given: Given.args, **named: Given.kwargs) -> Made:
        """What the work makes, in the executor: the event loop goes on."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, partial(work, *given, **named))


def plan_of(format_: ExportFormat, row_count: int, total_rows: int, limits: ExportLimits) -> Sequence[PlannedPart]:
    """The parts in which an export is written. A PDF is short, and made whole."""
    match format_:
        case ExportFormat.PDF:
            return ()
        case ExportFormat.CSV:
            return planned_parts(row_count, limits.part_rows, None)
        case _:
            return planned_parts(row_count, limits.part_rows, rows_of_sheet(total_rows, limits.sheet_rows))


async def _written(session: AsyncSession, export_id: UUID) -> PartWritten:
    of_parts = select(func.coalesce(func.sum(col(ExportPart.row_count)), 0)).where(
        col(ExportPart.export_id) == export_id
    )
    return PartWritten(rows_written=(await session.execute(of_parts)).scalar_one())


def _pack(facts: ExportFacts, rows: Sequence[Row], offset: int, file: gzip.GzipFile) -> None:
    file.write(csv_rows(facts, rows) if facts.format is ExportFormat.CSV else xlsx_rows(facts, rows, offset))


def _join(
    facts: ExportFacts, plan: Sequence[PlannedPart], paths: Sequence[Path], sample: Sequence[Row], target: Path
) -> tuple[str, int]:
    """Write the whole file, and answer its sha256 (in hexadecimal) and how many bytes it has."""
    with target.open("wb") as file:
        if facts.format is ExportFormat.CSV:
            file.write(csv_head(facts.columns))
            for path in paths:
                with gzip.open(path) as part:
                    shutil.copyfileobj(part, file, _BLOCK)
        else:
            by_sheet = groupby(zip(plan, paths, strict=True), key=lambda each: each[0].sheet)
            groups = [list(group) for _, group in by_sheet] or [[]]
            sheets = [
                SheetOfParts(sum(p.last - p.first for p, _ in each), [path for _, path in each]) for each in groups
            ]
            join_workbook(facts, sheets, sample, file)
    with target.open("rb") as file:
        return file_digest(file, "sha256").hexdigest(), file.tell()
