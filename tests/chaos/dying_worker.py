"""A worker process that dies, by SIGKILL: after so many effects, or when the named activity has done its work.

`python -m tests.chaos.dying_worker NUMBER|ACTIVITY`, with the settings in the environment. It dies before it says what
it has done.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from settings import Settings
from tests.chaos.effects import Effect, doors, watched
from worker import running_workers
from workflows.connection import connect


class DieAfter(Interceptor):
    """Kills the process after an activity, or after so many effects of all of them."""

    def __init__(self, victim: str) -> None:
        self._victim = victim
        self._left = int(victim) if victim.isdigit() else None

    @contextmanager
    def passing(self, effect: Effect) -> Iterator[None]:
        """Count the effects; the last one is carried out."""
        yield
        if self._left is not None and not effect.is_read:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Deadly(next, self, self._victim)


class _Deadly(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, watch: DieAfter, victim: str) -> None:
        super().__init__(inner)
        self._watch, self._victim = watch, victim

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002
        with watched(self._watch):
            done: object = await super().execute_activity(input)
        if activity.info().activity_type == self._victim:
            os.kill(os.getpid(), signal.SIGKILL)
        return done


async def main(victim: str) -> None:
    settings = Settings()
    client = await connect(settings.temporal_address, settings.temporal_namespace)
    with doors():
        await _work(client, settings, victim)


async def _work(client: Client, settings: Settings, victim: str) -> None:
    async with running_workers(client, settings, [DieAfter(victim)]):
        print("polling", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
