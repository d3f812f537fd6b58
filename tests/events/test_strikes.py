"""A job is cancelled, or terminated, at a moment of its history: the ledger is right, or a person is told what is not.

A path is played until the moment has come and everybody rests; what its story still waits for then will not come. With
`THOROUGH=1` every path is struck at every moment in both ways, which takes hours: `STRIKES=invoice,cascade` names the
paths. Without it there are a few, each at another place of its path, the same every time.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlmodel import col
from temporalio.client import Client, ScheduleBackfill, ScheduleHandle, ScheduleOverlapPolicy

from models.tables import Finding
from models.tables.columns import now
from models.vocabulary import FindingStatus
from schedules import SCHEDULES
from tests.events.moments import RENEW, Moment, read_moments
from tests.events.watch import Handle, Watch
from tests.eventually import eventually
from tests.installation import Installation
from tests.paths import PATHS, Scene
from tests.paths.world import World
from tests.thoroughness import IS_THOROUGH
from workflows.recurring import UTC
from workflows.schedule_server import apply_schedules

MOMENTS = read_moments()
# What looks for jobs that are gone, and for what they have left undone.
_PATIENT = {"critical-mail", "reconcile-nightly"}
_HOUR = timedelta(hours=1)
_HEALERS = ("stripe-events", "reconcile-nightly", "wake-drips", "critical-mail", "stuck-jobs")


async def cancel(handle: Handle) -> None:
    await handle.cancel()


async def terminate(handle: Handle) -> None:
    await handle.terminate("a drill")


Blow = Callable[[Handle], Awaitable[None]]
BLOWS: dict[str, Blow] = {"cancel": cancel, "terminate": terminate}


def chosen() -> list[tuple[str, Moment, str]]:
    """The strikes of this run: all of some paths, or one of every eighth."""
    named = set(filter(None, os.environ.get("STRIKES", "").split(",")))
    if IS_THOROUGH:
        paths = {path: moments for path, moments in MOMENTS.items() if not named or path in named}
        return [(path, moment, blow) for path, moments in paths.items() for moment in moments for blow in BLOWS]
    strikes = []
    for number, (path, moments) in enumerate(sorted(MOMENTS.items())):
        if number % 8:
            continue
        blow = list(BLOWS)[number // 8 % len(BLOWS)]
        # Far from each other, at another place in each path.
        strikes.append((path, moments[number * 7919 % len(moments)], blow))
    return strikes


def test_every_path_has_its_moments() -> None:
    assert MOMENTS.keys() == PATHS.keys(), f"`{RENEW}` finds the moments of paths that are new"


@pytest.mark.parametrize(
    ("path", "moment", "blow"),
    [
        pytest.param(*each, id=f"{each[0]}-{each[1].workflow}-{each[1].nth}-{each[1].event_id}-{each[2]}")
        for each in chosen()
    ],
)
async def test_struck(path: str, moment: Moment, blow: str, idle_installation: Installation) -> None:
    installation = idle_installation
    world, watch = await World.before(installation), Watch(installation.temporal, moment, BLOWS[blow])
    scene = Scene(installation, interceptors=[watch])
    await _play_until_it_rests(scene, path, watch, world)
    async with scene.at_work():
        await world.comes_to_rest()
        ended = frozenset({watch.struck} if watch.struck and blow == "terminate" else ())
        if ended or _comes_again(moment):
            await _heal(installation.temporal)
            await world.comes_to_rest()
        wrong = await world.wrongs(ended)
        assert wrong == [] or await _are_on_a_desk(installation, ended), wrong


async def _are_on_a_desk(installation: Installation, ended: frozenset[str]) -> bool:
    """Whether somebody is asked about what a terminated job has left."""
    query = select(func.count()).where(col(Finding.job_id).in_(ended), col(Finding.status) == FindingStatus.OPEN)
    async with installation.sessions() as session:
        return (await session.execute(query)).scalar_one() > 0


async def _play_until_it_rests(scene: Scene, path: str, watch: Watch, world: World) -> None:
    """Tell the story until it is over, or everybody rests after the blow: then it waits for what will not come."""
    story = asyncio.ensure_future(PATHS[path].play(scene))
    rest = asyncio.ensure_future(_rests_after_the_blow(watch, world))
    await asyncio.wait({story, rest}, return_when=asyncio.FIRST_COMPLETED)
    for task in (story, rest):
        task.cancel()
    await asyncio.gather(story, rest, return_exceptions=True)
    await watch.over()


async def _rests_after_the_blow(watch: Watch, world: World) -> None:
    await watch.has_struck.wait()
    # Between two things that the story does there is rest, too.
    for _ in range(3):
        await asyncio.sleep(0.15)
        await world.comes_to_rest()


async def _heal(temporal: Client) -> None:
    """Have what heals run once; what leaves the jobs time for what they do, as of tomorrow."""
    await apply_schedules(temporal, [each for each in SCHEDULES if each.id in _HEALERS], UTC)
    tomorrow = ScheduleBackfill(now() + 2 * _HOUR, now() + 26 * _HOUR, overlap=ScheduleOverlapPolicy.ALLOW_ALL)
    for schedule_id in _HEALERS:
        schedule = temporal.get_schedule_handle(schedule_id)
        before = (await schedule.describe()).info.num_actions
        await (schedule.backfill(tomorrow) if schedule_id in _PATIENT else schedule.trigger())

        async def has_run(schedule: ScheduleHandle = schedule, before: int = before) -> bool:
            info = (await schedule.describe()).info
            return info.num_actions > before and not info.running_actions

        await eventually(has_run)
        await schedule.delete()


def _comes_again(moment: Moment) -> bool:
    """Whether it is a recurring job that was struck: the next run does what this one has not."""
    return moment.workflow in {each.workflow for each in SCHEDULES}
