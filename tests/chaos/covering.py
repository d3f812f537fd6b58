"""Which paths are enough to come to every step."""

import os
from collections.abc import Collection

from tests.paths import PATHS
from tests.paths.world import KEPT, kept_facts
from tests.thoroughness import IS_THOROUGH

KEEPS = os.environ.get("KEEP_FACTS") == "1"


def enough_paths(doors: Collection[str] | None = None) -> list[str]:
    """The paths to play: all if there is time; otherwise one after another that comes to the most steps that are new.

    With `doors` only what goes through these counts. A path of which nothing is known yet is always among them.
    """
    if IS_THOROUGH or KEEPS:
        return list(PATHS)
    known = [name for name in PATHS if (KEPT / f"{name}.json").exists()]
    chosen = [name for name in PATHS if name not in known]
    comes_to = {name: _points(name, doors) for name in known}
    left = set().union(*comes_to.values())
    while left:
        best = max(known, key=lambda name: len(comes_to[name] & left))
        chosen.append(best)
        left -= comes_to[best]
    return [name for name in PATHS if name in chosen]


def _points(name: str, doors: Collection[str] | None) -> set[tuple[str, str]]:
    steps = kept_facts(name)["steps"]
    if doors is None:
        return {(step, "") for step in steps}
    return {(step, door) for step, through in steps.items() for door in through if door in doors}
