"""`make bench`: what carts cost while they sleep, beside bare workflows that sleep as long on the same server.

Nobody looks for carts that are left: each is a timer of its own. So while they sleep, PostgreSQL is asked nothing, and
a worker holds no more than its cache. `--carts 10000` takes some minutes to fill them.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.database import open_database, sessions_of
from bench.contenders import COURSE_ID, enlist, start_floor_worker
from bench.floor_workflow import FLOOR_QUEUE, SleeperWorkflow
from bench.processors import ProcessorClock
from bench.report import machine
from bench.timing import in_lanes
from models.identifiers import cart_workflow_id
from models.messages.carts import CartStart, ChangeCart
from sandbox.home import claim_home
from sandbox.stack import Stack
from settings import Settings
from workflows.cart import CartWorkflow
from workflows.cart_listing import CART_SUMMARY, cart_attributes
from workflows.connection import connect
from workflows.queues import REGISTRAR_QUEUE

_LANES = 20
_SETTLE_SECONDS = 5
# Of every connection but ours: whether it has been asked anything since.
_ASKED_SINCE = text(
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() "
    "AND datname = current_database() AND query_start > :since"
)
_NOW = text("SELECT clock_timestamp()")

console = Console()
if console.width < 120 and not console.is_terminal:
    console = Console(width=120)


@dataclass(frozen=True)
class Asleep:
    """What so many sleepers were to the machine."""

    name: str
    seconds: float
    grown: dict[str, float]
    processor: dict[str, float]
    connections_asked: int


async def _fill(temporal: Client, person_id: UUID) -> None:
    """One cart, as the API does it."""
    cart_id = uuid4()
    start = WithStartWorkflowOperation(
        CartWorkflow.run,
        CartStart(cart_id=cart_id, person_id=person_id),
        id=cart_workflow_id(cart_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=cart_attributes(),
        static_summary=CART_SUMMARY,
    )
    wish = ChangeCart(cart_id=cart_id, person_id=person_id, course_ids=(COURSE_ID,), actor=f"student:{person_id}")
    await temporal.execute_update_with_start_workflow(CartWorkflow.change, wish, start_workflow_operation=start)


async def _lay_down(temporal: Client, _: UUID) -> None:
    """One bare sleeper."""
    start = WithStartWorkflowOperation(
        SleeperWorkflow.run,
        id=f"sleeper-{uuid4()}",
        task_queue=FLOOR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    await temporal.execute_update_with_start_workflow(SleeperWorkflow.change, start_workflow_operation=start)


async def _measure(
    name: str,
    begin: Callable[[Client, UUID], Awaitable[None]],
    temporal: Client,
    people: Sequence[UUID],
    clock: ProcessorClock,
    engine: AsyncEngine,
    watch_seconds: int,
) -> Asleep:
    before = clock.resident()
    timing, _ = await in_lanes(people, _LANES, lambda person: begin(temporal, person))
    await asyncio.sleep(_SETTLE_SECONDS)
    after, used_before = clock.resident(), clock.read()
    async with engine.connect() as connection:
        since: datetime = (await connection.execute(_NOW)).scalar_one()
        await asyncio.sleep(watch_seconds)
        asked: int = (await connection.execute(_ASKED_SINCE, {"since": since})).scalar_one()
    used_after = clock.read()
    return Asleep(
        name,
        timing.seconds,
        {program: held - before.get(program, 0.0) for program, held in after.items()},
        {
            program: 1000 * (used - used_before.get(program, 0.0)) / watch_seconds
            for program, used in used_after.items()
        },
        asked,
    )


async def bench(folder: Path, carts: int, watch_seconds: int) -> list[Asleep]:
    """Fill the carts and the floor on one fresh stack, and watch each sleep."""
    home = claim_home(folder, "stack")
    async with Stack(home, lambda step: None) as stack:
        settings = Settings.model_validate({key.lower(): value for key, value in stack.environment.items()})
        engine = open_database(settings.database_url.get_secret_value(), 2)
        try:
            people = await enlist(sessions_of(engine), carts)
            temporal = await connect(settings.temporal_address, settings.temporal_namespace)
            log = home.path / "logs" / "floor-worker.log"
            await start_floor_worker(stack.supervisor, sys.executable, settings.temporal_address, log)
            clock = ProcessorClock(home.path / "postgres")
            return [
                await _measure("bare sleeper", _lay_down, temporal, people, clock, engine, watch_seconds),
                await _measure("cart", _fill, temporal, people, clock, engine, watch_seconds),
            ]
        finally:
            await engine.dispose()


def _show(measured: list[Asleep], carts: int, watch_seconds: int) -> None:
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()), highlight=False)
    table = Table(title=f"{carts} asleep, watched for {watch_seconds} s")
    for heading in ("", "started/s", "worker grew MiB", "Temporal grew MiB", "PostgreSQL connections asked",
                    "worker ms/s", "Temporal ms/s"):  # fmt: skip
        table.add_column(heading)
    for each in measured:
        worker = "worker" if each.name == "cart" else "floor worker"
        table.add_row(
            each.name,
            f"{carts / each.seconds:.0f}",
            f"{each.grown.get(worker, 0):.0f}",
            f"{each.grown.get('Temporal', 0):.0f}",
            str(each.connections_asked),
            f"{each.processor.get(worker, 0):.1f}",
            f"{each.processor.get('Temporal', 0):.1f}",
        )
    console.print(table)


def main(
    carts: Annotated[int, typer.Option(min=1, help="how many sleep at once")] = 500,
    watch_seconds: Annotated[int, typer.Option(min=1, help="how long they are watched")] = 15,
) -> None:
    """Fails (exit code 1) if PostgreSQL was asked anything while they slept."""
    folder = Path(tempfile.mkdtemp(prefix="registrar-bench-"))
    try:
        measured = asyncio.run(bench(folder, carts, watch_seconds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _show(measured, carts, watch_seconds)
    sys.stdout.flush()
    # Temporal's native threads may outlive the interpreter and crash it; everything else has been closed.
    os._exit(1 if any(each.connections_asked for each in measured) else 0)


if __name__ == "__main__":
    typer.run(main)
