"""Heartbeats for every activity that has a heartbeat time-out: a killed worker is noticed in seconds, not minutes."""

import asyncio
import contextlib
from datetime import timedelta

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


class Heartbeat(Interceptor):
    """Beats as long as the event loop turns. What blocks inside has time-outs of its own."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002 - Temporal's name
        allowed = activity.info().heartbeat_timeout
        if not allowed:
            return await super().execute_activity(input)
        beating = asyncio.create_task(_beat(allowed / 3))
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating


async def _beat(every: timedelta) -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(every.total_seconds())
