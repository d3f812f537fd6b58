"""Messaging the job of an enrollment: update-with-start, so that one that has ended runs again for the message."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias, cast
from uuid import UUID

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, TemporalError
from temporalio.service import RPCError

from activities.drip_jobs import DripJob
from activities.starts import leave_no_start_unread
from models.errors import Reason
from models.identifiers import drip_workflow_id
from models.listing import DRIP_SUMMARY, drip_attributes
from models.messages.learning import ChangeEnrollment, DripStart, EnrollmentChanged, LessonRecorded, RecordLesson
from routes.outages import is_not_found, is_outage
from routes.problems import ProblemError
from routes.refusals import PATIENCE, in_any_run
from workflows.drip import DripWorkflow
from workflows.queues import REGISTRAR_QUEUE

_Start: TypeAlias = "WithStartWorkflowOperation[DripWorkflow, object]"

_SIGNAL_PATIENCE = timedelta(seconds=2)
_PATIENCE_WITH_ALL = timedelta(seconds=4)
_AT_ONCE = 20
_NOT_LIVE = (
    Reason.NOT_FOUND,
    Reason.IDEMPOTENCY_KEY_REUSED,
    Reason.ENROLLMENT_NOT_ACTIVE,
    Reason.ENROLLMENT_EXPIRED,
    Reason.ENROLLMENT_SUSPENDED,
    Reason.ENROLLMENT_PAUSED,
    Reason.REFUND_IN_PROGRESS,
)
LESSON_REFUSALS = (
    *_NOT_LIVE,
    Reason.LESSON_NOT_BEGUN,
    Reason.LESSON_ALREADY_RECORDED,
    Reason.LESSON_NOT_OPEN,
    Reason.ATTEMPTS_USED_UP,
    Reason.SCORE_REQUIRED,
    Reason.SCORE_NOT_ALLOWED,
    Reason.ROLE_NOT_ALLOWED,
)
CHANGE_REFUSALS = (
    *_NOT_LIVE,
    Reason.INVALID_REQUEST,
    Reason.ALREADY_ENROLLED,
    Reason.COURSE_FULL,
    Reason.ENROLLMENT_NOT_PAUSED,
    Reason.PAUSE_TOO_LONG,
    Reason.CERTIFICATE_NOT_REVOKED,
    Reason.NOT_JUDGED,
    Reason.ROLE_NOT_ALLOWED,
)

_log = logging.getLogger("registrar.api")


async def record_lesson(temporal: Client, told: RecordLesson, course_id: UUID) -> LessonRecorded:
    """Have it written down. Raises `ProblemError` if it is refused or takes too long."""

    async def ask(start: _Start) -> object:
        return await temporal.execute_update_with_start_workflow(
            DripWorkflow.record_lesson, told, start_workflow_operation=start, rpc_timeout=PATIENCE
        )

    return cast(LessonRecorded, await _answer(DripJob(told.enrollment_id, course_id), LESSON_REFUSALS, ask))


async def change_enrollment(temporal: Client, wish: ChangeEnrollment, course_id: UUID) -> EnrollmentChanged:
    """Have it changed. Raises `ProblemError` if it is refused or takes too long."""

    async def ask(start: _Start) -> object:
        return await temporal.execute_update_with_start_workflow(
            DripWorkflow.change, wish, start_workflow_operation=start, rpc_timeout=PATIENCE
        )

    return cast(EnrollmentChanged, await _answer(DripJob(wish.enrollment_id, course_id), CHANGE_REFUSALS, ask))


async def wake_drips(temporal: Client, enrollment_ids: Sequence[UUID]) -> None:
    """Have their jobs look at the record at once, as many as can be reached in a few seconds.

    One that is not reached, or does not run, is found by the sweep: that it has to look is on record.
    """
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def wake(enrollment_id: UUID) -> None:
        handle = temporal.get_workflow_handle(drip_workflow_id(enrollment_id))
        async with at_once:
            try:
                await handle.signal(DripWorkflow.replan, rpc_timeout=_SIGNAL_PATIENCE)
            except (TemporalError, RPCError, OSError) as error:
                if isinstance(error, RPCError) and not (is_not_found(error) or is_outage(error)):
                    raise
                _log.info("a drip was not woken: %s", type(error).__qualname__)

    try:
        async with asyncio.timeout(_PATIENCE_WITH_ALL.total_seconds()):
            await asyncio.gather(*map(wake, enrollment_ids))
    except TimeoutError:
        _log.info("drips were not woken in time: the sweep finds them")


async def _answer(job: DripJob, refusals: Collection[Reason], ask: Callable[[_Start], Awaitable[object]]) -> object:
    """What its run says, or a new one where the run closes while the message is on its way."""

    async def asked() -> object:
        start = _start_operation(job)
        leave_no_start_unread(start)
        return await ask(start)

    return await in_any_run(asked, lambda failed: _problem_of(failed, refusals), "repeat it with the same key")


def _problem_of(failed: WorkflowUpdateFailedError, refusals: Collection[Reason]) -> Exception:
    cause = failed.cause
    if not isinstance(cause, ApplicationError) or cause.type not in set(refusals):
        return failed
    return ProblemError(Reason(cause.type), cause.message, moment=_moment(cause))


def _start_operation(job: DripJob) -> _Start:
    return WithStartWorkflowOperation(
        DripWorkflow.run,
        DripStart(enrollment_id=job.enrollment_id),
        id=drip_workflow_id(job.enrollment_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=drip_attributes(job.enrollment_id, job.course_id),
        static_summary=DRIP_SUMMARY,
    )


def _moment(refused: ApplicationError) -> datetime | None:
    """The one thing that some refusals say beside their sentence."""
    return datetime.fromisoformat(str(refused.details[0])) if refused.details else None
