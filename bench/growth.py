"""`python -m bench.growth`: how the record grows with enrollments, and which statements grow with it.

Real orders are carried by a whole installation; what they wrote is copied until the record has the sizes wanted. At
each size an order and its refund are carried once more, every list of the API is asked for, and every recurring job
runs, by an API and workers in this process; then PostgreSQL explains every statement that was seen.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import httpx
import typer
from rich.table import Table
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from temporalio.client import Client, ScheduleHandle

from api import create_app
from bench.cloning import TableSize, analyze, copy, prepare, row_counts, table_sizes
from bench.contenders import COURSE_ID
from bench.cost import JobCost, cost_of_one_each, serving
from bench.machine import machine
from bench.plans import Asked, Listener, Plan, plan_of
from bench.rig import Rig, rigged
from bench.table import console
from bench.timing import in_lanes
from models.tables import Lesson
from models.vocabulary import Role
from routes.tokens import issue_token
from schedules import SCHEDULES
from settings import Settings
from worker import running_workers
from workflows.deployment import make_current

_ORIGINALS = 10
_COPIES_AT_ONCE = 250
_LESSONS = 5
_STILL_SECONDS = 8
_GROWS_BEYOND = 3.0
# Below this many pages of 8 KiB nothing is worth a word.
_FEW_PAGES = 64
_JOB_WITHIN_SECONDS = 90
# They refuse a record whose payments Stripe does not know, and of copies it knows none.
_BESIDE_STRIPE = ("reconcile-recent", "reconcile-nightly")

out = console()


@dataclass(frozen=True)
class AtSize:
    """What was found at one size of the record."""

    enrollments: int
    tables: dict[str, TableSize]
    plans: dict[str, Plan]
    order: JobCost


async def bench(folder: Path, sizes: Sequence[int], json_file: Path | None) -> list[AtSize]:
    """All sizes on one installation, from the smallest on; what is found is written as soon as it is known."""
    async with rigged(folder, _ORIGINALS + 2 * len(sizes), lambda line: out.print(line, highlight=False)) as rig:
        await _write_lessons(rig)
        before = await row_counts(rig.engine)

        async def whole(number: int) -> None:
            await rig.registrar.finish(await rig.registrar.place(number))

        await in_lanes(rig.numbers(_ORIGINALS), 2, whole)
        await _settled(rig)
        # That of the rig gives up after half a minute.
        patient = create_async_engine(rig.engine.url, poolclass=NullPool)
        grown = await prepare(patient, before)
        found, there = [], 0
        for size in sorted(sizes):
            copies = max(1, size // _ORIGINALS - 1)
            for first in range(there + 1, copies + 1, _COPIES_AT_ONCE):
                await copy(patient, grown, first, min(first + _COPIES_AT_ONCE - 1, copies))
            there = copies
            await analyze(patient)
            tables = await table_sizes(rig.engine, grown)
            rig.tell(f"{tables['enrollments'].rows:,} enrollments are there; asking everything once")
            found.append(await _asked_at(rig, size, tables))
            if json_file is not None:
                json_file.write_text(json.dumps([asdict(at) for at in found], indent=1))  # noqa: ASYNC240
        return found


async def _write_lessons(rig: Rig) -> None:
    """Some that open with the enrollment, so that a place brings what it brings."""
    async with rig.sessions.begin() as session:
        for position in range(1, _LESSONS + 1):
            session.add(Lesson(course_id=COURSE_ID, position=position, title=f"Lesson {position}"))


async def _settled(rig: Rig) -> None:
    """Wait until nothing is written any more: lessons open, and mails tell of it, after the order is complete."""
    await rig.double.webhooks_settled(60)
    before: dict[str, int] = {}
    while (found := await row_counts(rig.engine)) != before:
        before = found
        await asyncio.sleep(_STILL_SECONDS)


async def _asked_at(rig: Rig, size: int, tables: dict[str, TableSize]) -> AtSize:
    heard = Listener()
    one, other = (rig.students[number] for number in rig.numbers(2))
    settings = rig.settings.model_copy(update={"worker_metrics_address": None})
    with heard.listening():
        order, _ = await cost_of_one_each(settings, rig.stack.endpoints, rig.temporal, (one, other))
        await _ask_lists(settings, rig.temporal)
        await _run_recurring(settings, rig)
    rows = {name: table.rows for name, table in tables.items()}
    plans = {}
    for asked in heard.asked.values():
        if (plan := await plan_of(rig.engine, asked, rows)) is not None:
            plans[_name(asked)] = plan
    return AtSize(size, tables, plans, order)


def _name(asked: Asked) -> str:
    return f"{asked.step}: {' '.join(asked.statement.split())}"


async def _ask_lists(settings: Settings, temporal: Client) -> None:
    """Every GET of the API that needs nothing but a role."""
    token = issue_token(settings, str(uuid4()), (Role.ADMIN,), timedelta(hours=1))
    described = create_app(settings, temporal=temporal).openapi()["paths"]
    paths = [path for path, methods in described.items() if "get" in methods and "{" not in path]
    async with (
        serving(settings, temporal) as address,
        httpx.AsyncClient(base_url=address, timeout=120, trust_env=False) as http,
    ):
        for path in paths:
            with suppress(httpx.HTTPError):
                await http.get(path, headers={"Authorization": f"Bearer {token}"})


async def _run_recurring(settings: Settings, rig: Rig) -> None:
    """Every schedule's job once, by workers of this process."""
    build = f"benchmark-growth-{uuid4().hex[:8]}"
    mine = settings.model_copy(update={"worker_build_id": build})
    async with running_workers(rig.temporal, mine):
        await make_current(rig.temporal, build)
        for schedule in SCHEDULES:
            if schedule.id in _BESIDE_STRIPE:
                continue
            await _run_once(rig, rig.temporal.get_schedule_handle(schedule.id))


