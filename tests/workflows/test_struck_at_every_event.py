"""Canceled, terminated, reset or forgotten at every event of every path: the ledger is right, or it shows what is not.

A case that fails names the job, the path, the number and the name of the event, and what struck; `struck` plays it
again. With `THOROUGH=1` everything strikes at every event; else at the first of those that are the same, such as the
looks at a payment, and the sorts of cancellations take turns.
"""

import pytest

from tests.thoroughness import IS_THOROUGH
from tests.workflows import money_scenes, other_scenes
from tests.workflows.strikes import Path, strikes_of, struck
from worker import WORKFLOWS

PATHS = (*money_scenes.PATHS, *other_scenes.PATHS)


def test_every_job_has_a_path() -> None:
    jobs = {cls.__temporal_workflow_definition.name for cls in WORKFLOWS}  # type: ignore[attr-defined]
    missing = jobs - {path.workflow for path in PATHS}
    assert not missing, (
        f"no path of {', '.join(sorted(missing))} is struck: add one to PATHS in tests/workflows/money_scenes.py if it "
        "moves money, else in other_scenes.py; a job that only does its steps goes into the list of `_plain`"
    )


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.workflow}-{path.name}".replace(" ", "_"))
def test_whatever_strikes_the_ledger_is_right_or_shows_what_is_not(path: Path) -> None:
    found = []
    for strike, at, event in strikes_of(path, is_thorough=IS_THOROUGH):
        try:
            wrongs = struck(path, strike, at)
        except AssertionError as error:
            wrongs = [str(error)[:500]]
        found += [f"{strike} event {at} ({event}): {wrong}" for wrong in wrongs]
    assert not found, f"{path.workflow}, {path.name}:\n" + "\n".join(found)
