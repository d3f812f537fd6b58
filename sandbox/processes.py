"""Child processes of the sandbox: started in order, watched, restarted where wanted, and never left behind."""

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Ready = Callable[[], Awaitable[bool]]
_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 35


class ProgramFailedError(Exception):
    """A program ended, or never got ready. Says where its log is and how it ends."""

    def __init__(self, program: "Program", what: str) -> None:
        super().__init__(f"{program.name} {what}; its log is {program.log}, which ends:\n{program.last_lines()}")
        self.program = program


@dataclass(frozen=True)
class Program:
    """What to run. `restart` brings it back whenever it dies, so that it may be killed for the sake of it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    restart: bool = False

    def last_lines(self, count: int = 12) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-count:])


@dataclass
class Supervisor:
    """Runs programs until told to stop. `failed` gets the error of the first that died for good."""

    failed: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _watchers: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self, program: Program, ready: Ready, within: float = 60) -> None:
        """Start a program and return once it is ready. Raises `ProgramFailedError` if it ends or takes too long."""
        program.log.parent.mkdir(parents=True, exist_ok=True)
        process = await self._spawn(program)
        deadline = time.monotonic() + within
        while not await ready():
            if process.returncode is not None:
                raise ProgramFailedError(program, f"ended with code {process.returncode}")
            if time.monotonic() > deadline:
                raise ProgramFailedError(program, f"was not ready within {within:.0f} s")
            await asyncio.sleep(0.05)
        self._watchers.append(asyncio.create_task(self._watch(program, process)))

    async def run(self, program: Program) -> None:
        """Run a program to its end. Raises `ProgramFailedError` unless it ends well."""
        program.log.parent.mkdir(parents=True, exist_ok=True)
        process = await self._spawn(program)
        if await process.wait() != 0:
            raise ProgramFailedError(program, f"ended with code {process.returncode}")
        del self._running[program.name]

    def kill(self, name: str) -> None:
        """Kill a program as a crash would."""
        self._running[name].kill()

    async def stop(self) -> None:
        """Stop everything, the last started first: ask, wait, then kill."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for process in reversed(self._running.values()):
            if process.returncode is None:
                await _end(process)
        self._running.clear()
        if not self.failed.done():
            self.failed.cancel()

    async def _spawn(self, program: Program) -> asyncio.subprocess.Process:
        with program.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                env=dict(program.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        self._running[program.name] = process
        return process

    async def _watch(self, program: Program, process: asyncio.subprocess.Process) -> None:
        pause = 0.2
        while True:
            started = time.monotonic()
            code = await process.wait()
            if not program.restart:
                if not self.failed.done():
                    self.failed.set_exception(ProgramFailedError(program, f"ended with code {code}"))
                return
            pause = 0.2 if time.monotonic() - started > 30 else min(pause * 2, 10)
            await asyncio.sleep(pause)
            process = await self._spawn(program)


def _die_with_parent() -> None:
    """On Linux a child is told when its parent dies; elsewhere a killed supervisor leaves its children behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def says(program_log: Path, pattern: str) -> Ready:
    """Ready once the log holds the pattern."""
    wanted = re.compile(pattern)

    async def ready() -> bool:
        return program_log.exists() and wanted.search(program_log.read_text(errors="replace")) is not None

    return ready
