"""A short run of `make chaos`, with processes that are really killed: one visit of each kind, and all is right."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.plan import Blow, small_plan
from chaos.soak import soak

SEED = 42


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: sockets have no room for long ones. Kept where something is wrong."""
    made = Path(tempfile.mkdtemp(prefix="registrar-chaos-"))
    yield made
    if not (made / "stack" / "histories").exists():
        shutil.rmtree(made, ignore_errors=True)


@pytest.mark.timeout(600)
async def test_everything_is_right_after_a_short_run(folder: Path) -> None:
    plan = small_plan(SEED)
    told: list[str] = []
    outcome = await soak(plan, folder, told.append)
    assert outcome.wrong == [], f"python -m chaos --small --seed {SEED} plays it again; this one is kept in {folder}"
    assert sum(outcome.deeds.values()) == len(plan.visits), told
    assert outcome.struck[Blow.KILL_WORKER] == outcome.struck[Blow.CRASH_POSTGRES] == 1
    assert outcome.jobs["OrderWorkflow", "completed"] > 0