async def _run_once(rig: Rig, handle: ScheduleHandle) -> None:
    ran = (await handle.describe()).info.num_actions
    await handle.trigger()
    try:
        async with asyncio.timeout(_JOB_WITHIN_SECONDS):
            while (told := (await handle.describe()).info).num_actions == ran or told.running_actions:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    except TimeoutError:
        rig.tell(f"{handle.id} was not through within {_JOB_WITHIN_SECONDS} s")


def show(found: Sequence[AtSize]) -> None:
    """Print what an enrollment takes, and what grows."""
    out.print(", ".join(f"{name} {value}" for name, value in machine().items()), highlight=False)
    largest, smallest = found[-1], found[0]
    table = Table(title="Bytes for each enrollment", title_justify="left")
    for heading in ("table", "rows each", *(f"at {at.enrollments:,}: rows + indexes" for at in found), "total"):
        table.add_column(heading, justify="left" if heading == "table" else "right")
    sums = dict.fromkeys((at.enrollments for at in found), 0)
    for name, size in sorted(largest.tables.items(), key=lambda one: -one[1].total):
        cells = []
        for at in found:
            count = at.tables["enrollments"].rows
            sums[at.enrollments] += at.tables[name].total
            cells.append(f"{at.tables[name].heap / count:,.0f} + {at.tables[name].indexes / count:,.0f}")
        enrollments = largest.tables["enrollments"].rows
        table.add_row(name, f"{size.rows / enrollments:.2f}", *cells, f"{size.total / enrollments:,.0f}")
    each = [f"{sums[at.enrollments] / at.tables['enrollments'].rows:,.0f}" for at in found]
    table.add_section()
    table.add_row("all", "", *each, each[-1])
    out.print(table)
    flat, growing, whole = _sorted_out(smallest, largest)
    out.print(f"{len(flat)} statements touch as many pages at both sizes; of them {_index_only(largest, flat)} read")
    out.print(f"indexes alone. {len(growing)} touch more, {len(whole)} read a large table whole:")
    plans = Table()
    for heading in ("pages", "→", "ms", "→", "reads whole", "statement"):
        plans.add_column(heading, justify="left" if heading in {"reads whole", "statement"} else "right")
    for name in sorted({*growing, *whole}, key=lambda one: -largest.plans[one].pages):
        first, last = smallest.plans.get(name), largest.plans[name]
        plans.add_row(
            f"{first.pages:,}" if first else "", f"{last.pages:,}", f"{first.milliseconds:.1f}" if first else "",
            f"{last.milliseconds:.1f}", ", ".join(last.read_whole), name[:160],
        )  # fmt: skip
    out.print(plans)


def _sorted_out(small: AtSize, large: AtSize) -> tuple[list[str], list[str], list[str]]:
    """Flat, growing, and those that read a large table whole, by what they are."""
    growing = [
        name
        for name, plan in large.plans.items()
        if plan.pages > _FEW_PAGES and (before := small.plans.get(name)) and plan.pages > _GROWS_BEYOND * before.pages
    ]
    whole = [name for name, plan in large.plans.items() if plan.read_whole]
    flat = [name for name in large.plans if name not in {*growing, *whole}]
    return flat, growing, whole


def _index_only(at: AtSize, names: Sequence[str]) -> int:
    return sum(at.plans[name].index_only for name in names)


def main(
    size: Annotated[list[int] | None, typer.Option(min=100, help="enrollments; may be given again")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write every plan there, too")] = None,
) -> None:
    """Fill the record, and say what an enrollment takes and what grows with their number."""
    folder = Path(tempfile.mkdtemp(prefix="registrar-growth-"))
    try:
        found = asyncio.run(bench(folder, size or [3_000, 30_000], json_file))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(found)
    sys.stdout.flush()
    # Temporal's native threads may outlive the interpreter and crash it; everything else has been closed.
    os._exit(0)


if __name__ == "__main__":
    typer.run(main)
