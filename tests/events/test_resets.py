"""Every job of a path is taken back to a moment of its history: nothing is charged, numbered or mailed a second time.

With `THOROUGH=1` every path, and every job of it to the end of each of its workflow tasks; without it some paths, and
of each job one moment, another one of each.
"""

import pytest

from schedules import SCHEDULES
from tests.events.resets import points_of, reset_each
from tests.events.watch import Watch
from tests.installation import Installation
from tests.paths import PATHS
from tests.paths.world import Facts, RestingScene, World
from tests.thoroughness import IS_THOROUGH

# Carts whose clock has run ahead would go on at the usual speed.
_NAMES = [name for name, path in PATHS.items() if not path.brings_workers][:: 1 if IS_THOROUGH else 8]


@pytest.mark.parametrize("name", _NAMES)
async def test_a_reset_repeats_nothing(name: str, idle_installation: Installation) -> None:
    installation = idle_installation
    world, watch = await World.before(installation), Watch(installation.temporal)
    scene = RestingScene(installation, interceptors=[watch], world=world)
    await PATHS[name].play(scene)
    # What looks at the record as it is now sees something else each time.
    looking = {each.workflow for each in SCHEDULES}
    before, jobs = await world.facts(), [workflow_id for kind, workflow_id in watch.jobs if kind not in looking]
    points = {job: await points_of(installation.temporal, job) for job in jobs}
    rounds = max(len(ends) for _, ends in points.values()) if IS_THOROUGH else 1
    async with scene.at_work():
        for number in range(rounds):
            points = {job: await points_of(installation.temporal, job) for job in jobs}
            chosen = {
                job: (run_id, ends[(number if IS_THOROUGH else place) % len(ends)])
                for place, (job, (run_id, ends)) in enumerate(points.items())
                if ends
            }
            await reset_each(installation.temporal, chosen)
            await world.comes_to_rest()
            assert _lasting(await world.facts()) == _lasting(before), chosen
            assert await world.wrongs() == []


def _lasting(facts: Facts) -> Facts:
    """Without the runs that a reset has ended, and what people are asked once more: only money is no question twice."""
    return {
        fact: count
        for fact, count in facts.items()
        if not fact.endswith(" terminated") and (not fact.startswith("human_tasks") or "pay_back" in fact)
    }
