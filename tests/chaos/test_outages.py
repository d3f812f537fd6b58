"""Every call that a step makes outside fails once, as its port knows it: the world ends as if nothing had failed.

Stripe answers 500, 429 or 409, or not at all, before the request is carried out or after; the mail server refuses or is
lost before the 250 or after; a commit, a file or a call of Temporal is lost. `THOROUGH=1` plays every path, in as many
parts as each call needs to meet every way.
"""

import pytest

from tests.chaos.covering import enough_paths
from tests.chaos.effects import doors
from tests.chaos.outages import WAYS, Outages
from tests.installation import Installation
from tests.paths import PATHS
from tests.paths.world import RestingScene, World, kept_facts
from tests.thoroughness import IS_THOROUGH

_PARTS = max(len(ways) for ways in WAYS.values()) if IS_THOROUGH else 1


@pytest.mark.parametrize("part", range(_PARTS))
@pytest.mark.parametrize("name", enough_paths(("http", "mail")))
async def test_a_path_lives_through_an_outage_of_every_call(
    name: str, part: int, idle_installation: Installation
) -> None:
    world = await World.before(idle_installation)
    outages = Outages(begin_with=list(PATHS).index(name) + part)
    with doors():
        await PATHS[name].play(RestingScene(idle_installation, interceptors=[outages], world=world))
    assert await world.facts() == kept_facts(name)["world"], "it ends otherwise than an undisturbed play"
    assert await world.wrongs() == []
    for door in {door for through in kept_facts(name)["steps"].values() for door in through}:
        assert any(call.startswith(f"{door}: ") for call in outages.struck), f"nothing failed at {door}"
