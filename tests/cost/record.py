"""Measures what every job costs: `pytest tests/cost/record.py` writes `budgets.json` and the table of docs/cost.md.

Not collected by default. Each path is played twice, and the larger counts are kept: disputes, for one, ask Stripe as
often as it tells them something. Run it in one process, and read the difference before it is committed.
"""

from collections.abc import Iterator

import pytest

from tests.cost.budgets import widest, write_budgets
from tests.cost.meter import MEASURED, JobCost, costs_of
from tests.installation import Installation
from tests.paths import PATHS


@pytest.fixture(scope="module")
def costs() -> Iterator[dict[str, JobCost]]:
    measured: dict[str, JobCost] = {}
    yield measured
    write_budgets(measured)


@pytest.mark.parametrize("time", [1, 2])
@pytest.mark.parametrize("name", MEASURED)
async def test_measure(name: str, time: int, idle_installation: Installation, costs: dict[str, JobCost]) -> None:
    measured, _ = await costs_of(PATHS[name], idle_installation)
    for job, cost in measured.items():
        costs[job] = widest(cost, costs.get(job))
