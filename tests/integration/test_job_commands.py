"""`registrar jobs`, typed at a terminal: the same steps as over HTTP, with lines that programs can read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import Result
from temporalio.client import Client
from typer.testing import CliRunner

import settings
from activities.database import Sessions
from cli import app
from commands import jobs as commands
from models.vocabulary import TaskAction
from tests.integration.toy_jobs import Asks, Toys, open_task, playing

Type = Callable[..., Coroutine[Any, Any, Result]]


@pytest.fixture
async def toys(real_temporal: Client) -> AsyncIterator[Toys]:
    async with playing(real_temporal) as toys:
        yield toys


@pytest.fixture
async def typed(
    monkeypatch: pytest.MonkeyPatch, database_url: str, real_temporal: Client, tmp_path: Path
) -> AsyncIterator[Type]:
    """Type a command, and see what it says. It leaves no process, since this one has others to test."""
    environment = {
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": real_temporal.service_client.config.target_host,
        "STRIPE_API_KEY": "sk_test_1",
        "STRIPE_WEBHOOK_SECRETS": "whsec_1",
        "SMTP_URL": "smtp://127.0.0.1:1",
        "FILES_URL": tmp_path.as_uri(),
        "JWT_SECRET": "a-secret-of-at-least-thirty-two-bytes",
        "TEMPORAL_UI_URL": "http://temporal.test",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    left: list[int] = []
    monkeypatch.setattr(commands, "leave", left.append)
    settings.settings.cache_clear()

    async def run(*words: str) -> Result:
        told = await asyncio.to_thread(CliRunner().invoke, app, ["jobs", *words])
        told.exit_code = left.pop() if left else told.exit_code
        return told

    yield run
    settings.settings.cache_clear()


async def test_jobs_at_a_terminal(toys: Toys, typed: Type, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    job = f"cart-{uuid4()}"
    handle = await toys.start(Asks, job, job="typed_toy")
    await toys.lists(job)
    listed = await typed("list", "--job", "typed_toy")
    assert listed.stdout == f"typed_toy\trunning\trunning\tnothing\t\t{job}\n"
    assert listed.stderr == '1 of 1: RegistrarJob = "typed_toy" AND ExecutionStatus = "Running"\n'
    assert (await typed("list", "--job", "typed_toy", "--stuck")).stdout == ""
    wrong = await typed("list", "--job", "Typed Toy")
    assert (wrong.exit_code, wrong.stderr.split(":")[0]) == (1, "job")

    told = await typed("why", job)
    assert told.stdout.startswith(f"CartWorkflow {job} runs as running")
    assert told.stdout.endswith(f"http://temporal.test/namespaces/default/workflows/{job}\n")
    refused = await typed("retry", job, "--as", "frida")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("nothing_to_retry: No step of it rests")
    await open_task(sessions, job, TaskAction.RETRY)
    tried = await typed("retry", "--query", 'RegistrarJob="typed_toy"', "--dry-run", "--as", "frida")
    assert tried.stdout == f"{job}\tdone\tThe task refund_failed is decided: retry.\n"
    assert (await typed("retry", job, "--as", "frida")).stdout == "The task refund_failed is decided: retry.\n"
    assert await handle.result() == "retry by staff:frida"

    monkeypatch.setattr(commands, "_CONNECTS_WITHIN", 0)
    for name, value, says in (
        ("DATABASE_URL", "postgresql+asyncpg://nobody:secret@127.0.0.1:1/x", "The database does not answer"),
        ("TEMPORAL_ADDRESS", "127.0.0.1:1", "Temporal cannot be reached at 127.0.0.1:1"),
    ):
        monkeypatch.setenv(name, value)
        settings.settings.cache_clear()
        away = await typed("list", "--stuck")
        assert (away.exit_code, away.stderr[: len(says)], "secret" in away.output) == (1, says, False)
    for words in (
        ("list", "--stuck", "--query", "x"),
        ("retry", job),
        ("retry", "--as", "frida"),
        ("skip", job, "--as", "Frida Kahlo"),
    ):
        assert (await typed(*words)).exit_code == 2
