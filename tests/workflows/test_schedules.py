"""The schedules on the real server: made as declared, changed, deleted, paused; each starts what it is meant to."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import SecretStr
from temporalio import workflow
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import Client, ScheduleBackfill, ScheduleOverlapPolicy
from temporalio.common import RawValue
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from typer.testing import CliRunner

import cli
from activities.database import Sessions
from models import search
from rules.local_time import at_local
from schedules import SCHEDULES
from tests.eventually import eventually
from tests.fresh_record import load_academy
from workflows.recurring import Every, On, Recurring
from workflows.schedule_plan import Planned, Verb
from workflows.schedule_server import apply_schedules, read_schedules
from workflows.scheduled import scheduled_at

BERLIN = "Europe/Berlin"
QUEUE = "schedules-of-a-test"
# Nothing comes by itself while a test looks.
STILL = [replace(each, is_paused=True, task_queue=QUEUE) for each in SCHEDULES]
# On this Sunday the clocks of Berlin go forward.
SHORT_DAY, NEXT_MONDAY, NEXT_FIRST = date(2026, 3, 29), date(2026, 3, 30), date(2026, 4, 1)


@pytest.fixture
async def temporal(real_temporal: Client) -> AsyncIterator[Client]:
    yield real_temporal
    for each in await read_schedules(real_temporal, STILL):
        await real_temporal.get_schedule_handle(each).delete()


async def apply(client: Client, *declared: Recurring, is_dry_run: bool = False) -> dict[str, Verb]:
    planned: Sequence[Planned] = await apply_schedules(client, declared, BERLIN, is_dry_run=is_dry_run)
    return {each.id: each.verb for each in planned if each.verb is not Verb.UNCHANGED}


async def until_listed(client: Client, *ids: str) -> None:
    async def are_listed() -> bool:
        return {*ids} <= {each.id async for each in await client.list_schedules()}

    await eventually(are_listed)


async def test_what_is_declared_is_made_so_once(temporal: Client) -> None:
    assert await apply(temporal, *STILL, is_dry_run=True) == {each.id: Verb.CREATE for each in STILL}
    assert await read_schedules(temporal, STILL) == {}
    # Two hosts of one release at the same time.
    one, other = await asyncio.gather(apply(temporal, *STILL), apply(temporal, *STILL))
    assert one | other == {each.id: Verb.CREATE for each in STILL}
    assert await apply(temporal, *STILL) == {}
    there = await read_schedules(temporal, STILL)
    assert list(there) == [each.id for each in SCHEDULES]
    assert {(each.is_ours, each.is_paused, each.next_at) for each in there.values()} == {(True, True, None)}


async def test_it_follows_the_declaration_and_leaves_pauses_and_others_alone(temporal: Client) -> None:
    first, second, third = (replace(each, is_paused=None) for each in STILL[-3:])
    of_another = temporal.get_schedule_handle("of-another")
    await temporal.create_schedule(of_another.id, replace(first, id="of-another").schedule(BERLIN))
    # As older releases made theirs, without the mark.
    await temporal.create_schedule(third.id, replace(third, is_paused=True, note="Not today.").schedule(BERLIN))
    try:
        assert await apply(temporal, first, second) == {first.id: Verb.CREATE, second.id: Verb.CREATE}
        await temporal.get_schedule_handle(first.id).pause(note="The bank is closed.")
        later = replace(first, when=On(time(5)), summary="Another summary")
        assert await apply(temporal, later, second, third) == {first.id: Verb.UPDATE, third.id: Verb.UPDATE}
        assert await apply(temporal, later, second, third) == {}
        there = await read_schedules(temporal, [later, second, third])
        assert there[first.id].facts["when"] == "daily at 05:00"
        assert (there[first.id].is_paused, there[first.id].facts["note"]) == (True, "The bank is closed.")
        assert (there[third.id].is_paused, there[third.id].facts["note"]) == (True, "Not today.")
        assert there[third.id].is_ours
        assert there[second.id].next_at is not None
        await until_listed(temporal, first.id, second.id, third.id, of_another.id)
        resumed = replace(later, is_paused=False)
        assert await apply(temporal, resumed) == {
            first.id: Verb.UPDATE,
            second.id: Verb.DELETE,
            third.id: Verb.DELETE,
        }
        known = (await temporal.get_schedule_handle(first.id).describe()).schedule.state
        assert (known.paused, known.note) == (False, first.note)
        assert (await of_another.describe()).schedule.state.note == first.note
    finally:
        await of_another.delete()


@workflow.defn(dynamic=True)
class Recorded:
    """Stands for whatever a schedule starts."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> tuple[str, str, datetime, str]:
        info = workflow.info()
        [argument] = [each.payload.data.decode() for each in args]
        return info.workflow_type, argument, scheduled_at(), str(info.typed_search_attributes.get(search.JOB))


async def until_started(client: Client, run_id: str) -> None:
    async def is_there() -> bool:
        with suppress(RPCError):
            await client.get_workflow_handle(run_id).describe()
            return True
        return False

    await eventually(is_there)


