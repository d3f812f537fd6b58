"""What operators see of a job in the Web UI: every message explained, every step, timer and start summed up.

That a job which stands still says why, and what can be done, is checked wherever one is simulated (`simulation.py`).
"""

import ast
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from temporalio import workflow

from models import search
from models.vocabulary import WaitingFor
from worker import WORKFLOWS

ROOT = Path(__file__).parents[2]
RELEASE = max((ROOT / "tests" / "replay" / "histories").iterdir())
JOBS = [workflow._Definition.must_from_class(job) for job in WORKFLOWS]

# Whoever starts a job answers for what it is listed by.
_COMMANDS = {
    "execute_activity": {"summary"}, "execute_activity_method": {"summary"}, "start_activity": {"summary"},
    "start_activity_method": {"summary"}, "execute_local_activity": {"summary"},
    "execute_local_activity_method": {"summary"}, "start_local_activity": {"summary"},
    "start_local_activity_method": {"summary"}, "execute_child_workflow": {"static_summary", "search_attributes"},
    "start_child_workflow": {"static_summary", "search_attributes"}, "sleep": {"summary"},
    "start_workflow": {"static_summary", "search_attributes"},
    "execute_workflow": {"static_summary", "search_attributes"},
    "WithStartWorkflowOperation": {"static_summary", "search_attributes"},
    "ScheduleActionStartWorkflow": {"static_summary", "typed_search_attributes"},
}  # fmt: skip
_PACKAGES = ("activities", "routes", "workflows")
# What the API alone sends, with the start.
_ONLY_IN_WORKFLOWS = {"sleep", "execute_activity"}
_BY_THE_API = ("OrderWorkflow.checkout", "RefundWorkflow.request", "TutorApplicationWorkflow.begin")
_BY_SCHEDULES = {"TemporalScheduledById", "TemporalScheduledStartTime"}
_NOTHING = base64.b64encode(f'"{WaitingFor.NOTHING}"'.encode()).decode()
_SUMMED_UP = {
    "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED",
    "EVENT_TYPE_TIMER_STARTED",
    "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED",
    "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
}


def messages() -> Iterator[tuple[str, str | None, list[type] | None]]:
    """Every signal, query and update of every job: its name, its description, and what it takes."""
    for job in JOBS:
        for kind in (job.signals, job.queries, job.updates):
            for name, message in kind.items():
                yield f"{job.name}.{name}", message.description, message.arg_types


def fields_of(takes: type) -> dict[str, FieldInfo]:
    """The fields of the JSON of a message, which may be left out as a whole."""
    [model] = [each for each in get_args(takes) or (takes,) if each is not type(None)]
    assert issubclass(model, BaseModel)
    return model.model_fields


@pytest.mark.parametrize(("name", "description", "takes"), [pytest.param(*each, id=each[0]) for each in messages()])
def test_every_message_is_described_with_the_json_that_it_takes(
    name: str, description: str | None, takes: list[type] | None
) -> None:
    assert description, f"{name} has no description"
    if takes and not name.endswith(_BY_THE_API):
        told = set(re.findall(r"(\w+): ", description))
        fields = fields_of(takes[0])
        required = {key for key, field in fields.items() if field.is_required()}
        assert required <= told, f"{name} does not tell of {required - told}"
        assert "actor" not in fields or "actor" in told


@pytest.mark.parametrize("job", JOBS, ids=lambda job: str(job.name))
def test_every_job_can_be_asked_how_it_stands(job: workflow._Definition) -> None:
    assert {"status", "progress"} & set(job.queries)


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """The calls of a file, by the last part of what is called."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.value if isinstance(node.func, ast.Subscript) else node.func
            yield (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")), node


def test_every_command_and_every_start_is_summed_up() -> None:
    told = 0
    for file in [ROOT / "schedules.py", *(each for name in _PACKAGES for each in (ROOT / name).glob("*.py"))]:
        for called, call in calls(file):
            given = {keyword.arg for keyword in call.keywords}
            if file.parent.name != "workflows" and called in _ONLY_IN_WORKFLOWS:
                continue
            if called == "wait_condition" and "timeout" in given:
                assert "timeout_summary" in given, f"{file.name}, line {call.lineno}"
            missing = _COMMANDS.get(called, set()) - given
            assert not missing, f"{file.name}, line {call.lineno}: {called} without {missing}"
            told += called in _COMMANDS
    assert told > 50


@pytest.mark.parametrize("file", sorted(RELEASE.glob("*.json")), ids=lambda file: file.stem)
def test_histories_tell_their_story(file: Path) -> None:
    events = json.loads(file.read_text(encoding="utf-8"))["events"]
    for event in events:
        if event["eventType"] in _SUMMED_UP:
            assert event.get("userMetadata", {}).get("summary"), f"{event['eventType']} {event['eventId']}"
    started = events[0]["workflowExecutionStartedEventAttributes"]
    listed = started["searchAttributes"]["indexedFields"]
    assert {search.JOB.name} <= set(listed) <= {key.name for key in search.ALL} | _BY_SCHEDULES


def test_a_job_that_is_over_is_not_listed_as_waiting() -> None:
    """Except for those that ended on a person's desk, such as an order whose mail is unknown."""
    for file in RELEASE.glob("*.json"):
        events = json.loads(file.read_text(encoding="utf-8"))["events"]
        if events[-1]["eventType"] != "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED":
            continue
        listed = dict(events[0]["workflowExecutionStartedEventAttributes"]["searchAttributes"]["indexedFields"])
        for event in events:
            changed = event.get("upsertWorkflowSearchAttributesEventAttributes")
            listed |= changed["searchAttributes"]["indexedFields"] if changed else {}
        waiting = listed.get(search.WAITING_FOR.name, {}).get("data")
        assert waiting in (None, _NOTHING), f"{file.stem} is over and waits"
