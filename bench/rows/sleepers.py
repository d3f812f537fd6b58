"""Sleepers: what carts cost while they wait to be abandoned, beside bare workflows that sleep as long.

Nobody looks for carts that are left: each is a timer of its own. So while they sleep, PostgreSQL is asked nothing, and
a worker holds no more than its cache.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import text
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from bench.contenders import COURSE_ID
from bench.figures import Round, Row, Side
from bench.floor_workflow import FLOOR_QUEUE, SleeperWorkflow
from bench.processors import used
from bench.rig import Rig
from bench.sizes import Size
from bench.timing import in_lanes
from models.identifiers import cart_workflow_id
from models.messages.carts import CartStart, ChangeCart
from workflows.cart import CartWorkflow
from workflows.cart_listing import CART_SUMMARY, cart_attributes
from workflows.queues import REGISTRAR_QUEUE

_LANES = 20
_SETTLE_SECONDS = 3
# Of every connection but ours: whether it has been asked anything since.
_ASKED_SINCE = text(
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() "
    "AND datname = current_database() AND query_start > :since"
)
_NOW = text("SELECT clock_timestamp()")


async def measure(rig: Rig, size: Size) -> list[Row]:
    """One row: how many fall asleep a second, and in its notes what they are to the machine while they sleep."""
    people = [rig.students[number] for number in rig.numbers(size.sleepers)]
    floor = await _asleep(rig, "a bare timer", "floor worker", _lay_down, people, size.watch_seconds)
    ours = await _asleep(rig, "a cart", "worker", _fill, people, size.watch_seconds)
    return [Row(name="sleepers", piece="sleeper", registrar=ours, floor=floor)]


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
    _ = await temporal.execute_update_with_start_workflow(CartWorkflow.change, wish, start_workflow_operation=start)


async def _lay_down(temporal: Client, _: UUID) -> None:
    """One bare sleeper."""
    start = WithStartWorkflowOperation(
        SleeperWorkflow.run,
        id=f"sleeper-{uuid4()}",
        task_queue=FLOOR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    await temporal.execute_update_with_start_workflow(SleeperWorkflow.change, start_workflow_operation=start)


def _stored(rig: Rig) -> int:
    """Bytes of Temporal's database, with what has not been moved from its log yet."""
    return sum(file.stat().st_size for file in rig.home.glob("temporal.sqlite*"))


async def _asleep(
    rig: Rig,
    name: str,
    program: str,
    begin: Callable[[Client, UUID], Awaitable[None]],
    people: Sequence[UUID],
    watch_seconds: int,
) -> Side:
    held, began, stored = rig.clock.resident(), rig.clock.read(), _stored(rig)
    timing, _ = await in_lanes(people, _LANES, lambda person: begin(rig.temporal, person))
    spent = used(began, rig.clock.read(), len(people))
    await asyncio.sleep(_SETTLE_SECONDS)
    holds, before = rig.clock.resident(), rig.clock.read()
    disk = (_stored(rig) - stored) / 1024 / len(people)
    async with rig.engine.connect() as connection:
        since: datetime = (await connection.execute(_NOW)).scalar_one()
        await asyncio.sleep(watch_seconds)
        asked: int = (await connection.execute(_ASKED_SINCE, {"since": since})).scalar_one()
    asleep = used(before, rig.clock.read(), 1)
    grown = {each: 1024 * (holds.get(each, 0.0) - held.get(each, 0.0)) / len(people) for each in (program, "Temporal")}
    watched = sum(asleep.get(each, 0.0) for each in (program, "Temporal", "PostgreSQL")) / watch_seconds
    notes = (
        f"{len(people)} asleep: {grown[program]:.0f} KiB each in the worker, {grown['Temporal']:.0f} KiB in Temporal,"
        f" {disk:.0f} KiB on its disk",
        f"in {watch_seconds} s {asked} connections of PostgreSQL asked anything, {watched:.0f} processor ms/s",
    )
    return Side(
        name=name,
        rounds=(Round.of(timing),),
        processor_ms=spent,
        worker_mib=holds.get(program),
        notes=notes,
    )
