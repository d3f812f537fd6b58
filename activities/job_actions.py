"""The steps of an action on many jobs: written down first, page by page, and closed; and the retry of a single one."""

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy import values as table_of
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, column
from temporalio import activity
from temporalio.client import RPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.job_listing import InvalidQueryError, count_jobs, every_job, list_jobs
from activities.job_reading import Listed
from activities.job_steps import JobSteps, Plan
from models.errors import Reason
from models.identifiers import job_action_workflow_id
from models.messages.job_actions import (
    EndJobAction,
    JobActionBegun,
    JobActionPage,
    JobActionPageDone,
    JobActionRequest,
    RetriedJob,
    RetryJob,
)
from models.tables import BulkJobAction, BulkJobActionLine
from models.tables.columns import now
from models.vocabulary import JobAction, JobActionOutcome, JobActionStatus
from rules.decision import Refused

JOB_ACTION = "job_action"
MAX_JOBS = 10_000

_log = logging.getLogger("registrar.jobs")

_AT_ONCE = 20
_SHOWN = 20
_ATTEMPTS = 5
_PATIENCE = timedelta(seconds=15)
_ROWS = 1000
_UNREACHED = Reason.UNAVAILABLE
_OUTCOMES = {
    Reason.NOTHING_TO_RETRY: JobActionOutcome.NOTHING,
    Reason.NOTHING_TO_SKIP: JobActionOutcome.NOTHING,
    Reason.TASK_NOT_OPEN: JobActionOutcome.NOTHING,
    Reason.JOB_OVER: JobActionOutcome.GONE,
    Reason.NOT_FOUND: JobActionOutcome.GONE,
}
# What the server says of one workflow, and will say again: such a run cannot be reset, or is deleted by now.
_OF_ONE_JOB = frozenset(
    {
        RPCStatusCode.INVALID_ARGUMENT,
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.ALREADY_EXISTS,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.OUT_OF_RANGE,
    }
)
_Outcome = tuple[JobActionOutcome, Reason | None]


def digest_of(action: JobAction, query: str) -> str:
    """What was asked for, so that a repeat is told apart from another wish with the same key."""
    return hashlib.sha256(f"{action}:{query}".encode()).hexdigest()


def outcome_of(reason: Reason) -> JobActionOutcome:
    """What a refusal means for a job among many."""
    return _OUTCOMES.get(reason, JobActionOutcome.REFUSED)


@dataclass(frozen=True)
class Trial:
    """What an action would come to now: how many runs the query finds, and what would become of the newest."""

    total: int
    first: tuple[tuple[Listed, Plan | Refused], ...]


async def tried_out(steps: JobSteps, action: JobAction, query: str, actor: str) -> Trial:
    """Do nothing, and say what would be done. Raises `InvalidQueryError`."""
    page = await list_jobs(steps.temporal, query, limit=_SHOWN)
    total = await count_jobs(steps.temporal, query)
    # One connection to the record each, so not all at once.
    first = [(job, await steps.plan(action, job.workflow_id, actor)) for job in page.items]
    return Trial(total, tuple(first))


