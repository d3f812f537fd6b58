"""The worker process of the five steps on bare Temporal: `python -m bench.rivals.temporal_worker ADDRESS`."""

import asyncio
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

from temporalio.worker import PollerBehaviorAutoscaling, Worker

from bench.rivals.temporal_workflow import (
    FIVE_STEPS_QUEUE,
    FiveStepsWorkflow,
    charge,
    mail,
    mark_paid,
    reserve,
    write_receipt,
)
from worker import sandboxed_runner
from workflows.connection import connect

_AT_ONCE = 20


async def run(address: str) -> None:
    """Poll until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await connect(address, "default")
    with ThreadPoolExecutor(_AT_ONCE) as executor:
        worker = Worker(
            client,
            task_queue=FIVE_STEPS_QUEUE,
            workflows=[FiveStepsWorkflow],
            activities=[reserve, charge, mark_paid, write_receipt, mail],
            activity_executor=executor,
            max_concurrent_activities=_AT_ONCE,
            workflow_runner=sandboxed_runner(),
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        )
        async with worker:
            print("five steps polls", flush=True)
            await stop.wait()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