def meant(when: Every | On) -> datetime:
    """A moment at which it comes, on the short day or soon after it."""
    if isinstance(when, Every):
        return datetime(2026, 3, 29, 1, tzinfo=UTC)
    day = NEXT_MONDAY if when.weekday is not None else NEXT_FIRST if when.day is not None else SHORT_DAY
    return at_local(day, when.at, ZoneInfo(BERLIN))


async def test_each_starts_its_job_with_the_moment_that_it_is_meant_for(temporal: Client) -> None:
    await apply(temporal, *STILL)
    second = timedelta(seconds=1)
    for each in STILL:
        span = ScheduleBackfill(
            start_at=meant(each.when) - second,
            end_at=meant(each.when) + each.jitter + second,
            overlap=ScheduleOverlapPolicy.ALLOW_ALL,
        )
        # Twice, as an operator may: the second time there is a run of that moment.
        for _ in range(2):
            await temporal.get_schedule_handle(each.id).backfill(span)
    recorder = Worker(temporal, task_queue=QUEUE, workflows=[Recorded], workflow_runner=UnsandboxedWorkflowRunner())
    async with recorder:
        for each in STILL:
            run_id = f"{each.id}-{meant(each.when):%Y-%m-%dT%H:%M:%SZ}"
            await until_started(temporal, run_id)
            kind, argument, moment, job = await asyncio.wait_for(temporal.get_workflow_handle(run_id).result(), 30)
            assert (kind, argument, job) == (each.workflow, each.argument.model_dump_json(), each.job)
            assert datetime.fromisoformat(moment) == meant(each.when)
        found = [each.id async for each in temporal.list_workflows(f"TaskQueue = '{QUEUE}'")]
        assert len(found) == len({*found})


async def test_on_days_on_which_the_clocks_change_each_comes_once(temporal: Client) -> None:
    daily = [each for each in STILL if isinstance(each.when, On) and each.when.weekday is each.when.day is None]
    await apply(temporal, *daily)
    for each in daily:
        for day in (SHORT_DAY, date(2026, 10, 25)):
            start, end = Timestamp(), Timestamp()
            start.FromDatetime(at_local(day, time(0), ZoneInfo(BERLIN)))
            end.FromDatetime(at_local(day, time(23, 59), ZoneInfo(BERLIN)))
            told = await temporal.workflow_service.list_schedule_matching_times(
                ListScheduleMatchingTimesRequest(
                    namespace=temporal.namespace, schedule_id=each.id, start_time=start, end_time=end
                )
            )
            [moment] = [at.ToDatetime(UTC).astimezone(ZoneInfo(BERLIN)) for at in told.start_time]
            assert isinstance(each.when, On)
            assert timedelta() <= moment - at_local(day, each.when.at, ZoneInfo(BERLIN)) <= each.jitter


async def test_the_command_applies_lists_pauses_resumes_and_runs(
    temporal: Client, sessions: Sessions, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load_academy(sessions)
    first, second = (replace(each, is_paused=None) for each in STILL[-2:])
    connection = {"address": temporal.service_client.config.target_host, "namespace": temporal.namespace}
    settings = SimpleNamespace(
        temporal_connection=connection, database_url=SecretStr(database_url), worker_build_id="1"
    )
    monkeypatch.setattr("cli.SCHEDULES", (first, second))
    monkeypatch.setattr("cli._settings", lambda: settings)
    monkeypatch.setattr("cli._leave", sys.exit)

    async def promoted(*_: object) -> None:
        pass

    monkeypatch.setattr("cli.make_current", promoted)

    async def told(*words: str, of: tuple[str, ...] = ("schedules",)) -> tuple[int, list[list[str]]]:
        """How it ends, and the lines that a program reads."""
        result = await asyncio.to_thread(CliRunner().invoke, cli.app, [*of, *words])
        return result.exit_code, [line.split("\t") for line in result.stdout.splitlines()]

    code, lines = await told("apply", "--dry-run")
    assert (code, {line[1] for line in lines}, {line[0] for line in lines}) == (3, {"create"}, {first.id, second.id})
    assert [first.id, "create", "time zone", "", BERLIN] in lines
    assert (await told("list"))[1] == []
    # A release brings its own.
    assert (await told("promote", of=()))[0] == 0
    assert await told("apply", "--dry-run") == (0, [])
    assert (await told("pause", first.id, "--note", "The bank is closed."))[0] == 0
    assert await told("apply") == (0, [])
    [paused, other] = (await told("list"))[1]
    assert paused[:4] == [first.id, "on day 1 of the month at 07:00", BERLIN, ""]
    assert (paused[5:], other[5:]) == (["paused", "The bank is closed."], ["on", second.note])
    assert other[3]
    assert (await told("resume", first.id))[0] == (await told("run", first.id))[0] == 0
    assert await told("apply") == (0, [])
    handle = temporal.get_schedule_handle(first.id)

    async def has_run() -> bool:
        return bool((await handle.describe()).info.recent_actions)

    await eventually(has_run)
    assert (await told("list"))[1][0][4]
    assert (await told("run", "nothing"))[0] == 1
