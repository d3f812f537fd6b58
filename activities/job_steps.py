"""What an operator does to one job: have it try again, end it the way its kind allows, or let go of what hangs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyExcludeType
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryReverseRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetActivityRequest,
    ResetWorkflowExecutionRequest,
    UnpauseActivityRequest,
)
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.job_reading import PATIENCE, Job, Step, describe, job_of
from activities.mail_ledger import BY_OPERATOR, hanging_mails, skip_hanging
from activities.people import person_behind
from activities.task_record import not_about_own
from models.errors import Reason
from models.identifiers import job_subject_id
from models.messages.tasks import DecideTask, TaskDecided
from models.tables import HumanTask, Mail, TutorApplication
from models.tables.columns import now
from models.vocabulary import JobAction, MailStatus, TaskAction, TaskKind, TaskQueue, TaskStatus
from rules.decision import Refused
from rules.jobs import JOB_TYPES

JOB = "job"
SEND_MAIL = "send_mail"
# Whoever asks again because the answer got lost means the same mail or task, not what comes after it.
_REPEATED_WITHIN = timedelta(minutes=2)
_ANSWERS_WITHIN = timedelta(seconds=10)
_NO_SUCH_JOB = Refused(Reason.NOT_FOUND, "There is no such job, or it was long ago.")
_OVER = Refused(Reason.JOB_OVER, "The job is over; nothing is left to act on.")
_WEDGED = Refused(
    Reason.NOTHING_TO_RETRY,
    "Its code cannot go on, and is tried again by itself: mend the code, or start the build again on which it runs.",
)
_NOT_HERE = {TaskAction.RETRY: (TaskQueue.REVIEW,), TaskAction.DISMISS: (TaskQueue.REVIEW, TaskQueue.FINANCE)}
_OF_DECISIONS = frozenset({Reason.TASK_NOT_OPEN, Reason.ACTION_NOT_ALLOWED})
_LAST_TASK = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_CANCELED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
_NO_CANCELLATION = ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_CANCEL_REQUEST


@dataclass(frozen=True)
class Plan:
    """What an action comes to for one job: a sentence for people, and what is to be done, once it is."""

    action: JobAction
    job: Job
    will: str
    steps: tuple[Step, ...] = ()
    decisions: tuple[tuple[UUID, TaskAction], ...] = ()
    mails: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class JobSteps:
    """The same for routes, the command line and the workflow that acts on many jobs."""

    temporal: Client
    sessions: Sessions
    patience: timedelta = field(default=PATIENCE)

    async def plan(self, action: JobAction, workflow_id: str, actor: str) -> Plan | Refused:
        """What it would come to now; nothing is done.

        Refused with `not_found`, `job_over`, `nothing_to_retry`, `nothing_to_skip` and `job_not_cancelable`. Nobody
        acts on the job of their own application.
        """
        # Nobody holds a connection to the record while they wait for Temporal.
        run = await describe(self.temporal, workflow_id, self.patience)
        if run is None or run.workflow_execution_info.type.name not in JOB_TYPES:
            return _NO_SUCH_JOB
        job = job_of(workflow_id, run)
        async with self.sessions() as session:
            if await is_about_own(session, workflow_id, person_behind(actor)):
                return _NO_SUCH_JOB
            match action:
                case JobAction.CANCEL:
                    return _cancellation(job)
                case JobAction.RETRY:
                    return await _retry(session, job, actor)
                case JobAction.SKIP:
                    return await _skip(session, job, actor)

    async def act(self, action: JobAction, workflow_id: str, actor: str) -> Plan | Refused:
        """Do it, with an entry in the audit log, and answer what was done. May be repeated at any time.

        Refused as `plan` is, and with `task_not_open` or `action_not_allowed` by a job that has gone on meanwhile.
        """
        plan = await self.plan(action, workflow_id, actor)
        if isinstance(plan, Refused):
            return plan
        async with self.sessions.begin() as session:
            if plan.mails:
                await skip_hanging(session, plan.mails, workflow_id, actor=actor)
            change = StateChange(JOB, job_subject_id(workflow_id), plan.job.state, action)
            await write_audit(session, [change], actor=actor, reason=plan.will[:200], workflow_id=workflow_id)
        if action is JobAction.CANCEL:
            with _unless_gone():
                await self._cancel(plan.job, actor)
        elif plan.job.is_broken:
            await self._reset_run(plan.job, actor)
        for step in plan.steps:
            with _unless_gone():
                await self._run_now(plan.job, step, actor)
        for task_id, decision in plan.decisions:
            refused = await self._decide(workflow_id, DecideTask(task_id=task_id, action=decision, actor=actor))
            if refused is not None:
                return refused
        return plan

    async def _cancel(self, job: Job, actor: str) -> None:
        await self.temporal.workflow_service.request_cancel_workflow_execution(
            RequestCancelWorkflowExecutionRequest(
                namespace=self.temporal.namespace,
                workflow_execution=WorkflowExecution(workflow_id=job.workflow_id),
                identity=actor,
                request_id=uuid4().hex,
                reason=f"by {actor}",
            ),
            timeout=self.patience,
        )

    async def _run_now(self, job: Job, step: Step, actor: str) -> None:
        """End the rest after a failure: the step is tried at once, and counts its tries from the first again."""
        where = WorkflowExecution(workflow_id=job.workflow_id, run_id=job.run_id)
        namespace, service = self.temporal.namespace, self.temporal.workflow_service
        if step.is_paused:
            await service.unpause_activity(
                UnpauseActivityRequest(
                    namespace=namespace, execution=where, identity=actor, id=step.id, reset_attempts=True
                ),
                timeout=self.patience,
            )
        else:
            await service.reset_activity(
                ResetActivityRequest(namespace=namespace, execution=where, identity=actor, id=step.id),
                timeout=self.patience,
            )

    async def _reset_run(self, job: Job, actor: str) -> None:
        """Another run goes on from the last workflow task that was whole, with every message that came since but the
        wish to cancel it."""
        await self.temporal.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self.temporal.namespace,
                workflow_execution=WorkflowExecution(workflow_id=job.workflow_id, run_id=job.run_id),
                reason=f"retry by {actor}",
                workflow_task_finish_event_id=await self._last_good_task(job),
                reset_reapply_exclude_types=[_NO_CANCELLATION],
                request_id=uuid4().hex,
                identity=actor,
            ),
            timeout=_ANSWERS_WITHIN,
        )

    async def _last_good_task(self, job: Job) -> int:
        """The event to begin again from: that of the last task, before it was canceled if it was; of a job that never
        had one, its end."""
        last, token, is_before = 0, b"", job.run_status != "canceled"
        while True:
            page = await self.temporal.workflow_service.get_workflow_execution_history_reverse(
                GetWorkflowExecutionHistoryReverseRequest(
                    namespace=self.temporal.namespace,
                    execution=WorkflowExecution(workflow_id=job.workflow_id, run_id=job.run_id),
                    maximum_page_size=100,
                    next_page_token=token,
                ),
                retry=True,
                timeout=_ANSWERS_WITHIN,
            )
            for event in page.history.events:
                last = last or event.event_id
                is_before |= event.event_type == _CANCELED
                if is_before and event.event_type == _LAST_TASK:
                    return event.event_id
            if not (token := page.next_page_token):
                return last

    async def _decide(self, workflow_id: str, decision: DecideTask) -> Refused | None:
        try:
            await self.temporal.get_workflow_handle(workflow_id).execute_update(
                "decide",
                decision,
                id=f"decision-{decision.task_id}-{decision.action}",
                result_type=TaskDecided,
                rpc_timeout=self.patience,
            )
        except WorkflowUpdateFailedError as failed:
            cause = failed.cause
            if not isinstance(cause, ApplicationError) or cause.type not in _OF_DECISIONS:
                raise
            return Refused(Reason(cause.type), cause.message)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return _OVER
        return None


async def is_about_own(session: AsyncSession, workflow_id: str, person_id: UUID | None) -> bool:
    """Whether it is the job of this person's own application: what reviewers do with it is not theirs to see."""
    return workflow_id in await own_jobs(session, person_id)


