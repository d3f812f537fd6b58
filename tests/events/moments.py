"""At which moments a path can be struck: wherever an event, or some that are written together, has been added."""

import json
from itertools import pairwise
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from tests.events.watch import Moment, Watch

FILE = Path(__file__).parent / "moments.json"
RENEW = "pytest tests/events/record.py"
# Written with the event before it, so nobody sees a history that ends there.
_WITH_THE_LAST = frozenset(
    {
        EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    }
)


async def moments_of(temporal: Client, watch: Watch) -> list[Moment]:
    """The moments of all jobs that a watch has seen begin, without those at which they are over."""
    found, numbers = [], dict[str, int]()
    for workflow_type, workflow_id in watch.jobs:
        nth = numbers[workflow_type] = numbers.get(workflow_type, -1) + 1
        history = await temporal.get_workflow_handle(workflow_id).fetch_history()
        found += [
            Moment(workflow_type, nth, event.event_id)
            for event, following in pairwise(history.events)
            if not _are_one(event, following)
        ]
    return found


def _are_one(event: HistoryEvent, following: HistoryEvent) -> bool:
    """Whether the server has written both at once: what a workflow task has decided belongs to its end."""
    return following.event_type in _WITH_THE_LAST or (
        event.event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
        and event.task_id + 1 == following.task_id
        and event.event_time == following.event_time
    )


def read_moments() -> dict[str, list[Moment]]:
    """The moments of each path, as they were when it was last recorded."""
    return {
        path: [Moment(job, nth, event_id) for job, nth, events in jobs for event_id in events]
        for path, jobs in json.loads(FILE.read_text()).items()
    }


def write_moments(moments: dict[str, list[Moment]]) -> None:
    """Keep the moments of each path, a line for a job."""
    paths = []
    for path, found in sorted(moments.items()):
        jobs = dict[tuple[str, int], list[int]]()
        for moment in found:
            jobs.setdefault((moment.workflow, moment.nth), []).append(moment.event_id)
        lines = ",\n".join(f"    {json.dumps([job, nth, events])}" for (job, nth), events in jobs.items())
        paths.append(f"  {json.dumps(path)}: [\n{lines}\n  ]")
    FILE.write_text("{\n" + ",\n".join(paths) + "\n}\n")
