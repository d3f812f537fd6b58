"""No job costs more than it has to: every path is played, and what its jobs ask for is counted.

Events, actions and statements are what Temporal and PostgreSQL are paid in; they grow unseen, a statement at a time.
"""

import pytest

from tests.cost.budgets import PAGE, RENEW, page_has, read_budgets, what_is_over
from tests.cost.meter import MEASURED, JobCost, Repeated, costs_of
from tests.installation import Installation
from tests.paths import PATHS
from tests.thoroughness import IS_THOROUGH
from worker import WORKFLOWS

BUDGETS = read_budgets()
# What a step asks again in the same transaction, and why.
ASKED_AGAIN = {
    Repeated(
        "compare_books", "SELECT pg_advisory_xact_lock(hashtext($1::VARCHAR)) AS pg_advisory_xact_lock_1"
    ): "the books are read anew under the lock that writing down what was found takes for every check",
}
# What Temporal suggests to begin a new run at, and what it refuses (docs/production.md).
_EVENTS, _BYTES, _PAYLOAD = 4_096, 4_000_000, 2_000_000


@pytest.mark.parametrize("name", MEASURED[:: 1 if IS_THOROUGH else 2])
async def test_a_path_costs_what_it_may(name: str, idle_installation: Installation) -> None:
    costs, asked = await costs_of(PATHS[name], idle_installation)
    unknown = costs.keys() - BUDGETS.keys()
    assert not unknown, f"nobody has measured {unknown}: `{RENEW}` does"
    over = {job: said for job, cost in costs.items() if (said := what_is_over(cost, BUDGETS[job]))}
    assert not over, f"{over}. If there is a good reason, `{RENEW}` measures all jobs anew"
    repeated = {again for again in asked.repeated if again not in ASKED_AGAIN}
    assert not repeated, f"{repeated}: asked before in the same transaction. If that is the point, ASKED_AGAIN says why"


def test_every_workflow_has_a_budget() -> None:
    missing = {job.__name__ for job in WORKFLOWS} - {budget.workflow for budget in BUDGETS.values()}
    assert not missing, f"no path reaches {missing}: tell one in tests/paths, and measure it with `{RENEW}`"


def test_the_page_shows_the_budgets() -> None:
    assert page_has(BUDGETS), f"{PAGE.name} is older than the budgets: `{RENEW}` writes both"


@pytest.mark.parametrize("job", BUDGETS)
def test_a_job_is_far_from_every_limit(job: str) -> None:
    """A tenth of what Temporal suggests to begin a new run at. What lives long is measured by itself, year by year."""
    budget = BUDGETS[job]
    assert budget.events * 10 < _EVENTS
    assert budget.history_bytes * 10 < _BYTES
    assert budget.longest_payload * 100 < _PAYLOAD


def test_more_of_anything_is_told() -> None:
    budget = BUDGETS["paid"]
    assert what_is_over(budget, budget) == []
    for column in JobCost.model_fields:
        if column != "workflow":
            dearer = budget.model_copy(update={column: getattr(budget, column) * 2 + 1 + 500})
            assert len(what_is_over(dearer, budget)) == 1, column
