"""The floor: a workflow with the shape of an order and nothing in it.

The same activities in the same order and of the same kinds (local or regular, one of them on a queue of its own), the
same update that answers in the middle, the same wait for a signal beside a timer. Whoever changes the steps of
`workflows/order.py` changes them here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import AsyncEngine

FLOOR_QUEUE = "floor"
FLOOR_DOCUMENTS_QUEUE = "floor-documents"

_WITHIN = timedelta(seconds=60)
_RING = text("INSERT INTO floor_alarms (id) VALUES (:id) ON CONFLICT DO NOTHING")


@activity.defn
async def record() -> None:
    """Stands for a step in the database; run as a local activity."""


@activity.defn
async def call() -> None:
    """Stands for a step that talks to Stripe, sends a mail or starts another job."""


@activity.defn
async def render() -> None:
    """Stands for the receipt; polled from the queue of the documents."""


@workflow.defn(name="FloorWorkflow")
class FloorWorkflow:
    """One order of nothing."""

    def __init__(self) -> None:
        self._payable = False
        self._paid = False

    @workflow.run
    async def run(self) -> None:
        """Place, prepare the payment, wait, read the payment, complete, start the lessons beside, render, mail."""
        await workflow.execute_local_activity(record, start_to_close_timeout=_WITHIN)
        await workflow.execute_activity(call, start_to_close_timeout=_WITHIN)
        self._payable = True
        await workflow.wait_condition(lambda: self._paid, timeout=timedelta(minutes=30))
        await workflow.execute_activity(call, start_to_close_timeout=_WITHIN)
        await workflow.execute_local_activity(record, start_to_close_timeout=_WITHIN)
        lessons = workflow.start_activity(call, start_to_close_timeout=_WITHIN)
        await workflow.execute_activity(render, task_queue=FLOOR_DOCUMENTS_QUEUE, start_to_close_timeout=_WITHIN)
        await workflow.execute_activity(call, start_to_close_timeout=_WITHIN)
        await lessons
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update
    async def checkout(self) -> None:
        """Answers once it can be paid."""
        await workflow.wait_condition(lambda: self._payable)

    @workflow.signal
    def paid(self) -> None:
        """It is paid."""
        self._paid = True


@workflow.defn(name="SleeperWorkflow")
class SleeperWorkflow:
    """A cart of nothing: one step in the database, an answer, and a long sleep."""

    @workflow.run
    async def run(self) -> None:
        """Sleep as long as a cart does until it is abandoned."""
        await workflow.sleep(timedelta(minutes=30))

    @workflow.update
    async def change(self) -> None:
        """Answers once the step is done."""
        await workflow.execute_local_activity(record, start_to_close_timeout=_WITHIN)


@dataclass(frozen=True)
class Alarm:
    """When it goes off."""

    id: UUID
    due_at: datetime


@dataclass
class AlarmRecord:
    """The one statement of an alarm."""

    engine: AsyncEngine

    @activity.defn
    async def ring(self, alarm_id: UUID) -> None:
        """Write one bare row; run as a local activity."""
        async with self.engine.begin() as connection:
            await connection.execute(_RING, {"id": alarm_id})


@workflow.defn(name="AlarmWorkflow")
class AlarmWorkflow:
    """A release of nothing: one timer and one row."""

    @workflow.run
    async def run(self, alarm: Alarm) -> None:
        """Sleep until it is due, and write that it was."""
        await workflow.sleep(alarm.due_at - workflow.now())
        await workflow.execute_local_activity("ring", alarm.id, start_to_close_timeout=_WITHIN)
