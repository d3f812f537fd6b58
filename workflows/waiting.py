"""Waiting for something to happen, or for a moment."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow

# Jobs that may live for years look at their record at least that often. That is when they move on to the newest build,
# so it bounds how long the workers of an old one have to stay.
LOOK_AGAIN = timedelta(days=30)


async def happened(condition: Callable[[], bool], until: datetime | None, *, summary: str) -> bool:
    """Whether the condition became true before `until`; without a moment it is waited for however long it takes."""
    if condition():
        return True
    left = None if until is None else max(until - workflow.now(), timedelta())
    try:
        await workflow.wait_condition(condition, timeout=left, timeout_summary=summary)
    except TimeoutError:
        return False
    return True
