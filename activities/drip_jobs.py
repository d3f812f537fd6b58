"""Starting and waking the jobs that follow enrollments. Of which workflow they are, is said by name alone."""

import asyncio
from collections.abc import Collection
from datetime import timedelta
from itertools import islice
from uuid import UUID

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from models.identifiers import drip_workflow_id
from models.listing import DRIP_SUMMARY, DRIP_WORKFLOW, drip_attributes
from models.messages.learning import DripStart

_SIGNAL = "replan"
_AT_ONCE = 20
_PATIENCE = timedelta(seconds=10)


async def start_jobs(client: Client, task_queue: str, enrollment_ids: Collection[UUID]) -> None:
    """Have a job follow each of these enrollments. One that is there already goes on undisturbed."""
    await _for_each(client, task_queue, enrollment_ids, signal=None)


async def wake_jobs(client: Client, task_queue: str, enrollment_ids: Collection[UUID]) -> None:
    """Have the job of each of these enrollments look at it again; one that has ended, or never was, is started."""
    await _for_each(client, task_queue, enrollment_ids, signal=_SIGNAL)


async def _for_each(client: Client, task_queue: str, enrollment_ids: Collection[UUID], signal: str | None) -> None:
    left = iter(enrollment_ids)
    while batch := list(islice(left, _AT_ONCE)):
        await asyncio.gather(*(_start(client, task_queue, each, signal) for each in batch))


async def _start(client: Client, task_queue: str, enrollment_id: UUID, signal: str | None) -> None:
    await client.start_workflow(
        DRIP_WORKFLOW,
        DripStart(enrollment_id=enrollment_id),
        id=drip_workflow_id(enrollment_id),
        task_queue=task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=drip_attributes(enrollment_id),
        static_summary=DRIP_SUMMARY,
        start_signal=signal,
        rpc_timeout=_PATIENCE,
    )
