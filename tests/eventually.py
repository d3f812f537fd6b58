"""Waiting for something that happens elsewhere: asked again until it is so, with a deadline and never by luck."""

import asyncio
import time
from collections.abc import Awaitable, Callable

# Each question costs milliseconds of the processor that the answer is being worked out on.
_BETWEEN_SECONDS = 0.05


async def eventually(holds: Callable[[], Awaitable[bool]], within: float = 30) -> None:
    """Return as soon as `holds` answers true; raise `AssertionError` if it has not after `within` seconds."""
    deadline = time.monotonic() + within
    while not await holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {within} s: {getattr(holds, '__qualname__', holds)}")
        await asyncio.sleep(_BETWEEN_SECONDS)