@dataclass
class JobActionActivities:
    """Steps of an action. Each may be repeated: a job with an outcome is passed over."""

    sessions: Sessions

    @activity.defn
    async def begin_job_action(self, request: JobActionRequest) -> JobActionBegun:
        """Write down which jobs the query finds now. Refused with `invalid_request` and `too_many_jobs`."""
        async with self.sessions() as session:
            if await session.get(BulkJobAction, request.job_action_id) is not None:
                return JobActionBegun(
                    job_action_id=request.job_action_id, total=await _total(session, request.job_action_id)
                )
        found = await self._found(request)
        if isinstance(found, Refused):
            return JobActionBegun(
                job_action_id=request.job_action_id, refusal=found.reason, refusal_detail=found.detail
            )
        workflow_id, moment = job_action_workflow_id(request.job_action_id), now()
        action = insert(BulkJobAction).values(
            id=request.job_action_id,
            created_at=moment,
            updated_at=moment,
            action=request.action,
            status=JobActionStatus.RUNNING,
            query=request.query,
            requested_by=request.actor,
            asked_sha256=digest_of(request.action, request.query),
            workflow_id=workflow_id,
        )
        async with self.sessions.begin() as session:
            made = await session.execute(action.on_conflict_do_nothing().returning(col(BulkJobAction.id)))
            if made.first() is not None:
                await _write_lines(session, request.job_action_id, found)
                begun = StateChange(JOB_ACTION, request.job_action_id, None, JobActionStatus.RUNNING)
                await write_audit(session, [begun], actor=request.actor, reason=request.action, workflow_id=workflow_id)
            return JobActionBegun(
                job_action_id=request.job_action_id, total=await _total(session, request.job_action_id)
            )

    @activity.defn
    async def act_on_page(self, page: JobActionPage) -> JobActionPageDone:
        """Act on the next jobs, twenty at a time, and write down what came of each.

        Raises what Temporal or the database says if it cannot be reached; who had their turn keeps it. What fails with
        one job alone is tried five times, then it is passed over: it holds up no other.
        """
        async with self.sessions() as session:
            action = await session.get(BulkJobAction, page.job_action_id)
            line = BulkJobActionLine
            query = (
                select(col(line.job_id))
                .where(col(line.job_action_id) == page.job_action_id, col(line.outcome).is_(None))
                .order_by(col(line.position))
                .limit(page.limit)
            )
            waiting = (await session.execute(query)).scalars().all()
        if action is None or action.status != JobActionStatus.RUNNING:
            return JobActionPageDone()
        passes_over = activity.info().attempt >= _ATTEMPTS
        for first in range(0, len(waiting), _AT_ONCE):
            group = waiting[first : first + _AT_ONCE]
            turns = (self._turn(JobAction(action.action), each, action.requested_by) for each in group)
            came = dict(zip(group, await asyncio.gather(*turns, return_exceptions=True), strict=True))
            outcomes = {job: each for job, each in came.items() if not isinstance(each, BaseException)}
            failed = {job: each for job, each in came.items() if isinstance(each, BaseException)}
            outages = [error for error in failed.values() if is_outage(error)]
            if passes_over and not outages:
                outcomes |= {job: _passed_over(job, error) for job, error in failed.items()}
            # Whatever went wrong with one, the others have had their turn.
            async with self.sessions.begin() as session:
                await _write_outcomes(session, action.id, outcomes)
            if len(outcomes) < len(group):
                raise (*outages, *failed.values())[0]
        return JobActionPageDone(done=len(waiting))

    @activity.defn
    async def end_job_action(self, step: EndJobAction) -> None:
        """Close it. One that is closed stays as it is."""
        status, moment = JobActionStatus.STOPPED if step.is_stopped else JobActionStatus.DONE, now()
        async with self.sessions.begin() as session:
            ended = await session.execute(
                update(BulkJobAction)
                .where(
                    col(BulkJobAction.id) == step.job_action_id, col(BulkJobAction.status) == JobActionStatus.RUNNING
                )
                .values(status=status, ended_at=moment, updated_at=moment)
                .returning(col(BulkJobAction.id))
            )
            if ended.first() is not None:
                change = StateChange(JOB_ACTION, step.job_action_id, JobActionStatus.RUNNING, status)
                await write_audit(
                    session, [change], actor=step.stopped_by or "system", reason="ended", workflow_id=step.workflow_id
                )

    @activity.defn
    async def retry_job(self, step: RetryJob) -> RetriedJob:
        """Have one job try again, for whoever was asked about it. What it refuses is told, and so is its silence, and
        that it cannot be done to this job."""
        try:
            _, reason = await self._turn(JobAction.RETRY, step.workflow_id, step.actor)
        except Exception as error:
            if is_outage(error):
                raise
            _, reason = _passed_over(step.workflow_id, error)
        return RetriedJob(refusal=reason)

    async def _found(self, request: JobActionRequest) -> Sequence[str] | Refused:
        """The jobs, each once, the longest known first; this action is none of them."""
        jobs: dict[str, None] = {}
        try:
            async for each in every_job(activity.client(), request.query):
                jobs.setdefault(each.workflow_id)
                if len(jobs) > MAX_JOBS + 1:
                    break
        except InvalidQueryError as invalid:
            return invalid.refused
        jobs.pop(job_action_workflow_id(request.job_action_id), None)
        if len(jobs) > MAX_JOBS:
            return Refused(Reason.TOO_MANY_JOBS, f"The query finds more than {MAX_JOBS:,} jobs; narrow it.")
        return list(reversed(jobs))

    async def _turn(self, action: JobAction, workflow_id: str, actor: str) -> _Outcome:
        # Longer than ours, the server's own patience tells an outage from a workflow that alone does not answer.
        steps = JobSteps(activity.client(), self.sessions, patience=2 * _PATIENCE)
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            came = await steps.act(action, workflow_id, actor)
        if isinstance(came, Refused):
            return outcome_of(came.reason), came.reason
        return JobActionOutcome.DONE, None


