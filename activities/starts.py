"""Starting and reaching workflows from below: one with its first update, or many without one stopping another."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

from temporalio.client import WithStartWorkflowOperation
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError, RPCStatusCode

_AT_ONCE = 20
_PATIENCE = timedelta(seconds=10)

_log = logging.getLogger("registrar.jobs")

JobT = TypeVar("JobT")


def leave_no_start_unread(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """To be called before an update with this start: the caller asks the update alone how it went.

    A failed start fails the future of its handle too; unread, the event loop would log its text.
    """
    asyncio.create_task(start.workflow_handle()).add_done_callback(_read)


def _read(handle: asyncio.Task[Any]) -> None:
    if not handle.cancelled():
        handle.exception()


async def reach_each(
    jobs: Collection[JobT], act: Callable[[JobT], Awaitable[None]], named: Callable[[JobT], str]
) -> int:
    """For how many of the jobs it was done, twenty at a time. One that fails, or takes too long, stops no other."""

    async def is_done(job: JobT) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                await act(job)
        except (TemporalError, RPCError, OSError) as error:
            _log.warning("%s was not reached: %s", named(job), type(error).__qualname__)
            return False
        return True

    left, done = iter(jobs), 0
    while batch := list(islice(left, _AT_ONCE)):
        done += sum(await asyncio.gather(*map(is_done, batch)))
    return done


async def is_delivered(signal: Awaitable[None]) -> bool:
    """Whether the workflow still runs, and so was given the signal."""
    try:
        await signal
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
