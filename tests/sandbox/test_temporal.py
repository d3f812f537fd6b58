"""The embedded Temporal server: healthy when it says so, durable with a file, clear when it fails."""

from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey

from sandbox.ports import listen_on, reserve
from sandbox.processes import ProgramFailedError
from sandbox.temporal import EmbeddedTemporal, is_healthy, server_command
from tests.eventually import eventually

COURSE = SearchAttributeKey.for_keyword("SandboxCourse")


async def start_and_find(server: EmbeddedTemporal, workflow_id: str) -> None:
    client = await Client.connect(server.address)
    await client.start_workflow("NobodyRunsThis", id=workflow_id, task_queue="none")

    async def is_listed() -> bool:
        return [w.id async for w in client.list_workflows(f"WorkflowId = '{workflow_id}'")] == [workflow_id]

    await eventually(is_listed)


async def test_a_started_server_takes_workflows_at_once_and_keeps_them(tmp_path: Path) -> None:
    workflow_id = uuid4().hex
    async with EmbeddedTemporal(
        tmp_path / "temporal.sqlite",
        ui_port=0,
        log_file=tmp_path / "temporal.log",
        search_attributes={COURSE.name: "Keyword"},
        dynamic_config={"limit.blobSize.warn": "100000"},
    ) as server:
        address = server.address
        await start_and_find(server, workflow_id)
        for crash in (False, True):
            await server.restart(kill=crash)
            assert server.address == address
            client = await Client.connect(address)
            described = await client.get_workflow_handle(workflow_id).describe()
            assert described.status is WorkflowExecutionStatus.RUNNING
            assert [w.id async for w in client.list_workflows(f"{COURSE.name} IS NULL")] == [workflow_id]
        assert server.ui_url is not None
        async with httpx.AsyncClient() as http:
            assert "<html" in (await http.get(server.ui_url, follow_redirects=True)).text
    assert not await is_healthy(address)


async def test_a_server_in_memory_finds_its_own_port_and_forgets() -> None:
    with listen_on() as taken:
        port = taken.getsockname()[1]
        async with EmbeddedTemporal(port=port) as server:
            with reserve(int(server.address.rpartition(":")[2])) as other:
                assert len({server.address, f"127.0.0.1:{other.port}", f"127.0.0.1:{port}"}) == 3
            assert server.ui_url is None
            await start_and_find(server, "forgotten")
            await server.restart(kill=True)
            client = await Client.connect(server.address)
            assert [w.id async for w in client.list_workflows()] == []


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    server = EmbeddedTemporal(search_attributes={"Wrong": "Nonsense"}, log_file=tmp_path / "temporal.log")
    with pytest.raises(ProgramFailedError, match=r"(?s)Temporal ended with exit code 1\. .*temporal\.log.*Nonsense"):
        await server.start()
    await server.close()


async def test_a_server_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    server = EmbeddedTemporal(log_file=tmp_path / "temporal.log")
    with pytest.raises(ProgramFailedError, match="not ready within 0 s"):
        await server.start(within=0)
    assert not await is_healthy(server.address)
    await server.close()


def test_the_server_is_tuned(tmp_path: Path) -> None:
    command = " ".join(server_command(port=1, ui_port=None, db_file=tmp_path / "db", dynamic_config={"a.b": "1"}))
    for expected in (
        "--headless",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "history.transferProcessorMaxPollRPS=10000",
        "matching.numTaskqueueReadPartitions=1",
        "system.forceSearchAttributesCacheRefreshOnRead=true",
        "frontend.WorkflowTimeSkippingEnabled=true",
        "a.b=1",
    ):
        assert expected in command