def is_outage(error: BaseException) -> bool:
    """Whether it is the database or Temporal that fails, for every job alike: then it is tried again until it passes.

    A workflow that does not answer in time fails alone; a server that does not answer says so by its RPC.
    """
    if isinstance(error, RPCTimeoutOrCancelledError):
        return isinstance(error.__cause__, RPCError)
    if isinstance(error, RPCError):
        return error.status not in _OF_ONE_JOB
    return isinstance(error, SQLAlchemyError | OSError | asyncio.CancelledError) and not isinstance(error, TimeoutError)


def _passed_over(workflow_id: str, error: BaseException) -> _Outcome:
    _log.warning("%s was passed over: %s", workflow_id, type(error).__qualname__)
    if isinstance(error, RPCTimeoutOrCancelledError | TimeoutError):
        return JobActionOutcome.GONE, _UNREACHED
    return JobActionOutcome.REFUSED, Reason.INTERNAL


async def _total(session: AsyncSession, job_action_id: UUID) -> int:
    counted = select(func.count()).where(col(BulkJobActionLine.job_action_id) == job_action_id)
    return (await session.execute(counted)).scalar_one()


async def _write_lines(session: AsyncSession, job_action_id: UUID, jobs: Sequence[str]) -> None:
    moment = now()
    lines = [
        {"job_action_id": job_action_id, "position": position, "job_id": job, "updated_at": moment}
        for position, job in enumerate(jobs, 1)
    ]
    for first in range(0, len(lines), _ROWS):
        await session.execute(insert(BulkJobActionLine).values(lines[first : first + _ROWS]))


async def _write_outcomes(session: AsyncSession, job_action_id: UUID, outcomes: Mapping[str, _Outcome]) -> None:
    if not outcomes:
        return
    line = BulkJobActionLine.__table__  # type: ignore[attr-defined]
    told = table_of(
        column("job_id", line.c.job_id.type),
        column("outcome", line.c.outcome.type),
        column("reason", line.c.reason.type),
        name="told",
    ).data([(job, outcome, reason) for job, (outcome, reason) in sorted(outcomes.items())])
    await session.execute(
        update(BulkJobActionLine)
        .where(
            col(BulkJobActionLine.job_action_id) == job_action_id,
            col(BulkJobActionLine.job_id) == told.c.job_id,
            col(BulkJobActionLine.outcome).is_(None),
        )
        .values(outcome=told.c.outcome, reason=told.c.reason, updated_at=now())
        .execution_options(synchronize_session=False)
    )
