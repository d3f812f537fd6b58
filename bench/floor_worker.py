"""The floor's worker process: two workers over one connection, as Registrar's has.

`python -m bench.floor_worker ADDRESS [DATABASE_URL]`; alarms are served where there is a database.
"""

import asyncio
import signal
import sys

from temporalio.worker import PollerBehaviorAutoscaling, Worker

from activities.database import open_database
from bench.floor_workflow import (
    FLOOR_DOCUMENTS_QUEUE,
    FLOOR_QUEUE,
    AlarmRecord,
    AlarmWorkflow,
    FloorWorkflow,
    SleeperWorkflow,
    call,
    record,
    render,
)
from worker import sandboxed_runner
from workflows.connection import connect


async def run(address: str, database_url: str | None = None) -> None:
    """Poll until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await connect(address, "default")
    alarms = [] if database_url is None else [AlarmRecord(open_database(database_url, 10)).ring]
    orders = Worker(
        client,
        task_queue=FLOOR_QUEUE,
        workflows=[FloorWorkflow, SleeperWorkflow, AlarmWorkflow],
        activities=[record, call, *alarms],
        workflow_runner=sandboxed_runner(),
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
    )
    documents = Worker(
        client,
        task_queue=FLOOR_DOCUMENTS_QUEUE,
        activities=[render],
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
    )
    async with orders, documents:
        print("floor worker polls", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
