"""Every step that a path comes to dies after each of its effects: the world ends as if nobody had died.

The effects are found where they leave the process (`tests/chaos/effects.py`), and the steps in the workers themselves,
so that a new one is met by itself. `THOROUGH=1` plays every path, not only as many as come to every step.
`KEEP_FACTS=1 pytest tests/chaos/test_crashes.py` plays them undisturbed and writes down how they end.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from tests.chaos.covering import KEEPS, enough_paths
from tests.chaos.crashes import Crashes, Point
from tests.chaos.effects import doors
from tests.installation import Installation
from tests.paths import PATHS
from tests.paths.world import KEPT, RestingScene, World, keep_facts, kept_facts
from worker import build_workers
from workflows.connection import connect

_NAMES = enough_paths()

# Steps that no path comes to, each with the reason why it need not die here.
EXCUSED = {
    "cancel_refund": "a refund is taken back that nobody has claimed for 45 days",
    "erase_application": "what an applicant has said is kept for months",
    "escalate_task": "nobody has decided for a working day",
    "lapse_hold": "a bank has not answered for 14 days",
    "settled_places": "a cascade looks again after minutes in which refunds were under way",
    "tell_jobs": "the books are compared as they were half an hour ago",
}

_played: dict[str, Crashes] = {}


@pytest.mark.parametrize("name", _NAMES)
async def test_a_path_lives_through_a_death_after_every_effect(name: str, idle_installation: Installation) -> None:
    world = await World.before(idle_installation)
    crashes = Crashes(begin_with=list(PATHS).index(name), are_deadly=not KEEPS)
    with doors():
        await PATHS[name].play(RestingScene(idle_installation, interceptors=[crashes], world=world))
    facts = await world.facts()
    if KEEPS:
        keep_facts(name, {"steps": crashes.steps(), "world": facts})
    kept = kept_facts(name)
    assert facts == kept["world"], "it ends otherwise than an undisturbed play"
    assert await world.wrongs() == []
    dead = {step for step, _ in crashes.died}
    assert KEEPS or set(kept["steps"]) <= dead
    _played[name] = crashes


def test_every_effect_of_every_step_was_died_after() -> None:
    if KEEPS or set(_played) != set(PATHS):
        pytest.skip("only some paths were played, or nobody died on them: THOROUGH=1 plays all")
    seen: set[Point] = set().union(*(crashes.seen for crashes in _played.values()))
    died: set[Point] = set().union(*(crashes.died for crashes in _played.values()))
    assert sorted(seen - died) == []
    for name in _played:
        for step, through in kept_facts(name)["steps"].items():
            assert {(step, door) for door in through} <= {(each, place.split(":")[0]) for each, place in died}


async def test_every_step_dies_on_some_path(shared_installation: Installation, engine: AsyncEngine) -> None:
    settings = shared_installation.settings
    # A client has one worker for a queue, and these are never run.
    client = await connect(settings.temporal_address, settings.temporal_namespace)
    with ThreadPoolExecutor() as executor:
        workers = build_workers(client, settings, engine, executor)
    registered = {
        activity._Definition.must_from_callable(step).name
        for worker in workers
        for step in worker.config()["activities"]
    }
    taken = {step for name in PATHS for step in kept_facts(name)["steps"]}
    assert sorted(registered - taken - set(EXCUSED)) == [], (
        "no path comes to these steps: tell one in tests/paths that does, or excuse them in EXCUSED with the reason"
    )
    assert set(EXCUSED) <= registered - taken, "nothing to excuse"
    assert {file.stem for file in KEPT.glob("*.json")} == set(PATHS), "facts of a path that is not told any more"
