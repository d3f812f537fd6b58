"""Releases: how late lessons open that are all due at the same instant, beside bare timers that write a bare row.

Every enrollment is a sleeping workflow of its own, so the worst that can happen is a course whose lesson opens for
everybody at once. It fails if a lesson has not opened, or has opened twice or early.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import TextClause, insert, text
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing import ActivityEnvironment

from activities.database import Sessions
from activities.drips import DripActivities
from bench.figures import Round, Row, Side
from bench.floor_workflow import FLOOR_QUEUE, Alarm, AlarmWorkflow
from bench.history import HistoryCost, history_cost
from bench.processors import used
from bench.rig import Rig
from bench.sizes import Size
from bench.statements import StatementCount, StepCost
from bench.timing import in_lanes
from models.drip import AfterRegistration, stored_rule
from models.identifiers import drip_workflow_id
from models.listing import DRIP_SUMMARY, drip_attributes
from models.messages.learning import AdvanceDrip, DripStart
from models.tables import Course, Enrollment, Lesson, Order, OrderLine
from models.vocabulary import (
    CourseKind,
    CourseStatus,
    DripUnit,
    EnrollmentStatus,
    OrderStatus,
    PaymentMethod,
    RefundPolicy,
    ReleaseMails,
)
from sandbox.sample_academy import sample_id
from workflows.drip import DripWorkflow
from workflows.queues import REGISTRAR_QUEUE

_COURSE_ID = sample_id("course", "benchmark-releases")
_LANES = 20
_PRICE = 4900
_LOOK_EVERY_SECONDS = 0.05
_GIVE_UP_AFTER = timedelta(minutes=10)
_WAIT = timedelta(hours=1)
# How many to fall asleep to learn how long all of them take, and how much longer they are given.
_TRIED = 20
_MARGIN = 2.5
_LEAST_NOTICE = timedelta(seconds=5)
_RUNG = text("SELECT count(*) FROM floor_alarms WHERE id = ANY(:ids)")
_OPEN = text("SELECT count(*) FROM lesson_releases WHERE enrollment_id = ANY(:ids)")
_EARLY = text("SELECT count(*) FROM lesson_releases WHERE created_at < opened_at")


class WrongReleasesError(Exception):
    """A lesson has opened early or twice, or they were not all asleep when they were due."""


async def measure(rig: Rig, size: Size) -> list[Row]:
    """One row; a piece is timed from the instant at which it was due."""
    alarms = [uuid4() for _ in range(size.releases)]
    tried = [uuid4() for _ in range(_TRIED)]
    far = datetime.now(UTC) + _WAIT
    trial, _ = await in_lanes(tried, _LANES, lambda alarm: _set(rig.temporal, alarm, far))
    notice = _LEAST_NOTICE + timedelta(seconds=_MARGIN * size.releases / trial.per_second)

    due_at = datetime.now(UTC) + notice
    floor = await _rush(
        rig, ("a bare timer and a bare row", "floor worker"), _RUNG, lambda each: _set(rig.temporal, each, due_at),
        alarms, due_at, f"alarm-{alarms[0]}",
    )  # fmt: skip
    students = [rig.students[number] for number in rig.numbers(size.releases + 1)]
    opens_at = datetime.now(UTC) + 2 * notice
    first, *places = await _enroll(rig.sessions, students, opens_at - _WAIT)
    ours = await _rush(
        rig, ("a lesson", "worker"), _OPEN, lambda each: _sleep_in(rig.temporal, each),
        places, opens_at, drip_workflow_id(places[0]),
    )  # fmt: skip
    cost = await _statements(rig.sessions, first, opens_at)
    async with rig.engine.connect() as connection:
        early: int = (await connection.execute(_EARLY)).scalar_one()
        opened: int = (await connection.execute(_OPEN, {"ids": places})).scalar_one()
    if early or opened != len(places):
        raise WrongReleasesError(f"{early} opened early, {opened} in all instead of {len(places)}")
    asked = f"{cost.statements} statements in {cost.transactions} transaction, {cost.round_trips} round trips"
    ours = ours.model_copy(update={"notes": (*ours.notes, asked)})
    return [Row(name="releases due at once", piece="release", registrar=ours, floor=floor)]


async def _set(temporal: Client, alarm: UUID, due_at: datetime) -> None:
    """The job of one bare timer."""
    await temporal.start_workflow(AlarmWorkflow.run, Alarm(alarm, due_at), id=f"alarm-{alarm}", task_queue=FLOOR_QUEUE)


async def _enroll(sessions: Sessions, students: Sequence[UUID], enrolled_at: datetime) -> list[UUID]:
    """A place for each in a course of its own whose one lesson opens an hour after that."""
    order_id, places = uuid4(), [uuid4() for _ in students]
    lines = [uuid4() for _ in students]
    rule = stored_rule(AfterRegistration(amount=int(_WAIT / timedelta(hours=1)), unit=DripUnit.HOURS))
    total = _PRICE * len(students)
    async with sessions.begin() as session:
        session.add(
            Course(
                id=_COURSE_ID, code="benchmark-releases", title="Benchmark", category="Benchmark",
                kind=CourseKind.SELF_PACED, status=CourseStatus.PUBLISHED, price_amount=_PRICE, currency="EUR",
                release_mails=ReleaseMails.NONE,
            )
        )  # fmt: skip
        await session.flush()
        session.add(Lesson(course_id=_COURSE_ID, position=1, title="The only one", drip_rule=rule))
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
                    "id": line, "order_id": order_id, "position": position, "course_id": _COURSE_ID,
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
                    "id": place, "order_line_id": line, "course_id": _COURSE_ID, "student_id": student,
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
        search_attributes=drip_attributes(place, _COURSE_ID),
        static_summary=DRIP_SUMMARY,
    )


async def _rush(
    rig: Rig,
    names: tuple[str, str],
    through: TextClause,
    begin: Callable[[UUID], Awaitable[None]],
    ids: Sequence[UUID],
    due_at: datetime,
    sample: str,
) -> Side:
    """Start them all, wait for the instant, and look many times a second how many are through."""
    await in_lanes(ids, _LANES, begin)
    left = (due_at - datetime.now(UTC)).total_seconds()
    if left <= 0:
        raise WrongReleasesError("they were not all asleep when they were due")
    await asyncio.sleep(max(0, left - 1))
    before, used_before = await history_cost(rig.temporal, sample), rig.clock.read()
    late: list[float] = []
    async with rig.engine.connect() as connection:
        while len(late) < len(ids):
            done: int = (await connection.execute(through, {"ids": list(ids)})).scalar_one()
            await connection.rollback()
            passed = datetime.now(UTC) - due_at
            late += [passed / timedelta(milliseconds=1)] * (done - len(late))
            if passed > _GIVE_UP_AFTER:
                raise TimeoutError(f"{len(ids) - len(late)} of {len(ids)} never came")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
    spent = used(used_before, rig.clock.read(), len(ids))
    name, program = names
    return Side(
        name=name,
        rounds=(Round(pieces=len(ids), seconds=max(late) / 1000, milliseconds=tuple(late)),),
        processor_ms=spent,
        worker_mib=rig.clock.resident().get(program),
        notes=(_told(before, await history_cost(rig.temporal, sample)),),
    )


def _told(before: HistoryCost, after: HistoryCost) -> str:
    return f"{after.total - before.total} events, {after.actions - before.actions} actions each"


async def _statements(sessions: Sessions, place: UUID, due_at: datetime) -> StepCost:
    """What one release asks of PostgreSQL, taken in this process at the moment when it is due."""
    counted = StatementCount()
    step = AdvanceDrip(enrollment_id=place, moment=due_at, workflow_id=drip_workflow_id(place))
    with counted.counting():
        await ActivityEnvironment().run(DripActivities(sessions).advance_drip, step)
    [cost] = counted.steps.values()
    return cost