async def own_jobs(session: AsyncSession, person_id: UUID | None) -> Sequence[str]:
    """The workflows of this person's own applications."""
    if person_id is None:
        return ()
    own = select(col(TutorApplication.workflow_id)).where(col(TutorApplication.applicant_id) == person_id)
    return (await session.execute(own)).scalars().all()


def _cancellation(job: Job) -> Plan | Refused:
    if not job.is_open:
        return _OVER
    kind = JOB_TYPES[job.type]
    if kind.not_canceled is not None:
        return Refused(Reason.JOB_NOT_CANCELABLE, kind.not_canceled)
    return Plan(JobAction.CANCEL, job, kind.canceled)


async def _retry(session: AsyncSession, job: Job, actor: str) -> Plan | Refused:
    """All that can be tried again, at once: then who asks twice does nothing twice."""
    if job.is_broken:
        return Plan(JobAction.RETRY, job, "Another run goes on from its last good step.")
    if not job.is_open:
        return _OVER
    if job.is_wedged:
        return _WEDGED
    steps = tuple(step for step in job.pending if step.waits)
    tasks = await _open_tasks(session, job, TaskAction.RETRY, actor)
    if not steps and not tasks:
        return Refused(
            Reason.NOTHING_TO_RETRY, "No step of it rests after a failure, and no task of it can be tried again."
        )
    will = [f"The step {step.activity} is tried now." for step in steps]
    will += [f"The task {kind} is decided: retry." for _, kind in tasks]
    decisions = tuple((task_id, TaskAction.RETRY) for task_id, _ in tasks)
    return Plan(JobAction.RETRY, job, " ".join(will), steps, decisions)


