"""What one run cost Temporal, read from its history."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

# The events that Temporal Cloud bills as one action each (docs.temporal.io/cloud/actions); local activities come extra.
_BILLED = (
    "WORKFLOW_EXECUTION_STARTED",
    "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
    "WORKFLOW_EXECUTION_SIGNALED",
    "ACTIVITY_TASK_SCHEDULED",
    "TIMER_STARTED",
    "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
    "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
)


@dataclass(frozen=True)
class HistoryCost:
    """One closed run."""

    events: dict[str, int]
    size_bytes: int
    longest_payload_bytes: int
    longest_payload_in: str
    workflow_tasks: int
    actions: int

    @property
    def total(self) -> int:
        return sum(self.events.values())


async def history_cost(client: Client, workflow_id: str) -> HistoryCost:
    """Read the whole history of the run."""
    handle = client.get_workflow_handle(workflow_id)
    events = [event async for event in handle.fetch_history_events()]
    described = await handle.describe()
    counts = Counter(_name(event) for event in events)
    # All local activities of one workflow task are one action.
    local = {
        event.marker_recorded_event_attributes.workflow_task_completed_event_id
        for event in events
        if event.marker_recorded_event_attributes.marker_name == "core_local_activity"
    }
    longest, where = max((len(payload.data), _name(event)) for event in events for payload in _payloads(event))
    return HistoryCost(
        events=dict(counts.most_common()),
        size_bytes=described.raw_description.workflow_execution_info.history_size_bytes,
        longest_payload_bytes=longest,
        longest_payload_in=where,
        workflow_tasks=counts["WORKFLOW_TASK_COMPLETED"],
        actions=sum(counts[name] for name in _BILLED) + len(local),
    )


def _name(event: HistoryEvent) -> str:
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")


def _payloads(message: Message) -> Iterator[Payload]:
    """Every payload in a message, however deep."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            parts = [part for part in value.values() if isinstance(part, Message)]
        elif isinstance(value, Message):
            parts = [value]
        else:
            parts = list(value)
        for part in parts:
            yield from _payloads(part)
