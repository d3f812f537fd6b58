"""The stack, with stand-ins for the application: up in order, kept up, remembered, and taken down without a trace."""

import asyncio
import json
import os
import re
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from sandbox.home import claim_home
from sandbox.ports import listen_on
from sandbox.stack import Application, Stack, StackError, StackStep
from sandbox.temporal import is_healthy
from tests.eventually import eventually

PLAIN = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "PYTHONPATH") if name in os.environ}
RECORD = "import json, os, pathlib; pathlib.Path(os.environ['HERE'], '{}').write_text(json.dumps(dict(os.environ)))"
WORKER = "import time; print('worker polls', flush=True); time.sleep(3600)"
API = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health/ready" else 404)
        self.end_headers()
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
OWNER = """
import asyncio, sys
from pathlib import Path
from sandbox.stack import Application, Stack
async def run():
    application = Application(migrate=(), seed=(), worker=(), promote=(), api=())
    async with Stack(Path(sys.argv[1]), application=application):
        print("up", flush=True)
        await asyncio.sleep(3600)
asyncio.run(run())
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def stand_ins(**other: list[str]) -> Application:
    commands = {
        "migrate": python(RECORD.format("migrate")),
        "seed": python(RECORD.format("seed")),
        "worker": python(WORKER),
        "promote": python(RECORD.format("promote")),
        "api": python(API, "{port}"),
    }
    return Application(**(commands | other))  # type: ignore[arg-type]


def stack_in(home: Path, tell: Callable[[StackStep], None] = lambda step: None, **more: object) -> Stack:
    environment = {**PLAIN, "HERE": str(home.parent), **more.pop("environment", {})}  # type: ignore[dict-item]
    return Stack(home, tell, application=stand_ins(**more), environment=environment)  # type: ignore[arg-type]


def processes_in(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and str(home) in " ".join(process.cmdline()):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


async def nothing_is_left_in(home: Path) -> None:
    async def gone() -> bool:
        return not processes_in(home)

    await eventually(gone)


async def test_a_stack_comes_up_in_order_recovers_and_is_remembered(tmp_path: Path) -> None:
    home, told = tmp_path / "up", list[StackStep]()
    async with stack_in(home, told.append) as stack:
        first, environment = stack.endpoints, stack.environment
        ready = [step.name for step in told if step.state == "ready"]
        assert set(ready[:4]) == {"PostgreSQL", "Temporal", "Stripe double", "Mailbox"}
        assert ready[4:6] == ["Schema", "Sample academy"]
        assert set(ready[6:]) == {"Worker", "API"}

        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{first.api}/health/ready")).status_code == 200
            assert (await http.get(first.temporal_ui, follow_redirects=True)).status_code == 200
            assert (await http.get(f"{first.mailbox}/api/messages")).json() == []
            answer = await http.get(f"{first.stripe}/v1/events", headers={"Authorization": "Bearer sk_test_sandbox"})
            assert answer.status_code == 200
        assert await is_healthy(first.temporal_address)
        connection = await asyncpg.connect(first.database_url.replace("+asyncpg", ""))
        await connection.execute("CREATE TABLE kept ()")
        await connection.close()

        seen = json.loads((tmp_path / "migrate").read_text())
        assert {name: seen[name] for name in environment} == environment
        assert seen["FILES_URL"] == (home / "files").as_uri()
        assert len(seen["JWT_SECRET"]) >= 32
        assert stat.S_IMODE((home / "secrets.json").stat().st_mode) == 0o600

        told.clear()
        for name in ("worker", "api", "temporal", "mailbox"):
            stack.supervisor.kill(name)
        server = int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(server, signal.SIGKILL)

        async def all_are_back() -> bool:
            back = {step.name for step in told if step.state == "ready"}
            return back >= {"worker", "api", "temporal", "mailbox", "PostgreSQL"}

        await eventually(all_are_back, within=90)
        assert stack.endpoints == first
    await nothing_is_left_in(home)

    async with stack_in(home) as stack:
        assert stack.endpoints == first
        assert stack.environment == environment
        connection = await asyncpg.connect(first.database_url.replace("+asyncpg", ""))
        await connection.execute("DROP TABLE kept")
        await connection.close()
    await nothing_is_left_in(home)


async def test_parts_of_the_environment_are_used_instead(tmp_path: Path) -> None:
    home, told = tmp_path / "up", list[StackStep]()
    outside = {
        "DATABASE_URL": "postgresql+asyncpg://me:secret@db.test/registrar",
        "TEMPORAL_ADDRESS": "temporal.test:7233",
        "TEMPORAL_UI_URL": "https://temporal.test",
        "SMTP_URL": "smtp://mail.test:25",
        "STRIPE_API_KEY": "sk_test_mine",
        "STRIPE_WEBHOOK_SECRETS": "whsec_mine",
        "FILES_URL": "s3://bucket/prefix",
        "MAIL_FROM": "me@mail.test",
    }
    async with stack_in(home, told.append, environment=outside) as stack:
        seen = json.loads((tmp_path / "seed").read_text())
        assert {name: seen[name] for name in outside} == outside
        assert "STRIPE_API_BASE" not in seen
        assert (stack.endpoints.mailbox, stack.endpoints.stripe) == (None, None)
        assert stack.endpoints.temporal_ui == "https://temporal.test"
        assert "secret" not in repr(stack.endpoints)
    assert [step.name for step in told if step.state == "skipped"] == [
        "PostgreSQL", "Temporal", "Stripe double", "Mailbox",
    ]  # fmt: skip
    assert not (home / "postgres").exists()


OUTSIDE = {"DATABASE_URL": "x", "TEMPORAL_ADDRESS": "x", "STRIPE_API_KEY": "x"}


async def test_a_failing_step_is_named_and_all_else_is_stopped(tmp_path: Path) -> None:
    home, told = tmp_path / "up", list[StackStep]()
    broken = python("import sys; print('first line'); sys.exit('no such table')")
    stack = stack_in(home, told.append, migrate=broken, environment=OUTSIDE)
    with pytest.raises(StackError) as caught:
        await stack.__aenter__()
    assert caught.value.step == "Schema"
    assert re.match(r"Schema: migrate ended with exit code 1\. Its log .*/logs/migrate\.log ends:", str(caught.value))
    assert str(caught.value).endswith("    first line\n    no such table")
    assert [step.name for step in told if step.state == "failed"] == ["Schema"]
    await nothing_is_left_in(home)


async def test_what_is_gone_for_good_is_told(tmp_path: Path) -> None:
    once = """
