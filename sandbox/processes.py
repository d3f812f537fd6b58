"""Child processes of the sandbox: started, watched, restarted where wanted, and never left behind."""

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sandbox.leash import LEASH

Ready = Callable[[], Awaitable[bool]] | re.Pattern[str]
Restart = Literal["never", "always"]

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_POLL_SECONDS = 0.05
# A program that lives this long has recovered: its next death counts as the first again.
_RECOVERED_SECONDS = 30.0


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log file, indented, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 64 * 1024))
            lines = file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        lines = []
    return "\n".join(f"    {line}" for line in lines) or "    (nothing)"


@dataclass(frozen=True)
class Program:
    """What to run, and what to do when it dies.

    `restart="always"` brings it back with growing pauses, so that anybody may `kill -9` it and watch it recover, until
    it has died more than `give_up_after` times in a row; with `"never"` its first death is the stack's.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] | None
    log: Path
    restart: Restart = "never"
    stop_within: float = 35
    give_up_after: int = 8
    before_start: Callable[[], None] | None = None


class ProgramFailedError(Exception):
    """A program ended or never got ready. Says which, where its log is and how the log ends."""

    def __init__(self, program: Program, what: str) -> None:
        super().__init__(f"{program.name} {what}. Its log {program.log} ends:\n{last_lines(program.log)}")
        self.program = program


@dataclass
class Child:
    """One run of a program: a process group of its own, its output in the log file."""

    program: Program
    process: asyncio.subprocess.Process
    log_start: int
    started: float = field(default_factory=time.monotonic)

    @classmethod
    async def spawn(cls, program: Program) -> "Child":
        """Start it. Its output goes straight to the file, so that it can still speak when we cannot listen."""
        program.log.parent.mkdir(parents=True, exist_ok=True)
        if program.before_start is not None:
            program.before_start()
        with program.log.open("ab") as log:
            log_start = log.tell()
            process = await asyncio.create_subprocess_exec(
                *program.command,
                env=None if program.environment is None else dict(program.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for us alone: we decide the order in which the others stop.
                start_new_session=True,
            )
        LEASH.hold(process.pid)
        return cls(program, process, log_start)

    async def until_ready(self, ready: Ready | None, within: float) -> None:
        """Return once it is ready. Raises `ProgramFailedError` if it ends first or takes too long."""
        deadline = self.started + within
        while not await self._is_ready(ready):
            if self.process.returncode is not None:
                raise ProgramFailedError(self.program, f"ended with {_outcome(self.process.returncode)}")
            if time.monotonic() > deadline:
                raise ProgramFailedError(self.program, f"was not ready within {within:.0f} s")
            await asyncio.sleep(_POLL_SECONDS)

    async def wait(self) -> int:
        """Its exit code, once it has ended and nothing of its group is left."""
        code = await self.process.wait()
        self._signal(signal.SIGKILL)
        LEASH.let_go(self.process.pid)
        return code

    async def stop(self) -> None:
        """Ask it to end; if it takes too long, force it and all it has started."""
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), self.program.stop_within)
        except TimeoutError:
            self._signal(signal.SIGKILL)
        await self.wait()

    def kill(self) -> None:
        """Kill it as a crash would."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    async def _is_ready(self, ready: Ready | None) -> bool:
        if isinstance(ready, re.Pattern):
            return ready.search(_from(self.program.log, self.log_start)) is not None
        # Something else that answers in its place does not make a dead program ready.
        return ready is None or (await ready() and self.process.returncode is None)


def _from(log: Path, start: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def says(log: Path, pattern: str) -> Ready:
    """Ready once the log holds the pattern, in what was added to it from now on."""
    wanted, start = re.compile(pattern), log.stat().st_size if log.exists() else 0

    async def ready() -> bool:
        return wanted.search(_from(log, start)) is not None

    return ready


def _outcome(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"


class Supervisor:
    """Keeps programs running until told to stop.

    `failed` is a future that never has a result: it gets the error of the first program that is gone for good, and is
    cancelled by `stop`. `on_restart` hears of every program that died and of every one that is back.
    """

    def __init__(self, on_restart: Callable[[Program, str, bool], None] | None = None) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Whoever never asks is not scolded for it.
        self.failed.add_done_callback(lambda future: None if future.cancelled() else future.exception() and None)
        self._on_restart = on_restart or (lambda program, what, back: None)
        self._children: dict[str, Child] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}

    async def start(self, program: Program, ready: Ready | None = None, within: float = 60) -> None:
        """Start a program and return once it is ready. Raises `ProgramFailedError` if it ends or takes too long.

        `ready` is asked until it says so, or is a pattern that the output of this very run must match.
        """
        child = await self._spawn(program)
        await child.until_ready(ready, within)
        watch = self._watch(child, ready, within)
        self._watchers[program.name] = asyncio.create_task(watch, name=f"watch {program.name}")

    async def run(self, program: Program) -> None:
        """Run a program to its end. Raises `ProgramFailedError` unless its exit code is 0."""
        child = await self._spawn(program)
        if (code := await child.wait()) != 0:
            raise ProgramFailedError(program, f"ended with {_outcome(code)}")
        del self._children[program.name]

    def pid(self, name: str) -> int:
        """The process number of the program's current run."""
        return self._children[name].process.pid

    def kill(self, name: str) -> None:
        """Kill a program as a crash would. What follows is its restart policy's affair."""
        self._children[name].kill()

    async def stop(self) -> None:
        """Stop everything, the last started first."""
        for watcher in self._watchers.values():
            watcher.cancel()
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        self._watchers.clear()
        while self._children:
            _, child = self._children.popitem()
            await child.stop()
        if not self.failed.done():
            self.failed.cancel()

    async def _spawn(self, program: Program) -> Child:
        # Shielded, since a process whose start is cancelled half way would be known to nobody.
        spawning = asyncio.ensure_future(Child.spawn(program))
        try:
            child = await asyncio.shield(spawning)
        except asyncio.CancelledError:
            self._children[program.name] = await spawning
            raise
        self._children[program.name] = child
        return child

    async def _watch(self, child: Child, ready: Ready | None, within: float) -> None:
        program, deaths = child.program, 0
        while True:
            what = f"ended with {_outcome(await child.wait())}"
            deaths = 1 if time.monotonic() - child.started > _RECOVERED_SECONDS else deaths + 1
            if program.restart == "never" or deaths > program.give_up_after:
                again = f", {deaths} times in a row" if deaths > 1 else ""
                self._fail(ProgramFailedError(program, what + again))
                return
            self._on_restart(program, what, False)
            await asyncio.sleep(min(_FIRST_PAUSE * 2 ** (deaths - 1), _LONGEST_PAUSE))
            try:
                child = await self._spawn(program)
                await child.until_ready(ready, within)
            except (ProgramFailedError, OSError) as error:
                if isinstance(error, OSError):
                    self._fail(ProgramFailedError(program, f"cannot be started again: {error}"))
                    return
                child.kill()
                continue
            self._on_restart(program, "is back", True)

    def _fail(self, error: ProgramFailedError) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)
