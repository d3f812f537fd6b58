"""Worker processes that die at a chosen step, one after another."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from settings import Settings
from tests.installation import Installation
from worker import running_workers
from workflows.deployment import make_current

Played = TypeVar("Played")


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings as another process reads them."""
    plain = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    reveal = {
        "database_url": settings.database_url.get_secret_value(),
        "stripe_api_key": settings.stripe_api_key.get_secret_value(),
        "stripe_webhook_secrets": ",".join(secret.get_secret_value() for secret in settings.stripe_webhook_secrets),
        "smtp_url": settings.smtp_url.get_secret_value(),
    }
    keep = ("temporal_address", "stripe_api_base", "files_url", "public_url")
    return plain | {
        name.upper(): value for name, value in (reveal | {name: str(getattr(settings, name)) for name in keep}).items()
    }


@asynccontextmanager
async def dying_worker(settings: Settings, step: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker that will kill itself after this step, or after so many effects if it is a number."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.dying_worker", step,
        env=environment_of(settings), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert b"polling" in await process.stdout.readline()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def through_every_death(
    installation: Installation, steps: Sequence[str], play: Callable[[int], Awaitable[Played]]
) -> list[Played]:
    """Begin one play per step, each with a worker that dies after that step (or after so many effects); then let a
    healthy one finish them all.

    Plays that were interrupted go on with the next worker, so that some live through several deaths.
    """
    playing: list[asyncio.Task[Played]] = []
    for number, step in enumerate(steps):
        async with dying_worker(installation.settings, step) as process:
            await make_current(installation.temporal, installation.settings.worker_build_id)
            playing.append(asyncio.ensure_future(play(number)))
            assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL, step
    async with running_workers(installation.temporal, installation.settings):
        return await asyncio.gather(*playing)
