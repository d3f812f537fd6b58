"""Finds at which moments each path can be struck: `pytest tests/events/record.py` writes `moments.json`.

Not collected by default.
"""

from collections.abc import Iterator

import pytest

from tests.events.moments import moments_of, write_moments
from tests.events.watch import Moment, Watch
from tests.installation import Installation
from tests.paths import PATHS
from tests.paths.world import RestingScene, World


@pytest.fixture(scope="module")
def moments() -> Iterator[dict[str, list[Moment]]]:
    found: dict[str, list[Moment]] = {}
    yield found
    write_moments(found)


@pytest.mark.parametrize("name", PATHS)
async def test_find(name: str, idle_installation: Installation, moments: dict[str, list[Moment]]) -> None:
    world, watch = await World.before(idle_installation), Watch(idle_installation.temporal)
    await PATHS[name].play(RestingScene(idle_installation, interceptors=[watch], world=world))
    moments[name] = await moments_of(idle_installation.temporal, watch)
