"""The steps of a run that certifies many learners: written down first, page by page, and closed with a workbook."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, func, insert, literal, select, update
from sqlalchemy import values as table_of
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, column
from temporalio import activity
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
)
from temporalio.common import (
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.audit import StateChange, write_audit
from activities.certificate_eligibility import (
    MAX_LEARNERS,
    BatchSelection,
    Standing,
    chosen,
    refused_run,
    standings_of_all,
)
from activities.certificate_workbook import lines_to_show, workbook_of
from activities.database import Sessions
from activities.files import FileStore
from activities.spreadsheet_cells import WORKBOOK_MEDIA_TYPE
from activities.starts import leave_no_start_unread
from models.errors import Reason
from models.identifiers import certificate_batch_workflow_id, certificate_workflow_id
from models.listing import CERTIFICATE_SUMMARY, CERTIFICATE_WORKFLOW, certificate_attributes
from models.messages.certificates import (
    BatchBegun,
    BatchPage,
    BatchPageDone,
    BatchRequest,
    CertificateAnswer,
    CertificateStart,
    EndBatch,
)
from models.tables import Certificate, CertificateBatch, CertificateBatchLine, Course, Enrollment
from models.tables.columns import now
from models.vocabulary import BatchOutcome, BatchStatus, CertificateOrigin
from rules.decision import Refused

CERTIFICATE_BATCH = "certificate_batch"

_AT_ONCE = 20
_ATTEMPTS = 5
_PATIENCE = timedelta(seconds=60)
_ISSUE = "issue"

_log = logging.getLogger("registrar.certificates")


def workbook_key(batch_id: UUID) -> str:
    """Where the result of a run is kept."""
    return f"certificate-batches/{batch_id}.xlsx"


class NotIssuedYetError(ApplicationError):
    """The record says of learners who had their turn that nothing stands between, and yet they have no certificate."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} certificates are still to be issued", type="not_issued_yet")


@dataclass
class CertificateBatchActivities:
    """Steps of a run. Each may be repeated: a learner with an outcome is passed over.

    `task_queue` is where the workflows of certificates run.
    """

    sessions: Sessions
    files: FileStore
    task_queue: str = "registrar"

    @activity.defn
    async def begin_batch(self, request: BatchRequest) -> BatchBegun:
        """Write down whom it is for, in the order of their enrollment, or in that of the list.

        Refused with `unknown_course`, `not_found` (a listed enrollment is not of this course) and `invalid_request`
        (nobody, or more than 10,000).
        """
        async with self.sessions() as session:
            begun = await _begin(session, request)
            if isinstance(begun, Refused):
                await session.rollback()
                return BatchBegun(batch_id=request.batch_id, refusal=begun.reason, refusal_detail=begun.detail)
            await session.commit()
            return BatchBegun(batch_id=request.batch_id, total=begun)

    @activity.defn
    async def issue_page(self, page: BatchPage) -> BatchPageDone:
        """Have the workflow of each of the next learners issue what is due, twenty at a time, and write down what the
        record says of them then.

        Raises `NotIssuedYetError`, and what the server says if it cannot be reached: who had their turn keeps it. The
        fifth attempt passes over whoever is still not certified, as `waiting` without a ground: one workflow that does
        not answer holds up nobody else. An outage has nobody passed over, however long it lasts.
        """
        async with self.sessions() as session:
            batch = await session.get(CertificateBatch, page.batch_id)
            query = (
                select(col(CertificateBatchLine.enrollment_id))
                .where(col(CertificateBatchLine.batch_id) == page.batch_id, col(CertificateBatchLine.outcome).is_(None))
                .order_by(col(CertificateBatchLine.position))
                .limit(page.limit)
            )
            waiting = (await session.execute(query)).scalars().all()
        if batch is None or batch.status != BatchStatus.RUNNING:
            return BatchPageDone()
        client, passes_over = activity.client(), activity.info().attempt >= _ATTEMPTS
        for first in range(0, len(waiting), _AT_ONCE):
            group = waiting[first : first + _AT_ONCE]
            turns = (self._issue(client, each, batch.requested_by) for each in group)
            failed = [error for error in await asyncio.gather(*turns, return_exceptions=True) if error is not None]
            # Whatever went wrong with one, the others have had their turn.
            outages = [error for error in failed if not _is_silence(error)]
            late = len(group) - await self._write(batch, group, passes_over=passes_over and not outages)
            if late:
                raise (*outages, *failed, NotIssuedYetError(late))[0]
        return BatchPageDone(done=len(waiting))

    @activity.defn
    async def end_batch(self, step: EndBatch) -> None:
        """Close the run, and keep its workbook. A run that is closed stays as it is. Raises `LookupError` if there is
        no such run."""
        async with self.sessions() as session:
            batch = await session.get(CertificateBatch, step.batch_id)
            if batch is None:
                raise LookupError("there is no such run")
            if batch.status != BatchStatus.RUNNING:
                return
            lines = await lines_to_show(session, step.batch_id)
        workbook = await asyncio.to_thread(workbook_of, lines)
        async with self.sessions.begin() as session:
            batch = await session.get_one(CertificateBatch, step.batch_id, with_for_update=True)
            if batch.status != BatchStatus.RUNNING:
                return
            stored = await self.files.put(workbook_key(batch.id), workbook, WORKBOOK_MEDIA_TYPE)
            batch.status = BatchStatus.CANCELED if step.is_canceled else BatchStatus.DONE
            batch.ended_at = batch.updated_at = now()
            batch.workbook_sha256 = stored.sha256
            ended = StateChange(CERTIFICATE_BATCH, batch.id, BatchStatus.RUNNING, batch.status)
            await write_audit(session, [ended], actor="system", reason="run ended", workflow_id=step.workflow_id)

    async def _issue(self, client: Client, enrollment_id: UUID, actor: str) -> None:
        """One learner's turn. Whatever the workflow refuses, the record says why."""
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            CERTIFICATE_WORKFLOW,
            CertificateStart(enrollment_id=enrollment_id),
            id=certificate_workflow_id(enrollment_id),
            task_queue=self.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            search_attributes=certificate_attributes(enrollment_id),
            static_summary=CERTIFICATE_SUMMARY,
        )
        leave_no_start_unread(start)
        wish = CertificateStart(enrollment_id=enrollment_id, origin=CertificateOrigin.COMPLETION, actor=actor)
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                await client.execute_update_with_start_workflow(
                    _ISSUE, wish, start_workflow_operation=start, result_type=CertificateAnswer
                )
        except WorkflowUpdateFailedError as failed:
            kind = failed.cause.type if isinstance(failed.cause, ApplicationError) else type(failed.cause).__qualname__
            _log.info("certificate not issued in a run: %s", kind)

    async def _write(self, batch: CertificateBatch, group: Sequence[UUID], *, passes_over: bool) -> int:
        """What the record says of those who had their turn; answers of how many it says something final."""
        async with self.sessions.begin() as session:
            standings = await standings_of_all(session, group)
            # A page that is repeated finds what the run itself has issued, and still says so.
            by_run = set(
                await session.scalars(
                    select(col(Certificate.enrollment_id)).where(
                        col(Certificate.enrollment_id).in_(group),
                        col(Certificate.template_id).is_not(None),
                        col(Certificate.created_at) >= batch.created_at,
                    )
                )
            )
            outcomes = {
                enrollment_id: _final(standing, enrollment_id in by_run)
                for enrollment_id, standing in standings.items()
                if passes_over or standing.outcome is not BatchOutcome.ISSUED
            }
            await _write_outcomes(session, batch.id, outcomes)
            return len(outcomes)


