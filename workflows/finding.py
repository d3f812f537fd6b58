"""Something that a check has found wrong and no program can put right: a person is asked until it is settled."""

import asyncio

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.critical_mail import CriticalMailActivities
    from activities.findings import FindingActivities
    from activities.job_actions import JobActionActivities
    from models.messages.checks import FindingOutcome, LookInto, PutRightAgain, SettleFinding
    from models.messages.job_actions import RetryJob
    from models.messages.jobs import JobState
    from models.messages.tasks import DecideTask, TaskDecided
    from models.vocabulary import CheckKind, FindingStatus, TaskAction, TaskKind, WaitingFor
    from workflows.desk import Desk
    from workflows.human_tasks import HumanTasks
    from workflows.mailing import Outbox
    from workflows.papers_and_mails import make_papers, post_mails
    from workflows.policies import JOBS, TASK
    from workflows.shielding import to_its_end

_TASKS = {
    CheckKind.RECONCILIATION: TaskKind.RECONCILIATION,
    CheckKind.CRITICAL_MAIL: TaskKind.CRITICAL_MAIL,
    CheckKind.STUCK_JOBS: TaskKind.STUCK_JOB,
}
_SETTLED = {TaskAction.RETRY: FindingStatus.RESOLVED, TaskAction.ACCEPT: FindingStatus.ACCEPTED}


@workflow.defn(name="FindingWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class FindingWorkflow:
    """One finding. It ends when somebody has decided, or when a later run of the check does not find it any more."""

    @workflow.init
    def __init__(self, look: LookInto) -> None:
        self._look = look
        self._is_gone = False
        self._outbox = Outbox()
        self._tasks = HumanTasks(self._outbox)
        self._desk = Desk(
            f"Found: {look.kind.replace('_', ' ')}",
            "A person is being asked.",
            listed=(FindingStatus.OPEN, WaitingFor.OPERATOR),
        )
        self._desk.status = FindingStatus.OPEN

    @workflow.run
    async def run(self, look: LookInto) -> FindingOutcome:
        """Ask a person, unless it goes away by itself, and write down what they say."""
        return await to_its_end(asyncio.create_task(self._settle()))

    async def _settle(self) -> FindingOutcome:
        action = await self._ask()
        if action is TaskAction.RETRY:
            await self._mend()
        status = FindingStatus.RESOLVED if action is None else _SETTLED[action]
        if action is not None:
            await self._write_down(status)
        await self._tasks.withdraw()
        await self._outbox.emptied()
        self._desk.status = status
        self._desk.tell(WaitingFor.NOTHING, "Settled.")
        return FindingOutcome(status=status)

    async def _ask(self) -> TaskAction | None:
        self._desk.tell(
            WaitingFor.OPERATOR,
            f"{self._look.reason} Decide the task: `retry` once it is mended, `accept` if it is right as it is.",
            needs_human=True,
        )
        return await self._tasks.ask(
            _TASKS[self._look.found_by],
            # One that comes up again is another question.
            f"finding-{self._look.times}",
            self._look.reason,
            (TaskAction.RETRY, TaskAction.ACCEPT),
            subject=(self._look.subject_kind, self._look.subject_id),
            unless=lambda: self._is_gone,
        )

    async def _mend(self) -> None:
        """Do what can be done by the word of a person; the next run of the check says whether it was enough."""
        match self._look.found_by:
            case CheckKind.CRITICAL_MAIL:
                await self._send_again()
            case CheckKind.STUCK_JOBS if self._look.job_id is not None:
                await self._try_again(self._look.job_id)

    async def _try_again(self, job_id: str) -> None:
        """A job that is stuck goes on at once, as far as it can by now."""
        await workflow.execute_activity_method(
            JobActionActivities.retry_job,
            RetryJob(workflow_id=job_id, actor=self._decided_by),
            summary="Have the job try again",
            **JOBS,
        )

    async def _write_down(self, status: FindingStatus) -> None:
        await workflow.execute_activity_method(
            FindingActivities.settle_finding,
            SettleFinding(
                finding_id=self._look.finding_id,
                status=status,
                actor=self._decided_by,
                workflow_id=workflow.info().workflow_id,
                times=self._look.times,
            ),
            summary=f"Write down that it is {status}",
            **TASK,
        )

    async def _send_again(self) -> None:
        """The papers are made and the mail goes out, by the word of who has decided; only then it is settled."""
        wanted = await workflow.execute_activity_method(
            CriticalMailActivities.put_right_again,
            PutRightAgain(
                finding_id=self._look.finding_id,
                times=self._look.times,
                actor=self._decided_by,
                workflow_id=workflow.info().workflow_id,
            ),
            summary="Have it sent once more",
            **JOBS,
        )
        await make_papers(wanted)
        post_mails(wanted, self._outbox)
        await self._outbox.emptied()

    @property
    def _decided_by(self) -> str:
        return self._tasks.decided_by(f"finding-{self._look.times}") or "system"

    @workflow.signal(description="It is not so any more: nobody has to decide")
    def gone(self) -> None:
        self._is_gone = True

    @workflow.update(description="Decide the open task: {task_id: '…', action: 'accept', actor: 'staff:<id>'}")
    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take what a person decided."""
        return await self._tasks.decide(decision)

    @decide.validator
    def _check_decision(self, decision: DecideTask) -> None:
        self._tasks.check(decision)

    @workflow.query(description="What is wrong, and who has to act")
    def status(self) -> JobState:
        return self._desk.state(self._tasks.open_id)
