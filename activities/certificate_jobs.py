"""Waking the jobs of certificates that somebody else has changed: a refund, a hand-over, a wish that was only written
down. Of which workflow they are, is said by name alone."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.starts import reach_each
from models.identifiers import certificate_workflow_id
from models.listing import CERTIFICATE_SUMMARY, CERTIFICATE_WORKFLOW, certificate_attributes
from models.messages.certificates import CertificateStart
from models.tables import Certificate
from models.tables.columns import now

_SIGNAL = "facts_changed"


async def changed_certificates(session: AsyncSession, limit: int) -> list[UUID]:
    """The enrollments whose certificates another has changed, and whose job has not looked since; those that wait
    longest first."""
    since = func.min(col(Certificate.wakes_at))
    query = select(col(Certificate.enrollment_id)).where(col(Certificate.wakes_at) <= now())
    query = query.group_by(col(Certificate.enrollment_id)).order_by(since, col(Certificate.enrollment_id))
    return list((await session.execute(query.limit(limit))).scalars())


async def wake_certificates(client: Client, task_queue: str, enrollment_ids: Collection[UUID]) -> int:
    """Have the job of each of these enrollments look at their certificates; one that has ended is started again.

    How many were reached; the others are found by the next sweep.
    """
    return await reach_each(enrollment_ids, lambda each: _wake(client, task_queue, each), certificate_workflow_id)


async def _wake(client: Client, task_queue: str, enrollment_id: UUID) -> None:
    await client.start_workflow(
        CERTIFICATE_WORKFLOW,
        CertificateStart(enrollment_id=enrollment_id),
        id=certificate_workflow_id(enrollment_id),
        task_queue=task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=certificate_attributes(enrollment_id),
        static_summary=CERTIFICATE_SUMMARY,
        start_signal=_SIGNAL,
    )
