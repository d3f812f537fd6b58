"""The saved histories, and what they are cut into."""

import json
from collections.abc import Sequence
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

FOLDER = Path(__file__).parent / "histories"
SAVED = sorted(FOLDER.glob("*/*.json"))


def release_of(file: Path) -> tuple[int, ...]:
    """The release that has saved it, such as (0, 7, 0)."""
    return tuple(int(part) for part in file.parent.name.split("."))


LATEST = max(map(release_of, SAVED))


def history_of(file: Path) -> WorkflowHistory:
    """One as it was saved. Ids of tasks, refunds and mails are made from the workflow's own, so it is needed."""
    saved = file.read_text()
    started = json.loads(saved)["events"][0]["workflowExecutionStartedEventAttributes"]
    return WorkflowHistory.from_json(started["workflowId"], saved)


def job_of(history: WorkflowHistory) -> str:
    """Its workflow type."""
    return str(history.events[0].workflow_execution_started_event_attributes.workflow_type.name)


def is_open(history: WorkflowHistory) -> bool:
    """Whether its job was not over when it was saved."""
    return history.events[-1].event_type not in (
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
    )


def wakings(history: WorkflowHistory) -> Sequence[int]:
    """How many events there were each time that a worker took the job in hand."""
    started = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
    return [event.event_id for event in history.events if event.event_type == started]


def up_to(history: WorkflowHistory, events: int) -> WorkflowHistory:
    """The same job when it was as young as this many events."""
    return WorkflowHistory(history.workflow_id, history.events[:events])


def chosen(places: Sequence[int], most: int) -> Sequence[int]:
    """At most so many of them, evenly, the first and the last among them."""
    if len(places) <= most:
        return places
    return [places[round(number * (len(places) - 1) / (most - 1))] for number in range(most)]
