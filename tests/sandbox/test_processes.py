"""The supervisor: ready means ready, the dead come back or are named, and nobody is left behind."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from sandbox.processes import Program, ProgramFailedError, Supervisor
from tests.eventually import eventually

FOREVER = "import time; print('ready', flush=True); time.sleep(3600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(3600)"
)
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}])
print("child", child.pid, flush=True)
time.sleep(3600)
"""
KILLED_SUPERVISOR = f"""
import asyncio, re, sys
from pathlib import Path
from sandbox.processes import Program, Supervisor
async def run():
    supervisor = Supervisor()
    log = Path(sys.argv[1])
    command = [sys.executable, "-c", {PARENT.replace(STUBBORN, FOREVER)!r}]
    await supervisor.start(Program("one", command, None, log), re.compile("ready"))
    print(supervisor.pid("one"), flush=True)
    await asyncio.sleep(3600)
asyncio.run(run())
"""
READY = re.compile("^ready", re.MULTILINE)


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    made = Supervisor()
    yield made
    await made.stop()


def python(code: str, folder: Path, name: str = "it", **more: object) -> Program:
    return Program(name, [sys.executable, "-c", code], None, folder / f"{name}.log", **more)  # type: ignore[arg-type]


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_start_returns_when_the_output_says_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "it.log").write_text("ready in an earlier life\n")
    late = "import time; time.sleep(0.3); print('ready', flush=True); time.sleep(3600)"
    await supervisor.start(python(late, tmp_path), READY)
    assert (tmp_path / "it.log").read_text() == "ready in an earlier life\nready\n"


async def test_start_returns_when_the_check_says_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    answers = iter([False, False, True])

    async def ready() -> bool:
        return next(answers)

    await supervisor.start(python(FOREVER, tmp_path), ready)
    assert is_alive(supervisor.pid("it"))


async def test_what_ends_before_it_is_ready_is_named_with_its_last_words(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    code = "import sys; print('\\n'.join(map(str, range(100)))); sys.exit('no such database')"
    with pytest.raises(ProgramFailedError) as caught:
        await supervisor.start(python(code, tmp_path, name="worker", restart="always"), READY)
    message = str(caught.value)
    assert message.startswith("worker ended with exit code 1. Its log")
    assert str(tmp_path / "worker.log") in message
    assert message.endswith("    no such database")
    assert "\n    99\n" in message
    assert "\n    5\n" not in message


async def test_what_never_gets_ready_is_given_up(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(ProgramFailedError, match="not ready within 0 s"):
        await supervisor.start(python("import time; time.sleep(3600)", tmp_path), READY, 0.2)
    pid = supervisor.pid("it")
    await supervisor.stop()
    assert not is_alive(pid)


async def test_what_shall_live_is_brought_back(tmp_path: Path) -> None:
    told: list[tuple[str, bool]] = []
    supervisor = Supervisor(lambda program, what, back: told.append((what, back)))
    await supervisor.start(python(FOREVER, tmp_path, restart="always"), READY)
    first = supervisor.pid("it")
    os.kill(first, signal.SIGKILL)

    async def is_back() -> bool:
        return len(told) == 2

    await eventually(is_back)
    assert told == [("ended with signal SIGKILL", False), ("is back", True)]
    assert supervisor.pid("it") != first
    assert not supervisor.failed.done()
    await supervisor.stop()
    assert supervisor.failed.cancelled()


async def test_the_death_of_what_must_not_die_is_everybodys(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.start(python(FOREVER, tmp_path, name="temporal"), READY)
    supervisor.kill("temporal")
    with pytest.raises(ProgramFailedError, match="temporal ended with signal SIGKILL"):
        await asyncio.wait_for(asyncio.shield(supervisor.failed), 10)


async def test_what_dies_again_and_again_is_given_up(supervisor: Supervisor, tmp_path: Path) -> None:
    marker = tmp_path / "started"
    once = f"""
import pathlib, sys, time
marker = pathlib.Path({str(marker)!r})
if marker.exists(): sys.exit("broken for good")
marker.touch(); print("ready", flush=True); time.sleep(3600)
"""
    await supervisor.start(python(once, tmp_path, restart="always", give_up_after=2), READY)
    supervisor.kill("it")
    with pytest.raises(ProgramFailedError, match=r"(?s)exit code 1, 3 times in a row.*broken for good"):
        await asyncio.wait_for(asyncio.shield(supervisor.failed), 20)


async def test_run_goes_to_the_end(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.run(python("print('done')", tmp_path))
    assert (tmp_path / "it.log").read_text() == "done\n"
    with pytest.raises(ProgramFailedError, match="exit code 3"):
        await supervisor.run(python("raise SystemExit(3)", tmp_path))


async def test_stop_goes_backwards_and_reaches_the_stubborn_and_their_children(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    def ends(name: str) -> str:
        return (
            "import signal, sys, time, pathlib\n"
            f"def end(*_): open({str(tmp_path / 'order')!r}, 'a').write({name!r}); sys.exit()\n"
            "signal.signal(signal.SIGTERM, end); print('ready', flush=True); time.sleep(3600)"
        )

    await supervisor.start(python(ends("a"), tmp_path, name="a"), READY)
    await supervisor.start(python(ends("b"), tmp_path, name="b"), READY)
    await supervisor.start(python(STUBBORN, tmp_path, name="stubborn", stop_within=0.2), READY)
    await supervisor.start(python(PARENT, tmp_path, name="parent"), READY)
    found = re.search(r"child (\d+)", (tmp_path / "parent.log").read_text())
    assert found is not None
    pids = [supervisor.pid(name) for name in ("a", "b", "stubborn", "parent")] + [int(found[1])]
    await supervisor.stop()

    async def are_gone() -> bool:
        return not any(is_alive(pid) for pid in pids)

    await eventually(are_gone)
    assert (tmp_path / "order").read_text() == "ba"


async def test_a_cancelled_start_leaves_nothing(supervisor: Supervisor, tmp_path: Path) -> None:
    starting = asyncio.create_task(supervisor.start(python("import time; time.sleep(3600)", tmp_path), READY))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    pid = supervisor.pid("it")
    await supervisor.stop()
    assert not is_alive(pid)


async def test_nobody_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED_SUPERVISOR, str(log), stdout=-1)
    assert owner.stdout is not None
    pid = int(await owner.stdout.readline())
    child = re.search(r"child (\d+)", log.read_text())
    assert child is not None
    assert is_alive(pid)
    assert is_alive(int(child[1]))
    owner.kill()
    await owner.wait()

    async def are_gone() -> bool:
        return not is_alive(pid) and not is_alive(int(child[1]))

    await eventually(are_gone)
