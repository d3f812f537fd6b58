"""`make bench`: how late lessons open that are all due at the same instant, beside bare timers that write a bare row.

Every enrollment is a sleeping workflow of its own, so the worst that can happen is a course whose lesson opens for
everybody at once. Nothing asserts a time; it fails if a lesson has not opened, or has opened twice or early.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError
from temporalio.testing import ActivityEnvironment

from activities.database import Sessions, open_database, sessions_of
from activities.drips import DripActivities
from bench.contenders import COURSE_ID, enlist, start_floor_worker
from bench.floor_workflow import FLOOR_QUEUE, Alarm, AlarmWorkflow
from bench.history import HistoryCost, history_cost
from bench.processors import ProcessorClock
from bench.report import machine
from bench.statements import StatementCount, StepCost
from bench.timing import Timing, in_lanes
from models.drip import AfterRegistration, stored_rule
from models.identifiers import drip_workflow_id
from models.listing import DRIP_SUMMARY, drip_attributes
from models.messages.learning import AdvanceDrip, DripStart
from models.tables import Course, Enrollment, Lesson, Order, OrderLine
from models.vocabulary import DripUnit, EnrollmentStatus, OrderStatus, PaymentMethod, RefundPolicy, ReleaseMails
from sandbox.home import claim_home
from sandbox.stack import Stack
from settings import Settings
from workflows.connection import connect
from workflows.drip import DripWorkflow
from workflows.queues import REGISTRAR_QUEUE

_LANES = 20
_PRICE = 4900
_LOOK_EVERY_SECONDS = 0.1
_GIVE_UP_AFTER = timedelta(minutes=10)
_WAIT = timedelta(hours=1)
_ALARMS = text("CREATE TABLE floor_alarms (id uuid PRIMARY KEY)")
_RUNG = text("SELECT count(*) FROM floor_alarms")
_OPEN = text("SELECT count(*) FROM lesson_releases")
_EARLY = text("SELECT count(*) FROM lesson_releases WHERE created_at < opened_at")

console = Console()
if console.width < 120 and not console.is_terminal:
    console = Console(width=120)


@dataclass(frozen=True)
class Rush:
    """What so many alarms at one instant came to."""

    name: str
    lateness: Timing
    cost: HistoryCost
    before: HistoryCost
    processor: dict[str, float]


async def _enroll(sessions: Sessions, students: Sequence[UUID], enrolled_at: datetime) -> list[UUID]:
    """A place for each in a course whose one lesson opens an hour after that."""
    order_id, places = uuid4(), [uuid4() for _ in students]
    lines = [uuid4() for _ in students]
    rule = stored_rule(AfterRegistration(amount=int(_WAIT / timedelta(hours=1)), unit=DripUnit.HOURS))
    total = _PRICE * len(students)
    async with sessions.begin() as session:
        course = await session.get_one(Course, COURSE_ID)
        course.release_mails = ReleaseMails.NONE
        session.add(Lesson(course_id=COURSE_ID, position=1, title="The only one", drip_rule=rule))
        session.add(
            Order(
                id=order_id, payer_id=students[0], status=OrderStatus.COMPLETED, number="BENCHMARK",
                payment_method=PaymentMethod.CHECKOUT, currency="EUR", list_amount=total, discount_amount=0,
                total_amount=total, quote={}, request_digest="0" * 64, hold_expires_at=enrolled_at,
                completed_at=enrolled_at,
            )
        )  # fmt: skip
        await session.flush()
        await session.execute(
            insert(OrderLine),
            [
                {
                    "id": line, "order_id": order_id, "position": position, "course_id": COURSE_ID,
                    "student_id": student, "title": "Benchmark", "list_amount": _PRICE, "discount_amount": 0,
                    "total_amount": _PRICE,
                }
                for position, (line, student) in enumerate(zip(lines, students, strict=True), start=1)
            ],
        )  # fmt: skip
        await session.execute(
            insert(Enrollment),
            [
                {
                    "id": place, "order_line_id": line, "course_id": COURSE_ID, "student_id": student,
                    "status": EnrollmentStatus.ACTIVE, "refund_policy": RefundPolicy.FIRST_LESSON,
                    "share_amount": _PRICE, "enrolled_at": enrolled_at,
                }
                for place, line, student in zip(places, lines, students, strict=True)
            ],
        )  # fmt: skip
    return places


async def _sleep_in(temporal: Client, place: UUID) -> None:
    """The job of one enrollment, as it is started when its order is paid."""
    await temporal.start_workflow(
        DripWorkflow.run,
        DripStart(enrollment_id=place),
        id=drip_workflow_id(place),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=drip_attributes(place, COURSE_ID),
        static_summary=DRIP_SUMMARY,
    )


async def _rush(
    name: str,
    count: int,
    query: str,
    begin: Callable[[UUID], Awaitable[None]],
    ids: Sequence[UUID],
    due_at: datetime,
    sample: tuple[Client, str],
    engine: AsyncEngine,
    clock: ProcessorClock,
) -> Rush:
    """Start them all, wait for the instant, and look ten times a second how many are through."""
    await in_lanes(ids, _LANES, begin)
    left = (due_at - datetime.now(UTC)).total_seconds()
    if left <= 0:
        raise typer.BadParameter("they were not all asleep when they were due: give them a longer --notice-seconds")
    await asyncio.sleep(max(0, left - 2))
    before, used_before = await history_cost(*sample), clock.read()
    lateness: list[float] = []
    async with engine.connect() as connection:
        while len(lateness) < count:
            done: int = (await connection.execute(text(query))).scalar_one()
            await connection.rollback()
            late = datetime.now(UTC) - due_at
            lateness += [late / timedelta(milliseconds=1)] * (done - len(lateness))
            if late > _GIVE_UP_AFTER:
                raise TimeoutError(f"{count - len(lateness)} of {count} never came")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
    used_after = clock.read()
    return Rush(
        name,
        Timing(max(lateness) / 1000, tuple(lateness)),
        await history_cost(*sample),
        before,
        {program: 1000 * (used - used_before.get(program, 0.0)) / count for program, used in used_after.items()},
    )


async def _statements(sessions: Sessions, place: UUID, due_at: datetime) -> StepCost:
    """What one release asks of PostgreSQL, taken in this process at the moment when it is due."""
    counted = StatementCount()
    step = AdvanceDrip(enrollment_id=place, moment=due_at, workflow_id=drip_workflow_id(place))
    with counted.counting():
        await ActivityEnvironment().run(DripActivities(sessions).advance_drip, step)
    [cost] = counted.steps.values()
    return cost


async def bench(folder: Path, drips: int, notice_seconds: int) -> tuple[list[Rush], StepCost, int]:
    """The floor, then the lessons, on one fresh stack; what a release asks of PostgreSQL, and how many came early."""
    home, notice = claim_home(folder, "stack"), timedelta(seconds=notice_seconds)
    async with Stack(home, lambda step: None) as stack:
        settings = Settings.model_validate({key.lower(): value for key, value in stack.environment.items()})
        url = settings.database_url.get_secret_value()
        engine = open_database(url, 4)
        try:
            students = await enlist(sessions_of(engine), drips + 1)
            temporal = await connect(settings.temporal_address, settings.temporal_namespace)
            with suppress(RPCError):
                await temporal.get_schedule_handle("wake-drips").pause()
            async with engine.begin() as connection:
                await connection.execute(_ALARMS)
            log = home.path / "logs" / "floor-worker.log"
            await start_floor_worker(stack.supervisor, sys.executable, settings.temporal_address, log, url)
            clock = ProcessorClock(home.path / "postgres")

            due_at, alarms = datetime.now(UTC) + notice, [uuid4() for _ in range(drips)]

            async def lay_down(alarm: UUID) -> None:
                await temporal.start_workflow(
                    AlarmWorkflow.run, Alarm(alarm, due_at), id=f"alarm-{alarm}", task_queue=FLOOR_QUEUE
                )

            sample = (temporal, f"alarm-{alarms[0]}")
            floor = await _rush(
                "bare timer and row", drips, _RUNG.text, lay_down, alarms, due_at, sample, engine, clock
            )

            opens_at = datetime.now(UTC) + notice
            places = await _enroll(sessions_of(engine), students, opens_at - _WAIT)
            first, others = places[0], places[1:]

            async def sleep_in(place: UUID) -> None:
                await _sleep_in(temporal, place)

            sample = (temporal, drip_workflow_id(others[0]))
            lessons = await _rush("lesson", drips, _OPEN.text, sleep_in, others, opens_at, sample, engine, clock)
            cost = await _statements(sessions_of(engine), first, opens_at)
            async with engine.connect() as connection:
                wrong: int = (await connection.execute(_EARLY)).scalar_one()
                rows: int = (await connection.execute(_OPEN)).scalar_one()
            return [floor, lessons], cost, wrong + abs(rows - drips - 1)
        finally:
            await engine.dispose()


def _show(measured: list[Rush], cost: StepCost, drips: int) -> None:
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()), highlight=False)
    table = Table(title=f"{drips} due at the same instant: how late they were, and what each cost")
    for heading in ("", "p50 s", "p95 s", "last s", "per s", "events", "actions", "worker ms", "Temporal ms",
                    "PostgreSQL ms"):  # fmt: skip
        table.add_column(heading)
    for each in measured:
        worker = "worker" if each.name == "lesson" else "floor worker"
        table.add_row(
            each.name,
            f"{each.lateness.percentile(50) / 1000:.1f}",
            f"{each.lateness.percentile(95) / 1000:.1f}",
            f"{each.lateness.seconds:.1f}",
            f"{each.lateness.per_second:.0f}",
            str(each.cost.total - each.before.total),
            str(each.cost.actions - each.before.actions),
            f"{each.processor.get(worker, 0):.1f}",
            f"{each.processor.get('Temporal', 0):.1f}",
            f"{each.processor.get('PostgreSQL', 0):.1f}",
        )
    console.print(table)
    console.print(
        f"A release takes {cost.statements} statements in {cost.transactions} transaction, {cost.round_trips} round "
        "trips; the floor takes 1 in 1, 4 round trips.",
        highlight=False,
    )


def main(
    drips: Annotated[int, typer.Option(min=1, help="how many lessons open at once")] = 2000,
    notice_seconds: Annotated[int, typer.Option(min=5, help="how long before the instant they are started")] = 400,
) -> None:
    """Fails (exit code 1) if a lesson has not opened, or has opened early or twice."""
    folder = Path(tempfile.mkdtemp(prefix="registrar-bench-"))
    try:
        measured, cost, wrongs = asyncio.run(bench(folder, drips, notice_seconds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _show(measured, cost, drips)
    sys.stdout.flush()
    # Temporal's native threads may outlive the interpreter and crash it; everything else has been closed.
    os._exit(1 if wrongs else 0)


if __name__ == "__main__":
    typer.run(main)
