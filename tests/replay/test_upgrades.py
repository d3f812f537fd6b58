"""Every job, at every point at which it may have been asleep, goes on with the next release, to its end.

The next release does something new before each step (`next_release.py`), behind patches. What it replays has to be as
it was, what is still to come as new as the release. Without patches it cannot follow what was, which proves that the
tests would see a change that needs one.
"""

import asyncio
import inspect
from collections.abc import Sequence
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import WorkflowInboundInterceptor

from tests.replay.next_release import PATCH, NextRelease, NotedJob, ReleaseWithoutPatches
from tests.replay.saved import LATEST, SAVED, chosen, history_of, is_open, job_of, release_of, up_to, wakings
from tests.replay.told import Retold, Story, Told, stories_of
from tests.thoroughness import IS_THOROUGH
from worker import WORKFLOWS

HISTORIES = {file: history_of(file) for file in SAVED}
OF_THIS_RELEASE = [file for file in SAVED if release_of(file) == LATEST]
NAMES = [job.__name__ for job in WORKFLOWS]
STEPS = {"schedule_activity", "schedule_local_activity", "start_child_workflow_execution",
         "signal_external_workflow_execution"}  # fmt: skip
ENDS = {"complete_workflow_execution", "fail_workflow_execution", "cancel_workflow_execution",
        "continue_as_new_workflow_execution"}  # fmt: skip
# Of older releases, a few points of each history do, unless there is time for all of them.
OF_OLDER_ONES = 3


def is_new(told: Told, at: int) -> bool:
    """Whether the next release wants this, and those before it did not."""
    command = told.wants[at]
    if command.HasField("set_patch_marker"):
        return command.set_patch_marker.patch_id.startswith(PATCH)
    return command.HasField("modify_workflow_properties")


def of_old(told: Told) -> list[str]:
    """What it wants done that those before it did, too."""
    return [kind for at, kind in enumerate(told.kinds) if not is_new(told, at)]


def is_noted(told: Told) -> bool:
    """Whether each step has the note before it that the next release makes."""
    kinds = told.kinds
    return all(
        kinds[at - 2 : at] == ["set_patch_marker", "modify_workflow_properties"]
        for at, kind in enumerate(kinds)
        if kind in STEPS
    )


def points(file: Path, places: Sequence[int]) -> Sequence[int]:
    """Those at which a history is looked at."""
    return places if IS_THOROUGH or release_of(file) == LATEST else chosen(places, OF_OLDER_ONES)


@pytest.fixture(scope="module")
async def stories() -> dict[Path, Story]:
    """What each job was told, and did, with the code of today."""
    return dict(zip(HISTORIES, await stories_of(list(HISTORIES.values())), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_has_a_history_of_this_release(name: str) -> None:
    release = ".".join(map(str, LATEST))
    mend = (
        f"record one: add a path that ends with it to tests/paths/, then run `pytest tests/replay/record.py` ({name})"
    )
    ended = [file for file in OF_THIS_RELEASE if job_of(HISTORIES[file]) == name and not is_open(HISTORIES[file])]
    assert ended, f"no history of release {release} shows {name} to its end: {mend}"


@pytest.mark.skipif(not IS_THOROUGH, reason="the next release replays with the code of today, too")
async def test_the_code_of_today_follows_every_job_from_wherever_it_slept() -> None:
    """As a worker does that has lost its cache, with nothing behind the point at which the job is woken."""
    cut = _cut()
    for (file, events), story in zip(cut, await stories_of(list(cut.values())), strict=True):
        assert story.failure is None, f"{file.parent.name}/{file.name} up to event {events}: {story.failure}"


async def test_the_next_release_follows_every_job_from_wherever_it_slept() -> None:
    """The core of the SDK compares what it wants with the history, as far as there is one."""
    cut = _cut()
    for (file, events), story in zip(cut, await stories_of(list(cut.values()), NextRelease()), strict=True):
        where = f"{file.parent.name}/{file.name} up to event {events}"
        assert story.failure is None, f"{where}: {story.failure}"
        for told in story.told:
            assert of_old(told) == told.kinds if told.news.is_replaying else is_noted(told), where


def _cut() -> dict[tuple[Path, int], WorkflowHistory]:
    """The histories up to each point at which a worker took the job in hand."""
    return {
        (file, events): up_to(history, events)
        for file, history in HISTORIES.items()
        for events in points(file, wakings(history))
    }


async def test_the_next_release_brings_every_job_to_its_end(stories: dict[Path, Story]) -> None:
    """What the former release was told after a point, the next one is told. It does the same, and what is new."""
    for file, story in stories.items():
        assert story.failure is None
        for rest in points(file, [0, *story.rests[:-1]]):
            went_on = Retold(story, NotedJob, PATCH)
            await asyncio.to_thread(_goes_on, went_on, story, rest, f"{file.parent.name}/{file.name} from {rest}")


def _goes_on(job: Retold, story: Story, rest: int, where: str) -> None:
    for at, before in enumerate(story.told):
        after = job.hears(before, is_replaying=at < rest)
        assert of_old(after) == before.kinds, where
        if at < rest:
            assert after.kinds == before.kinds, f"{where}: it disturbs what was"
        else:
            assert is_noted(after), f"{where}: what is still to come is not new"


async def test_without_patches_no_workflow_follows(stories: dict[Path, Story]) -> None:
    """One history of each workflow, the longest."""
    of_each = {job_of(history): file for file, history in sorted(HISTORIES.items(), key=lambda it: len(it[1].events))}
    assert of_each.keys() == set(NAMES)
    replayed = await stories_of([HISTORIES[file] for file in of_each.values()], ReleaseWithoutPatches())
    for name, story in zip(of_each, replayed, strict=True):
        assert isinstance(story.failure, workflow.NondeterminismError), name


async def test_what_looks_for_a_newer_build_moves_to_it(stories: dict[Path, Story]) -> None:
    """A pinned job that looks whether its build is the newest goes on as a new run, on that build, once it is woken."""
    look = {
        job.__name__ for job in WORKFLOWS if "is_target_worker_deployment_version_changed" in inspect.getsource(job)
    }
    assert look == {"CartWorkflow", "CertificateWorkflow", "CourseChangeWorkflow", "DripWorkflow"}
    moved: set[str] = set()
    for file, story in stories.items():
        if job_of(HISTORIES[file]) in look - moved:
            for rest in story.rests[:-1]:
                if await asyncio.to_thread(_moves, Retold(story, WorkflowInboundInterceptor, PATCH), story, rest):
                    moved.add(job_of(HISTORIES[file]))
                    break
    assert moved == look


def _moves(job: Retold, story: Story, rest: int) -> bool:
    for at, before in enumerate(story.told):
        for command in job.hears(before, is_replaying=at < rest, is_build_old=at >= rest).wants:
            if command.HasField("continue_as_new_workflow_execution"):
                behavior = command.continue_as_new_workflow_execution.initial_versioning_behavior
                assert behavior == workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE
                return True
    return False