async def _skip(session: AsyncSession, job: Job, actor: str) -> Plan | Refused:
    """A mail that hangs before a task: letting go of it changes nothing about the business."""
    if not job.is_open:
        return _OVER
    hanging = [step for step in job.pending if step.activity == SEND_MAIL and (step.last_failure or step.is_paused)]
    is_repeated = await _has_just_skipped(session, job)
    mails = () if is_repeated or not hanging else await hanging_mails(session, job.workflow_id)
    if is_repeated or mails:
        steps = tuple(step for step in hanging if step.waits)
        return Plan(JobAction.SKIP, job, "Its mail is not sent; the job goes on.", steps, mails=tuple(mails))
    if (dismissed := await _just_dismissed(session, job, actor)) is not None:
        return Plan(JobAction.SKIP, job, f"The task {dismissed} is dismissed.")
    tasks = await _open_tasks(session, job, TaskAction.DISMISS, actor)
    if not tasks:
        return Refused(Reason.NOTHING_TO_SKIP, "No mail of it hangs, and no task of it can be skipped.")
    task_id, kind = tasks[0]
    return Plan(JobAction.SKIP, job, f"The task {kind} is dismissed.", (), ((task_id, TaskAction.DISMISS),))


async def _has_just_skipped(session: AsyncSession, job: Job) -> bool:
    """Whether a mail of it was let go of a moment ago."""
    just_skipped = exists().where(
        col(Mail.workflow_id) == job.workflow_id,
        col(Mail.status) == MailStatus.SKIPPED,
        col(Mail.status_reason) == BY_OPERATOR,
        col(Mail.updated_at) > now() - _REPEATED_WITHIN,
    )
    return bool(await session.scalar(select(just_skipped)))


async def _just_dismissed(session: AsyncSession, job: Job, actor: str) -> TaskKind | None:
    """The kind of the task that the same person has dismissed a moment ago."""
    query = select(col(HumanTask.kind)).where(
        col(HumanTask.workflow_id) == job.workflow_id,
        col(HumanTask.decision) == TaskAction.DISMISS,
        col(HumanTask.decided_by) == actor,
        col(HumanTask.decided_at) > now() - _REPEATED_WITHIN,
    )
    kind = await session.scalar(query.order_by(col(HumanTask.decided_at).desc()).limit(1))
    return None if kind is None else TaskKind(kind)


async def _open_tasks(
    session: AsyncSession, job: Job, action: TaskAction, actor: str
) -> Sequence[tuple[UUID, TaskKind]]:
    """The open tasks of the job that allow it, the oldest first. Reviews are for reviewers, none is about who acts.

    Whoever lets go of something has not decided about money: to dismiss that is to keep it, or to call it paid back.
    """
    query = (
        select(col(HumanTask.id), col(HumanTask.kind))
        .where(
            col(HumanTask.workflow_id) == job.workflow_id,
            col(HumanTask.status) == TaskStatus.OPEN,
            col(HumanTask.queue).not_in(_NOT_HERE[action]),
            func.array_position(col(HumanTask.allowed_actions), action.value).is_not(None),
            *not_about_own(person_behind(actor)),
        )
        .order_by(col(HumanTask.created_at), col(HumanTask.id))
    )
    return [(task_id, TaskKind(kind)) for task_id, kind in await session.execute(query)]


@contextmanager
def _unless_gone() -> Iterator[None]:
    """What has come to its end meanwhile, needs nothing any more."""
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
