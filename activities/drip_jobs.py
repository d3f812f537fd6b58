"""Starting and waking the jobs that follow enrollments. Of which workflow they are, is said by name alone."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.starts import reach_each
from models.identifiers import drip_workflow_id
from models.listing import DRIP_SUMMARY, DRIP_WORKFLOW, drip_attributes
from models.messages.learning import DripStart

_SIGNAL = "replan"


@dataclass(frozen=True)
class DripJob:
    """The job of an enrollment in this course."""

    enrollment_id: UUID
    course_id: UUID


async def start_jobs(client: Client, task_queue: str, jobs: Collection[DripJob]) -> None:
    """Have a job follow each of these enrollments. One that is there already goes on undisturbed.

    Raises `ApplicationError`, to be repeated, if some were not reached; the others are started all the same.
    """
    started = await reach_each(jobs, lambda job: _start(client, task_queue, job, signal=None), _named)
    if started < len(jobs):
        raise ApplicationError(f"{len(jobs) - started} jobs were not started", type="jobs_not_started")


async def wake_jobs(client: Client, task_queue: str, jobs: Collection[DripJob]) -> None:
    """Have each of these jobs look at its enrollment again; one that has ended, or never was, is started.

    One that is not reached is left to the sweep.
    """
    await reach_each(jobs, lambda job: _start(client, task_queue, job, signal=_SIGNAL), _named)


async def rouse_jobs(client: Client, task_queue: str, jobs: Collection[DripJob]) -> int:
    """How many of these jobs, which are late, were reached: they look at their enrollments again, or are started.

    One that has news which no worker has taken yet gets no more: a run hears ten thousand signals at most.
    """

    async def rouse(job: DripJob) -> None:
        if not await _has_unread_news(client, job):
            await _start(client, task_queue, job, signal=_SIGNAL)

    return await reach_each(jobs, rouse, _named)


async def _has_unread_news(client: Client, job: DripJob) -> bool:
    """Whether it runs, and waits for a worker already."""
    handle = client.get_workflow_handle(drip_workflow_id(job.enrollment_id))
    try:
        found = await handle.describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    is_running = found.status is WorkflowExecutionStatus.RUNNING
    return is_running and found.raw_description.HasField("pending_workflow_task")


async def _start(client: Client, task_queue: str, job: DripJob, signal: str | None) -> None:
    await client.start_workflow(
        DRIP_WORKFLOW,
        DripStart(enrollment_id=job.enrollment_id),
        id=drip_workflow_id(job.enrollment_id),
        task_queue=task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=drip_attributes(job.enrollment_id, job.course_id),
        static_summary=DRIP_SUMMARY,
        start_signal=signal,
    )


def _named(job: DripJob) -> str:
    return drip_workflow_id(job.enrollment_id)
