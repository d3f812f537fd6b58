"""`python -m bench.exports`: how fast a million rows become a file, with what memory, beside the bare libraries.

Each export is that of the whole stack: snapshot, parts, file. The tenth is made undisturbed, the whole with its worker
killed half way. It fails if a file has not every row that PostgreSQL has, or another sum. The floors are openpyxl's
write-only workbook and Python's csv module, given as many values as the tenth, in memory.
"""

import asyncio
import csv
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Annotated
from uuid import uuid4
from zipfile import ZipFile

import psutil
import typer
from lxml.etree import iterparse  # type: ignore[import-untyped]
from openpyxl import Workbook
from openpyxl.xml.constants import SHEET_MAIN_NS
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowHandle

from activities.export_files import export_key
from activities.files import FileStore
from bench.machine import machine
from bench.rig import rigged
from models.identifiers import export_workflow_id
from models.listing import EXPORT_SUMMARY, export_attributes
from models.messages.exports import ExportProgress, ExportRequest
from models.vocabulary import ExportFormat, ExportReport
from workflows.export import ExportWorkflow
from workflows.queues import REGISTRAR_QUEUE

_SAMPLE_EVERY_SECONDS = 0.1
_FILL_AT_ONCE = 100_000
_KIND, _NUMBERED = 2, 6  # the columns of the audit log that say what it is about, and why
_FILL = text(
    "INSERT INTO audit_log (id, created_at, actor, subject_kind, subject_id, from_state, to_state, reason, workflow_id)"
    " SELECT gen_random_uuid(), now() - n * interval '1 second', 'staff:benchmark', 'benchmark', gen_random_uuid(),"
    " 'pending_payment', 'completed', n % 1000, 'order-' || gen_random_uuid()"
    " FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n"
)
_TRUTH = text("SELECT count(*), sum(CAST(reason AS bigint)) FROM audit_log WHERE subject_kind = 'benchmark'")

console = Console()
if console.width < 120 and not console.is_terminal:
    console = Console(width=120)


