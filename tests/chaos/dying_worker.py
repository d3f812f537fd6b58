"""A worker process that dies, by SIGKILL, right after the named activity has done its work and before it says so.

`python -m tests.chaos.dying_worker ACTIVITY`, with the settings in the environment.
"""

import asyncio
import os
import signal
import sys

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from settings import Settings
from worker import running_workers
from workflows.connection import connect


class DieAfter(Interceptor):
    """Kills the process after the effect of one activity."""

    def __init__(self, victim: str) -> None:
        self._victim = victim

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Deadly(next, self._victim)


class _Deadly(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, victim: str) -> None:
        super().__init__(inner)
        self._victim = victim

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002
        done = await super().execute_activity(input)
        if activity.info().activity_type == self._victim:
            os.kill(os.getpid(), signal.SIGKILL)
        return done


async def main(victim: str) -> None:
    settings = Settings()
    client = await connect(settings.temporal_address, settings.temporal_namespace)
    async with running_workers(client, settings, [DieAfter(victim)]):
        print("polling", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
