"""Every payload of a saved history, with the type that it has today."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.message import Message as Proto
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter

from models import search
from tests.replay.messages import Said, spoken

CONVERTER = pydantic_data_converter.payload_converter
HISTORIES = Path(__file__).parent / "histories"

# What no workflow says any more, by the release that took it away: ("activity", "name"): "0.8.0".
GONE: Mapping[tuple[str, str], str] = {}

UNTYPED: object = Any


class UnknownMessageError(Exception):
    """A history says something that nobody understands today."""


@dataclass(frozen=True)
class Saved:
    """One history: its events, and what they refer to."""

    events: tuple[HistoryEvent, ...]
    workflow: str

    def event(self, number: int) -> HistoryEvent:
        """The event with that id."""
        return self.events[number - 1]


@dataclass(frozen=True)
class Found:
    """One payload: where it stands, and the types of which it has to be one."""

    event: HistoryEvent
    place: str
    payload: Payload
    types: tuple[object, ...]


def read(file: Path) -> Saved:
    """The history in that file."""
    events = tuple(WorkflowHistory.from_json("saved", file.read_text()).events)
    return Saved(events, events[0].workflow_execution_started_event_attributes.workflow_type.name)


def payloads(saved: Saved) -> Iterator[Found]:
    """Each of them. Raises `UnknownMessageError` for a message that there is no more, or a place nobody knows."""
    for event in saved.events:
        for place, payload in _within(event, ""):
            types = _types(saved, event, place)
            if types:
                yield Found(event, place, payload, types)


def _within(message: Proto, before: str) -> Iterator[tuple[str, Payload]]:
    for field, value in message.ListFields():
        place = f"{before}.{field.name}" if before else field.name
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if isinstance(next(iter(value.values()), None), Proto):
                for key in value:
                    yield from _payload_or_within(value[key], f"{place}[{key}]")
        elif isinstance(value, Proto):
            yield from _payload_or_within(value, place)
        else:
            for number, each in enumerate(value):
                yield from _payload_or_within(each, f"{place}[{number}]")


def _payload_or_within(message: Proto, place: str) -> Iterator[tuple[str, Payload]]:
    if isinstance(message, Payload):
        yield place, message
    else:
        yield from _within(message, place)


# ---- which place has which type ----


def _types(saved: Saved, event: HistoryEvent, place: str) -> tuple[object, ...]:
    """None of what is no longer there on purpose."""
    for pattern, types_of in _PLACES:
        if match := re.fullmatch(pattern, place):
            return types_of(saved, event, match)
    raise UnknownMessageError(f"nobody knows what stands at {place}: say so in tests/replay/payloads.py")


def _argument(kind: str, name: str, number: int) -> tuple[object, ...]:
    said = _said(kind, name)
    if said is None:
        return ()
    if number >= len(said.takes):
        raise UnknownMessageError(f"{kind} {name} was told {number + 1} things, and takes {len(said.takes)} today")
    return (said.takes[number],)


def _answer(kind: str, name: str) -> tuple[object, ...]:
    said = _said(kind, name)
    return () if said is None else (said.answer,)


def _said(kind: str, name: str) -> Said | None:
    if (kind, name) in spoken():
        return spoken()[kind, name]
    if (kind, name) in GONE:
        return None
    raise UnknownMessageError(
        f"the {kind} {name} is no more, but sleeping jobs still know it: bring it back, or, where surely none is left, "
        "list it in `GONE` (tests/replay/payloads.py) with the release that took it away"
    )


def _of_signal_elsewhere(_: Saved, event: HistoryEvent, match: re.Match[str]) -> tuple[object, ...]:
    """The history does not tell what kind of workflow was signaled: it has to be one that takes it."""
    name = event.signal_external_workflow_execution_initiated_event_attributes.signal_name
    takers = [said for (kind, known), said in spoken().items() if kind == "signal" and known.endswith(f".{name}")]
    if not takers:
        return _argument("signal", f"*.{name}", int(match["number"]))
    return tuple(said.takes[0] for said in takers if said.takes)


def _step_of(saved: Saved, scheduled: int) -> str:
    return saved.event(scheduled).activity_task_scheduled_event_attributes.activity_type.name


def _update_of(saved: Saved, accepted: int) -> str:
    attributes = saved.event(accepted).workflow_execution_update_accepted_event_attributes
    return f"{saved.workflow}.{attributes.accepted_request.input.name}"


def _local_step(event: HistoryEvent) -> str:
    told = event.marker_recorded_event_attributes.details["data"].payloads[0]
    return str(json.loads(told.data)["activity_type"])


@cache
def _attribute_types() -> Mapping[str, object]:
    return {key.name: key.value_type for key in search.ALL}


def _search_attribute(_: Saved, __: HistoryEvent, match: re.Match[str]) -> tuple[object, ...]:
    name = match["name"]
    if name in _attribute_types():
        return (_attribute_types()[name],)
    if name.startswith("Registrar"):
        raise UnknownMessageError(f"the search attribute {name} is no more (models/search.py)")
    return ()  # the server's own


def _plain(*types: object) -> "_TypesOf":
    return lambda saved, event, match: types


_TypesOf = Callable[[Saved, HistoryEvent, "re.Match[str]"], tuple[object, ...]]
_NUMBERED = r"payloads\[(?P<number>\d+)\]"
_STARTED, _SIGNALED = "workflow_execution_started_event_attributes", "workflow_execution_signaled_event_attributes"
_ANEW = "workflow_execution_continued_as_new_event_attributes"
_SCHEDULED, _STEP_DONE = "activity_task_scheduled_event_attributes", "activity_task_completed_event_attributes"
_CHILD, _CHILD_DONE = (
    "start_child_workflow_execution_initiated_event_attributes",
    "child_workflow_execution_completed_event_attributes",
)
_ACCEPTED = "workflow_execution_update_accepted_event_attributes"
_ANSWERED = "workflow_execution_update_completed_event_attributes"
_PLACES: tuple[tuple[str, _TypesOf], ...] = (
    (r".*search_attributes\.indexed_fields\[(?P<name>\w+)\]", _search_attribute),
    (r"user_metadata\.(summary|details)", _plain(str)),
    # Words for operators: nothing of ours reads them again.
    (r".*failure(\.cause)*\..*(details|encoded_attributes).*", _plain(UNTYPED)),
    (
        rf"{_STARTED}\.input\.{_NUMBERED}",
        lambda saved, event, match: _argument("workflow", saved.workflow, int(match["number"])),
    ),
    (rf"{_STARTED}\.last_completion_result\..*", lambda saved, event, match: _answer("workflow", saved.workflow)),
    (
        rf"workflow_execution_completed_event_attributes\.result\.{_NUMBERED}",
        lambda saved, event, match: _answer("workflow", saved.workflow),
    ),
    (
        rf"{_ANEW}\.input\.{_NUMBERED}",
        lambda saved, event, match: _argument(
            "workflow",
            event.workflow_execution_continued_as_new_event_attributes.workflow_type.name,
            int(match["number"]),
        ),
    ),
    (
        rf"{_SIGNALED}\.input\.{_NUMBERED}",
        lambda saved, event, match: _argument(
            "signal",
            f"{saved.workflow}.{event.workflow_execution_signaled_event_attributes.signal_name}",
            int(match["number"]),
        ),
    ),
    (rf"signal_external_workflow_execution_initiated_event_attributes\.input\.{_NUMBERED}", _of_signal_elsewhere),
    (
        rf"{_SCHEDULED}\.input\.{_NUMBERED}",
        lambda saved, event, match: _argument("activity", _step_of(saved, event.event_id), int(match["number"])),
    ),
    (
        rf"{_STEP_DONE}\.result\.{_NUMBERED}",
        lambda saved, event, match: _answer(
            "activity", _step_of(saved, event.activity_task_completed_event_attributes.scheduled_event_id)
        ),
    ),
    (
        rf"marker_recorded_event_attributes\.details\[result\]\.{_NUMBERED}",
        lambda saved, event, match: _answer("activity", _local_step(event)),
    ),
    # The server's notes on a local activity or a patch.
    (r"marker_recorded_event_attributes\.details\[(data|patch-data)\]\..*", _plain(UNTYPED)),
    (
        rf"{_CHILD}\.input\.{_NUMBERED}",
        lambda saved, event, match: _argument(
            "workflow",
            event.start_child_workflow_execution_initiated_event_attributes.workflow_type.name,
            int(match["number"]),
        ),
    ),
    (
        rf"{_CHILD_DONE}\.result\.{_NUMBERED}",
        lambda saved, event, match: _answer(
            "workflow", event.child_workflow_execution_completed_event_attributes.workflow_type.name
        ),
    ),
    (
        rf"{_ACCEPTED}\.accepted_request\.input\.args\.{_NUMBERED}",
        lambda saved, event, match: _argument("update", _update_of(saved, event.event_id), int(match["number"])),
    ),
    (
        rf"{_ANSWERED}\.outcome\.success\.{_NUMBERED}",
        lambda saved, event, match: _answer(
            "update", _update_of(saved, event.workflow_execution_update_completed_event_attributes.accepted_event_id)
        ),
    ),
)
