"""Export rows: the audit log as a file by the whole job, snapshot, parts and file, beside the bare libraries.

`python -m bench.exports` is the long form: a million rows, and the worker killed half way.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import text

from activities.files import FileStore
from bench.exports import bare_csv, bare_workbook, export, fill
from bench.figures import Round, Row
from bench.rig import Rig
from bench.sizes import Size
from bench.turns import Way, take_turns
from models.vocabulary import ExportFormat

_COUNT = text("SELECT count(*) FROM audit_log")
_FLOORS = {
    ExportFormat.CSV: ("the bare csv module", bare_csv),
    ExportFormat.XLSX: ("bare openpyxl, write-only", bare_workbook),
}


class WrongFileError(Exception):
    """A file has not the rows and the sums of PostgreSQL."""


async def measure(rig: Rig, size: Size) -> list[Row]:
    """A row for each format."""
    await fill(rig.engine, 1, size.export_rows)
    async with rig.engine.connect() as connection:
        # With what the orders of the run have written there.
        count: int = (await connection.execute(_COUNT)).scalar_one()
    files = FileStore(rig.settings.files_url)
    rows = []
    for format_, (name, write) in _FLOORS.items():
        peaks: list[float] = []
        ways = [
            Way("eight columns, by the job", "worker", _job(rig, files, format_, peaks)),
            Way(name, "benchmark itself", _bare(rig.home / f"floor.{format_}", count, write)),
        ]
        ours, floor = await take_turns(rig.clock, ways, size.rounds)
        ours = ours.model_copy(update={"notes": (f"worker at most {max(peaks):.0f} MiB",)})
        rows.append(Row(name=f"export rows, {format_}", piece="row", registrar=ours, floor=floor))
    return rows


def _job(rig: Rig, files: FileStore, format_: ExportFormat, peaks: list[float]) -> Callable[[int], Awaitable[Round]]:
    async def work(_: int) -> Round:
        made = await export(rig.temporal, rig.engine, files, format_, dies=False)
        if not made.is_right:
            raise WrongFileError(f"the {format_} file is not what PostgreSQL has")
        peaks.append(made.peak)
        return Round(pieces=made.rows, seconds=made.seconds)

    return work


def _bare(file: Path, rows: int, write: Callable[[int, Path], None]) -> Callable[[int], Awaitable[Round]]:
    async def work(_: int) -> Round:
        began = time.perf_counter()
        await asyncio.to_thread(write, rows, file)
        return Round(pieces=rows, seconds=time.perf_counter() - began)

    return work
