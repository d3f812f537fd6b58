"""Asking a person: a task is opened, waited for and chased, decided by the update `decide`, closed in the record."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import workflow

from activities.tasks import TaskActivities
from models.errors import Reason, refusal
from models.identifiers import task_id_for
from models.messages.tasks import CloseTask, DecideTask, EscalateTask, OpenedTask, OpenTask, TaskDecided
from models.vocabulary import MailTemplate, TaskAction, TaskKind
from rules.tasks import ESCALATION, REMINDER, SECOND_ESCALATION, pace_of, queue_of
from workflows.desk import pin, unpin
from workflows.mailing import Outbox, send_mail
from workflows.policies import TASK
from workflows.waiting import happened

# The occasions of the mail `task_reminder`, and how it is summed up.
_OCCASIONS = {
    REMINDER: ("reminder", "Remind of the task"),
    ESCALATION: ("escalation", "Escalate the task"),
    SECOND_ESCALATION: ("second_escalation", "Escalate the task again"),
}


class HumanTasks:
    """The tasks of one workflow. The workflow passes its update `decide` on to `decide`.

    Its reminders go out through `outbox`.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._opening: dict[UUID, OpenTask] = {}
        self._open: dict[UUID, OpenTask] = {}
        self._decided: dict[UUID, DecideTask] = {}
        self._closed: dict[UUID, DecideTask] = {}
        self._answers: Counter[str] = Counter()
        self._decisions: dict[str, DecideTask] = {}
        self._levels: Counter[UUID] = Counter()
        self._pinned: dict[UUID, str] = {}

    @property
    def open_id(self) -> UUID | None:
        """The task that has been waiting longest, if there is one."""
        return next(iter(self._open), None)

    async def ask(
        self,
        kind: TaskKind,
        about: str,
        reason: str,
        actions: tuple[TaskAction, ...],
        *,
        subject: tuple[str, UUID],
        until: datetime | None = None,
        due_at: datetime | None = None,
        assignee: str | None = None,
        used_seconds: int = 0,
        when_open: Callable[[UUID], None] = lambda task_id: None,
        unless: Callable[[], bool] = lambda: False,
    ) -> TaskAction | None:
        """What a person decides; none if nobody did until then, or if `unless` became true first.

        `about` names the decision within the workflow: asking again finds the same task, until it has been decided.
        `due_at` is when it should be decided, else the working days of the kind count (rules/tasks.py). Whoever looks
        after the task is reminded, and others are told, as long as nobody has decided.

        `assignee` is who is to take it, `used_seconds` the working time that the same decision has waited before, under
        other ids. `when_open` is told the id of the task as soon as it is there.
        """
        workflow_id = workflow.info().workflow_id
        answered, working_days = self._answers[about], pace_of(kind).decide_within
        task = OpenTask(
            task_id=task_id_for(workflow_id, f"{about}-{answered + 1}" if answered else about),
            kind=kind,
            subject_kind=subject[0],
            subject_id=subject[1],
            reason=reason,
            allowed_actions=actions,
            due_at=due_at or until or workflow.now() + timedelta(days=working_days),
            workflow_id=workflow_id,
            queue=queue_of(kind),
            working_days=None if due_at or until else working_days,
            until=until,
            assignee=assignee,
            used_seconds=used_seconds,
        )
        # People see the row of the task before the workflow hears that it is there.
        self._opening[task.task_id] = task
        opened = await workflow.execute_activity_method(
            TaskActivities.open_task, task, summary=f"Ask a person: {kind}", **TASK
        )
        del self._opening[task.task_id]
        if opened is not None and opened.done_by is not None:
            return self._done_before(about, task.task_id, opened.done_by)
        if opened is not None and opened.task_id is not None:
            task = task.model_copy(update={"task_id": opened.task_id})
        self._open[task.task_id] = task
        self._show(task, opened)
        when_open(task.task_id)

        def is_over() -> bool:
            return task.task_id in self._decided or unless()

        await self._chase(task, opened, until, is_over)
        await happened(is_over, until, summary=f"A person decides: {kind}")
        decided = self._decided.get(task.task_id)
        if decided is not None:
            self._answers[about] += 1
            self._decisions[about] = decided
            await self._close(decided)
        elif until is not None and workflow.now() >= until:
            await self._dismiss(task.task_id)
        return None if decided is None else decided.action

    def _done_before(self, about: str, task_id: UUID, actor: str) -> TaskAction:
        self._answers[about] += 1
        self._decisions[about] = DecideTask(task_id=task_id, action=TaskAction.ACCEPT, actor=actor)
        return TaskAction.ACCEPT

    def decision(self, about: str) -> DecideTask | None:
        """What was decided of it last; none if nothing was."""
        return self._decisions.get(about)

    def decided_by(self, about: str) -> str | None:
        """Who decided it last; none if nobody did."""
        decision = self.decision(about)
        return None if decision is None else decision.actor

    def kind_of(self, task_id: UUID) -> TaskKind | None:
        """What the open task is about; none if there is no such."""
        task = self._open.get(task_id) or self._opening.get(task_id)
        return None if task is None else task.kind

    async def withdraw(self) -> None:
        """Close what nobody has to decide any more."""
        for task_id in list(self._open):
            await self._dismiss(task_id)

    def check(self, decision: DecideTask) -> None:
        """Refuse a decision on a task that is not open, or an action that it does not allow."""
        task = self._open.get(decision.task_id) or self._opening.get(decision.task_id)
        if task is None or decision.task_id in self._decided or decision.task_id in self._closed:
            raise refusal(Reason.TASK_NOT_OPEN, "There is no such open task in this job.")
        if decision.action not in task.allowed_actions:
            raise refusal(Reason.ACTION_NOT_ALLOWED, f"The task allows {', '.join(task.allowed_actions)}.")

    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take a decision that was checked, and answer once it is written down.

        Raises the refusal `task_not_open` if it came too late to count.
        """
        self._decided[decision.task_id] = decision
        await workflow.wait_condition(
            lambda: decision.task_id not in self._open and decision.task_id not in self._opening
        )
        if self._closed.get(decision.task_id) != decision:
            raise refusal(Reason.TASK_NOT_OPEN, "It came too late: nobody waits for the decision any more.")
        return TaskDecided(task_id=decision.task_id, action=decision.action)

    async def _chase(
        self, task: OpenTask, opened: OpenedTask | None, until: datetime | None, is_over: Callable[[], bool]
    ) -> None:
        """Wait with the patience that is pinned to the task: each moment that passes undecided is told to somebody.

        Returns as soon as it is over, or nobody is left to be told. A task that is asked about again goes on where it
        stood.
        """
        for level, moment in _stages(opened):
            if level <= self._levels[task.task_id]:
                continue
            if until is not None and until <= moment:
                return
            if await happened(is_over, moment, summary=f"A person decides: {task.kind}"):
                return
            self._levels[task.task_id] = level
            await self._tell(task, level, is_over)

    async def _tell(self, task: OpenTask, level: int, is_over: Callable[[], bool]) -> None:
        """Write down that nobody has decided yet, and post the mail about it unless somebody just has."""
        occasion, summary = _OCCASIONS[level]
        escalated = await workflow.execute_activity_method(
            TaskActivities.escalate_task,
            EscalateTask(task_id=task.task_id, level=level, workflow_id=task.workflow_id),
            summary=f"{summary}: {task.kind}",
            **TASK,
        )
        if escalated.recipient_id is not None and not is_over():
            mail = send_mail(
                escalated.recipient_id,
                MailTemplate.TASK_REMINDER,
                task.task_id,
                occasion=occasion,
                summary=f"Mail: {summary.lower()}",
            )
            self._outbox.post(mail)

    def _show(self, task: OpenTask, opened: OpenedTask | None) -> None:
        due_at = task.due_at if opened is None else opened.due_at
        line = f"Task `{task.task_id}` for {task.queue}, due {due_at:%Y-%m-%d %H:%M} UTC."
        self._pinned[task.task_id] = line
        pin(line)

    async def _dismiss(self, task_id: UUID) -> None:
        await self._close(DecideTask(task_id=task_id, action=TaskAction.DISMISS, actor="system"))

    async def _close(self, decision: DecideTask) -> None:
        self._closed[decision.task_id] = decision
        await workflow.execute_activity_method(
            TaskActivities.close_task,
            CloseTask(decision=decision, workflow_id=workflow.info().workflow_id),
            summary=f"Write down the decision: {decision.action}",
            **TASK,
        )
        self._open.pop(decision.task_id, None)
        unpin(self._pinned.pop(decision.task_id, ""))


def _stages(opened: OpenedTask | None) -> list[tuple[int, datetime]]:
    """When to tell somebody. A task of an older release was opened without an answer: nobody is told of it."""
    if opened is None:
        return []
    moments = {
        REMINDER: opened.remind_at,
        ESCALATION: opened.escalate_at,
        SECOND_ESCALATION: opened.escalate_again_at,
    }
    return [(level, moment) for level, moment in moments.items() if moment is not None]