import os, pathlib, sys, time
marker = pathlib.Path(os.environ["HERE"], "once")
if marker.exists(): sys.exit("broken")
marker.touch(); print("worker polls", flush=True); time.sleep(3600)
"""
    async with stack_in(tmp_path / "up", worker=python(once), environment=OUTSIDE) as stack:
        waiting = asyncio.create_task(stack.failed())
        program = stack.supervisor._children["worker"].program
        object.__setattr__(program, "give_up_after", 1)
        stack.supervisor.kill("worker")
        with pytest.raises(StackError, match=r"(?s)worker: worker ended with exit code 1, 2 times in a row.*broken"):
            await asyncio.wait_for(waiting, 20)


async def test_a_cancelled_start_leaves_nothing(tmp_path: Path) -> None:
    home, told = tmp_path / "up", list[StackStep]()

    async def run() -> None:
        async with stack_in(home, told.append):
            raise AssertionError("it must not come up")

    running = asyncio.create_task(run())

    async def under_way() -> bool:
        return any(step.name == "Temporal" and step.state == "ready" for step in told)

    await eventually(under_way)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await nothing_is_left_in(home)


async def test_nothing_outlives_a_killed_owner_and_the_next_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "up"
    owner = await asyncio.create_subprocess_exec(*python(OWNER, str(home)), stdout=-1, env=PLAIN)
    assert owner.stdout is not None
    assert await owner.stdout.readline() == b"up\n"
    ports = json.loads((home / "ports.json").read_text())
    assert len(processes_in(home)) > 3
    owner.kill()
    await owner.wait()
    await nothing_is_left_in(home)
    async with stack_in(home) as stack:
        assert stack.endpoints.temporal_address == f"127.0.0.1:{ports['temporal']}"


async def test_two_stacks_stand_side_by_side(tmp_path: Path) -> None:
    homes = [claim_home(tmp_path, "up"), claim_home(tmp_path, "up")]
    assert [home.path.name for home in homes] == ["up", "up-2"]
    for home in homes:
        (home.path / "ports.json").write_text(json.dumps({"api": 8000, "smtp": "nonsense"}))
    environment = {**PLAIN, "HERE": str(tmp_path), **OUTSIDE}
    stacks = [Stack(home, application=stand_ins(), environment=environment) for home in homes]
    async with stacks[0], stacks[1]:
        used = [stack.endpoints for stack in stacks]
        assert used[0].api != used[1].api
        assert used[0].mailbox != used[1].mailbox
    # The claims ended with the stacks.
    again = claim_home(tmp_path, "up")
    assert again.path.name == "up"
    again.release()


async def test_a_broken_memory_is_no_hindrance(tmp_path: Path) -> None:
    home = tmp_path / "up"
    home.mkdir()
    (home / "ports.json").write_text('{"api": ')
    (home / "secrets.json").write_text("")
    with listen_on(8000):
        async with stack_in(home, environment=OUTSIDE | {"SMTP_URL": "smtp://mail.test"}) as stack:
            assert stack.endpoints.api != "http://127.0.0.1:8000"
            assert len(stack.environment["JWT_SECRET"]) >= 32