def _is_silence(error: BaseException) -> bool:
    """Whether a workflow alone has not answered in time. A server that does not answer says so by its RPC."""
    if isinstance(error, RPCTimeoutOrCancelledError):
        return not isinstance(error.__cause__, RPCError)
    return isinstance(error, TimeoutError)


async def _begin(session: AsyncSession, request: BatchRequest) -> int | Refused:
    counted = select(func.count()).where(col(CertificateBatchLine.batch_id) == request.batch_id)
    if await session.get(CertificateBatch, request.batch_id) is not None:
        return (await session.execute(counted)).scalar_one()
    if await session.get(Course, request.course_id) is None:
        return Refused(Reason.UNKNOWN_COURSE, "There is no such course.")
    workflow_id = certificate_batch_workflow_id(request.batch_id)
    selection = BatchSelection(request.course_id, request.enrollment_ids, request.enrolled_from, request.enrolled_until)
    session.add(
        CertificateBatch(
            id=request.batch_id,
            course_id=request.course_id,
            requested_by=request.actor,
            asked_sha256=selection.digest,
            workflow_id=workflow_id,
        )
    )
    await session.flush()
    order = (
        (func.array_position(literal(selection.listed, ARRAY(Uuid)), col(Enrollment.id)),)
        if selection.listed
        else (col(Enrollment.enrolled_at), col(Enrollment.id))
    )
    lines = (
        select(
            literal(request.batch_id),
            col(Enrollment.id),
            func.row_number().over(order_by=order),
            literal(now()),
        )
        .where(*chosen(selection))
        .limit(MAX_LEARNERS + 1)
    )
    await session.execute(
        insert(CertificateBatchLine).from_select(["batch_id", "enrollment_id", "position", "updated_at"], lines)
    )
    total = (await session.execute(counted)).scalar_one()
    if (refused := refused_run(selection, total)) is not None:
        return refused
    begun = StateChange(CERTIFICATE_BATCH, request.batch_id, None, BatchStatus.RUNNING)
    await write_audit(session, [begun], actor=request.actor, reason="run begun", workflow_id=workflow_id)
    return total


def _final(standing: Standing, is_by_run: bool) -> tuple[BatchOutcome, str | None]:
    if standing.outcome is BatchOutcome.EXISTING:
        return (BatchOutcome.ISSUED if is_by_run else BatchOutcome.EXISTING), None
    if standing.outcome is BatchOutcome.ISSUED:
        return BatchOutcome.WAITING, None
    return standing.outcome, next((ground.value for ground in standing.grounds), None)


async def _write_outcomes(
    session: AsyncSession, batch_id: UUID, outcomes: Mapping[UUID, tuple[BatchOutcome, str | None]]
) -> None:
    if not outcomes:
        return
    line = CertificateBatchLine.__table__  # type: ignore[attr-defined]
    rows = [(enrollment_id, outcome, ground) for enrollment_id, (outcome, ground) in sorted(outcomes.items())]
    told = table_of(
        column("enrollment_id", line.c.enrollment_id.type),
        column("outcome", line.c.outcome.type),
        column("ground", line.c.ground.type),
        name="told",
    ).data(rows)
    await session.execute(
        update(CertificateBatchLine)
        .where(
            col(CertificateBatchLine.batch_id) == batch_id,
            col(CertificateBatchLine.enrollment_id) == told.c.enrollment_id,
            col(CertificateBatchLine.outcome).is_(None),
        )
        .values(outcome=told.c.outcome, ground=told.c.ground, updated_at=now())
        .execution_options(synchronize_session=False)
    )
