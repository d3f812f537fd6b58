"""What each job may cost, and the page that says so."""

import json
from pathlib import Path

from schedules import SCHEDULES
from tests.cost.meter import JobCost

FILE = Path(__file__).parent / "budgets.json"
PAGE = Path(__file__).parents[2] / "docs" / "cost.md"
RENEW = "pytest tests/cost/record.py"

# News that come together are one workflow task, three events, and those that come apart are two.
TASKS_BY_CHANCE = 4
_EVENTS_OF_A_TASK = 3
_BYTES_OF_A_TASK = 400
_FOR_OTHERS = 6
# Times and ids are written with more or fewer digits.
_ROUNDED_TO = 100
_BEGIN, _END = "<!-- measured: begin -->\n", "<!-- measured: end -->"
_COLUMNS = {
    "events": "events",
    "workflow_tasks": "workflow tasks",
    "activities": "activities",
    "local_activities": "local",
    "timers": "timers",
    "children": "children",
    "messages": "messages",
    "actions": "actions",
    "history_bytes": "history, bytes",
    "longest_payload": "longest payload, bytes",
    "statements": "SQL statements",
    "transactions": "transactions",
    "mails": "mails",
}


def read_budgets() -> dict[str, JobCost]:
    """What each job may cost, by the name under which its path keeps it."""
    return {name: JobCost.model_validate(cost) for name, cost in json.loads(FILE.read_text()).items()}


def write_budgets(costs: dict[str, JobCost]) -> None:
    """Keep these, and write the table of the page anew."""
    lines = (f"  {json.dumps(name)}: {json.dumps(cost.model_dump())}" for name, cost in sorted(costs.items()))
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    PAGE.write_text(f"{before}{_BEGIN}{table(costs)}{_END}{rest.partition(_END)[2]}", encoding="utf-8")


def widest(one: JobCost, other: JobCost | None) -> JobCost:
    """The larger of two counts of the same job, each: what chance may make of it. Bytes are rounded up."""
    counts = {name: max(getattr(one, name), getattr(other or one, name)) for name in _COLUMNS}
    counts["history_bytes"] = -(-counts["history_bytes"] // _ROUNDED_TO) * _ROUNDED_TO
    return JobCost(workflow=one.workflow, **counts)


def what_is_over(cost: JobCost, budget: JobCost) -> list[str]:
    """In what the job costs more than it may, in words.

    What runs by itself looks at all that is there, also at what others have left.
    """
    looks_around = budget.workflow in {each.workflow for each in SCHEDULES}
    leeway = {
        "workflow_tasks": TASKS_BY_CHANCE,
        "events": TASKS_BY_CHANCE * _EVENTS_OF_A_TASK,
        "history_bytes": TASKS_BY_CHANCE * _BYTES_OF_A_TASK,
        "longest_payload": _ROUNDED_TO,
        "statements": _FOR_OTHERS if looks_around else 0,
        "transactions": _FOR_OTHERS if looks_around else 0,
    }
    return [
        f"{title}: {measured} where {allowed} were enough"
        for name, title in _COLUMNS.items()
        if (measured := getattr(cost, name)) > (allowed := getattr(budget, name)) + leeway.get(name, 0)
    ]


def table(costs: dict[str, JobCost]) -> str:
    """The table of the page: by workflow, and by path."""
    rows = [f"| job | {' | '.join(_COLUMNS.values())} |", f"|---|{'---|' * len(_COLUMNS)}"]
    by_workflow = sorted(costs.items(), key=lambda each: (each[1].workflow, each[0]))
    for workflow in dict.fromkeys(cost.workflow for _, cost in by_workflow):
        rows.append(f"| **`{workflow}`** |{' |' * len(_COLUMNS)}")
        for name, cost in by_workflow:
            if cost.workflow == workflow:
                rows.append(f"| {name.replace('_', ' ')} | {' | '.join(_shown(cost, each) for each in _COLUMNS)} |")
    return "\n".join(rows) + "\n"


def page_has(costs: dict[str, JobCost]) -> bool:
    """Whether the page shows what may be spent."""
    return table(costs) in PAGE.read_text(encoding="utf-8")


def _shown(cost: JobCost, column: str) -> str:
    return f"{getattr(cost, column):,}"
