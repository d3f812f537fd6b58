"""What is to be watched names only what is counted."""

import json
import re
from pathlib import Path

import pytest
import temporalio.bridge

from activities import step_counts
from routes import job_gauges, record_gauges
from routes.metrics import SOURCE_UP, Metrics

ROOT = Path(__file__).parents[2]
ALERTS = (ROOT / "deploy" / "alerts.yml").read_text(encoding="utf-8")
DASHBOARD = json.loads((ROOT / "deploy" / "dashboard.json").read_text(encoding="utf-8"))
PRODUCTION = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")

_RULE = re.compile(
    r"      - alert: (?P<alert>Registrar\w+)\n"
    r"        expr: '(?P<expr>[^'\n]+)'\n"
    r"(?:        for: \d+[mh]\n)?"
    r"        labels: \{severity: (?:page|ticket)\}\n"
    r"        annotations:\n"
    r"          summary: '[^'\n]+'\n"
    r"          mend: '[^'\n]+'\n"
)
_HEAD = re.compile(r"(?:#[^\n]*\n)*groups:\n")
_GROUP = re.compile(r"  - name: [a-z-]+\n    rules:\n")
_METRIC = re.compile(r"\b(?:registrar|temporal)_[a-z_]+")
# As the page of a worker has shown them; they begin with `temporal_` there.
_OF_THE_SDK = {
    "activity_schedule_to_start_latency",
    "num_pollers",
    "request_failure",
    "request_latency",
    "worker_task_slots_available",
    "workflow_task_execution_failed",
    "workflow_task_schedule_to_start_latency",
}
_OF_HISTOGRAMS = ("_bucket", "_count", "_sum")

RULES = {match["alert"]: match["expr"] for match in _RULE.finditer(ALERTS)}
PANELS = {panel["title"]: panel["targets"][0]["expr"] for panel in DASHBOARD["panels"]}


def exposed() -> dict[str, tuple[str, ...]]:
    """Every metric of ours, with its labels."""
    api = Metrics()
    counted = (api.requests, api.latency, api.webhooks, api.refusals)
    return {
        **{gauge.name: gauge.labels for gauge in (*record_gauges.GAUGES, *job_gauges.GAUGES, SOURCE_UP)},
        **{
            family.name + ("_total" if family.type == "counter" else ""): metric._labelnames
            for metric in counted
            for family in metric.describe()
        },
        step_counts.FAILURES: ("error", "activity_type"),
        step_counts.STRIPE_ERRORS: ("type", "audience", "activity_type"),
        step_counts.MAIL_RESULTS: ("status", "activity_type"),
    }


def named(expressions: str) -> set[str]:
    return {name.removesuffix(end) for name in _METRIC.findall(expressions) for end in _ends(name)}


def _ends(name: str) -> tuple[str, ...]:
    return tuple(end for end in _OF_HISTOGRAMS if name.endswith(end)) or ("",)


def test_every_line_of_the_alerts_is_understood() -> None:
    assert len(RULES) > 20
    assert _GROUP.sub("", _RULE.sub("", _HEAD.sub("", ALERTS, count=1))) == ""


def test_alerts_and_panels_name_metrics_that_exist() -> None:
    known = exposed().keys() | {f"temporal_{name}" for name in _OF_THE_SDK}
    assert named("".join((*RULES.values(), *PANELS.values()))) <= known


def test_the_library_still_has_the_metrics_that_are_watched() -> None:
    [core] = Path(temporalio.bridge.__path__[0]).glob("temporal_sdk_bridge*")
    compiled = core.read_bytes()
    assert {name for name in _OF_THE_SDK if name.encode() not in compiled} == set()


@pytest.mark.parametrize("expression", [*RULES.values(), *PANELS.values()], ids=[*RULES, *PANELS])
def test_expressions_name_labels_that_exist(expression: str) -> None:
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")
    for name, chosen in re.findall(r"(registrar_[a-z_]+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)[=!]", chosen)) <= set(exposed()[name])
    [ours] = [exposed()[name] for name in named(expression) if name.startswith("registrar_")][:1] or [None]
    for grouped in re.findall(r"by \(([^)]*)\)", expression) if ours is not None else []:
        assert set(grouped.split(", ")) - {"le"} <= set(ours)


def test_production_tells_every_metric_of_ours_and_no_other() -> None:
    told = set(re.findall(r"^\| `(registrar_[a-z_]+)` \|", PRODUCTION, re.MULTILINE))
    assert told == set(exposed())
    assert named(PRODUCTION) - {name for name in named(PRODUCTION) if name.startswith("temporal_")} <= told


def test_production_tells_the_labels() -> None:
    for name, labels in re.findall(r"^\| `(registrar_[a-z_]+)` \| ([^|]*) \|", PRODUCTION, re.MULTILINE):
        assert set(re.findall(r"`(\w+)`", labels)) == set(exposed()[name]), name