@dataclass(frozen=True)
class Made:
    """One export: seconds in all, and of the processor for the worker; its resident memory in MiB before and at its
    peak; bytes of the file.
    """

    name: str
    rows: int
    seconds: float
    processor: float
    before: float
    peak: float
    size: int
    is_right: bool

    @property
    def per_second(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def _worker() -> psutil.Process:
    """The worker process of the stack; raises `StopIteration` while there is none."""
    children = psutil.Process().children(recursive=True)
    return next(each for each in children if "registrar worker" in " ".join(each.cmdline()).replace("/", " "))


def _resident() -> float:
    try:
        return float(_worker().memory_info().rss / 2**20)
    except (StopIteration, psutil.NoSuchProcess):
        return 0.0


def _used() -> float:
    times = _worker().cpu_times()
    return float(times.user + times.system)


async def fill(engine: AsyncEngine, first: int, last: int) -> None:
    """Write these rows of the audit log, by their numbers."""
    for start in range(first, last + 1, _FILL_AT_ONCE):
        end = min(start + _FILL_AT_ONCE - 1, last)
        async with engine.begin() as connection:
            await connection.execute(_FILL, {"first": start, "last": end})


async def export(temporal: Client, engine: AsyncEngine, files: FileStore, format_: ExportFormat, *, dies: bool) -> Made:
    """The whole audit log, by a job as the API starts it; `dies`: its worker, once half of the rows are written."""
    request = ExportRequest(export_id=uuid4(), report=ExportReport.AUDIT, format=format_, actor="staff:benchmark")
    before = peak = _resident()
    used, began = _used(), time.perf_counter()
    handle: WorkflowHandle[ExportWorkflow, ExportProgress] = await temporal.start_workflow(
        ExportWorkflow.run,
        request,
        id=export_workflow_id(request.export_id),
        task_queue=REGISTRAR_QUEUE,
        search_attributes=export_attributes(),
        static_summary=EXPORT_SUMMARY,
    )
    ending, is_alive = asyncio.ensure_future(handle.result()), True
    while not ending.done():
        await asyncio.sleep(_SAMPLE_EVERY_SECONDS)
        peak = max(peak, _resident())
        if dies and is_alive:
            async with engine.connect() as connection:
                found = text("SELECT 2 * rows_written > row_count FROM exports WHERE id = :id")
                if await connection.scalar(found, {"id": request.export_id}):
                    _worker().kill()
                    is_alive = False
    progress = await ending
    seconds, used = time.perf_counter() - began, _used() - used
    data = await files.get(export_key(request.export_id, request.report, format_))
    async with engine.connect() as connection:
        truth = (await connection.execute(_TRUTH)).one()
    count = _counted_in_workbook if format_ is ExportFormat.XLSX else _counted_in_csv
    name = f"{format_}{', its worker killed half way' if dies else ''}"
    is_right = count(data) == tuple(truth)
    return Made(name, progress.row_count or 0, seconds, 0 if dies else used, before, peak, len(data), is_right)


def _counted_in_workbook(data: bytes) -> tuple[int, int]:
    """Read as XML, since openpyxl takes minutes to read a million rows."""

    def rows() -> Iterator[list[str]]:
        with ZipFile(BytesIO(data)) as book, book.open("xl/worksheets/sheet1.xml") as sheet:
            for _, row in iterparse(sheet, tag=f"{{{SHEET_MAIN_NS}}}row"):
                yield ["".join(cell.itertext()) for cell in row]
                row.clear()
                while row.getprevious() is not None:
                    del row.getparent()[0]

    return _counted(rows())


def _counted_in_csv(data: bytes) -> tuple[int, int]:
    return _counted(csv.reader(TextIOWrapper(BytesIO(data), "utf-8-sig", newline="")))


def _counted(rows: Iterator[list[str]]) -> tuple[int, int]:
    count = total = 0
    for row in rows:
        if row[_KIND] == "benchmark":
            count, total = count + 1, total + int(row[_NUMBERED])
    return count, total


def _values(rows: int) -> Iterator[tuple[object, ...]]:
    moment = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    for n in range(rows):
        yield (
            moment, "staff:benchmark", "benchmark", "0198c0de-0000-7000-8000-000000000000", "pending_payment",
            "completed", str(n % 1000), "order-0198c0de-0000-7000-8000-000000000000",
        )  # fmt: skip


def bare_workbook(rows: int, file: Path) -> None:
    """The floor of a workbook: openpyxl's write-only one."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in _values(rows):
        sheet.append(row)
    book.save(file)


def bare_csv(rows: int, file: Path) -> None:
    """The floor of a CSV file: Python's own module."""
    with file.open("w", newline="", encoding="utf-8") as written:
        csv.writer(written).writerows(_values(rows))


def _floor(name: str, write: Callable[[int, Path], None], rows: int, folder: Path) -> Made:
    file = folder / "floor"
    before = float(psutil.Process().memory_info().rss / 2**20)
    used, began = time.process_time(), time.perf_counter()
    write(rows, file)
    seconds, used = time.perf_counter() - began, time.process_time() - used
    peak = float(psutil.Process().memory_info().rss / 2**20)
    return Made(name, rows, seconds, used, before, peak, file.stat().st_size, is_right=True)


async def bench(folder: Path, rows: int) -> list[Made]:
    """A tenth of the rows, then all of them with a death, both in both formats, on one fresh stack."""
    made: list[Made] = []
    there = 0
    async with rigged(folder, 1, lambda line: console.print(line, highlight=False)) as rig:
        files = FileStore(rig.settings.files_url)
        for size, dies in ((max(1, rows // 10), False), (rows, True)):
            await fill(rig.engine, there + 1, size)
            there = size
            for format_ in (ExportFormat.CSV, ExportFormat.XLSX):
                made.append(await export(rig.temporal, rig.engine, files, format_, dies=dies))
    return made


def _show(made: list[Made]) -> None:
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()), highlight=False)
    table = Table(title="The audit log as a file: eight columns")
    for heading in (
        "",
        "rows",
        "s",
        "rows/s",
        "rows a processor second",
        "MiB before",
        "MiB at most",
        "MiB of the file",
        "rows and sums",
    ):
        table.add_column(heading)
    for each in made:
        table.add_row(
            each.name,
            f"{each.rows:,}",
            f"{each.seconds:.1f}",
            f"{each.per_second:,.0f}",
            f"{each.rows / each.processor:,.0f}" if each.processor else "",
            f"{each.before:.0f}",
            f"{each.peak:.0f}",
            f"{each.size / 2**20:.1f}",
            "as in PostgreSQL" if each.is_right else "WRONG",
        )
    console.print(table)


def main(
    rows: Annotated[int, typer.Option(min=1, help="how many the largest export has")] = 1_000_000,
    keep: Annotated[Path | None, typer.Option(help="a folder for the files that were made")] = None,
) -> None:
    """Fails (exit code 1) if a file has other rows or sums than PostgreSQL."""
    folder = Path(tempfile.mkdtemp(prefix="registrar-bench-"))
    try:
        made = asyncio.run(bench(folder, rows))
        floors = [("bare csv module", bare_csv), ("bare openpyxl, write-only", bare_workbook)]
        made += [_floor(name, write, max(1, rows // 10), folder) for name, write in floors]
        if keep is not None:
            shutil.copytree(folder / "stack" / "files" / "exports", keep, dirs_exist_ok=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _show(made)
    sys.stdout.flush()
    # Temporal's native threads may outlive the interpreter and crash it; everything else has been closed.
    os._exit(0 if all(each.is_right for each in made) else 1)


if __name__ == "__main__":
    typer.run(main)
