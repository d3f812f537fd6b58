"""A web server inside somebody else's process: it leaves the signals to its host and stops at once when told to."""

import asyncio
import contextlib
from collections.abc import Iterator

import uvicorn

_TICKS_A_DAY = 864_000


class GuestServer(uvicorn.Server):
    """Uvicorn without its claim on the process. Start it with `serve`, end it with `stop`."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield

    async def main_loop(self) -> None:
        """Tick ten times a second until told to stop."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks = (ticks + 1) % _TICKS_A_DAY
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 0.1)

    def stop(self) -> None:
        """Stop accepting, answer what is running, end."""
        self.should_exit = True
        self._stopping.set()
