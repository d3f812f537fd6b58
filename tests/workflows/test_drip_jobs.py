"""Waking the jobs of enrollments on a real server, without a worker: nobody stands in another's way."""

from typing import Any
from uuid import UUID

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.drip_jobs import DripJob, rouse_jobs, start_jobs, wake_jobs
from models import search
from models.identifiers import drip_workflow_id, new_id

QUEUE = "nobody-polls"
_SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


class _Full(Interceptor):
    """A server that takes nothing more for one of the jobs."""

    def __init__(self, full: UUID) -> None:
        self.full = drip_workflow_id(full)

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - as it is called
        full = self.full

        class Refusing(OutboundInterceptor):
            async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002
                if input.id == full:
                    raise RPCError("too many signals", RPCStatusCode.INVALID_ARGUMENT, b"")
                return await super().start_workflow(input)

        return Refusing(next)


async def signals(client: Client, job: DripJob) -> int:
    """How many its run has been sent."""
    history = await client.get_workflow_handle(drip_workflow_id(job.enrollment_id)).fetch_history()
    return sum(event.event_type == _SIGNALED for event in history.events)


async def test_who_has_news_that_no_worker_has_taken_gets_no_more_of_them(real_temporal: Client) -> None:
    client, job = real_temporal, DripJob(new_id(), new_id())
    for _ in range(3):
        assert await rouse_jobs(client, QUEUE, [job]) == 1
    assert await signals(client, job) == 1
    # A message about something that has just changed is never left out.
    await wake_jobs(client, QUEUE, [job])
    assert await signals(client, job) == 2
    handle = client.get_workflow_handle(drip_workflow_id(job.enrollment_id))
    listed = (await handle.describe()).typed_search_attributes
    assert (listed.get(search.COURSE_ID), listed.get(search.ENROLLMENT_ID)) == (
        [str(job.course_id)], str(job.enrollment_id),
    )  # fmt: skip
    await handle.terminate()
    assert await rouse_jobs(client, QUEUE, [job]) == 1
    assert await signals(client, job) == 1
    await handle.terminate()


async def test_one_that_cannot_be_reached_stops_no_other(real_temporal: Client) -> None:
    jobs = [DripJob(new_id(), new_id()) for _ in range(30)]
    full = _Full(jobs[3].enrollment_id)
    client = Client(real_temporal.service_client, interceptors=[full], data_converter=real_temporal.data_converter)
    assert await rouse_jobs(client, QUEUE, jobs) == 29
    await wake_jobs(client, QUEUE, jobs)
    assert await signals(client, jobs[-1]) == 2
    with pytest.raises(ApplicationError, match="1 jobs were not started"):
        await start_jobs(client, QUEUE, jobs)
    for job in (*jobs[:3], *jobs[4:]):
        await client.get_workflow_handle(drip_workflow_id(job.enrollment_id)).terminate()
