"""Asking a person: a task is opened, waited for, decided by the update `decide`, and closed in the record."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import workflow

from activities.tasks import TaskActivities
from models.errors import Reason, refusal
from models.identifiers import task_id_for
from models.messages.tasks import CloseTask, DecideTask, OpenTask, TaskDecided
from models.vocabulary import TaskAction, TaskKind
from workflows.policies import TASK
from workflows.waiting import happened

TIME_TO_DECIDE = timedelta(days=2)


class HumanTasks:
    """The tasks of one workflow. The workflow passes its update `decide` on to `decide`."""

    def __init__(self) -> None:
        self._open: dict[UUID, OpenTask] = {}
        self._decided: dict[UUID, DecideTask] = {}
        self._closed: dict[UUID, DecideTask] = {}
        self._answers: Counter[str] = Counter()
        self._deciders: dict[str, str] = {}

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
        unless: Callable[[], bool] = lambda: False,
    ) -> TaskAction | None:
        """What a person decides; none if nobody did until then, or if `unless` became true first.

        `about` names the decision within the workflow: asking again finds the same task, until it has been decided.
        `due_at` is when it should be decided; nothing happens then but that the task is listed as overdue.
        """
        workflow_id = workflow.info().workflow_id
        answered = self._answers[about]
        task = OpenTask(
            task_id=task_id_for(workflow_id, f"{about}-{answered + 1}" if answered else about),
            kind=kind,
            subject_kind=subject[0],
            subject_id=subject[1],
            reason=reason,
            allowed_actions=actions,
            due_at=due_at or until or workflow.now() + TIME_TO_DECIDE,
            workflow_id=workflow_id,
        )
        await workflow.execute_activity_method(TaskActivities.open_task, task, summary=f"Ask a person: {kind}", **TASK)
        self._open[task.task_id] = task
        await happened(lambda: task.task_id in self._decided or unless(), until, summary=f"A person decides: {kind}")
        decided = self._decided.get(task.task_id)
        if decided is not None:
            self._answers[about] += 1
            self._deciders[about] = decided.actor
            await self._close(decided)
        elif until is not None and workflow.now() >= until:
            await self._dismiss(task.task_id)
        return None if decided is None else decided.action

    def decided_by(self, about: str) -> str | None:
        """Who decided it last; none if nobody did."""
        return self._deciders.get(about)

    async def withdraw(self) -> None:
        """Close what nobody has to decide any more."""
        for task_id in list(self._open):
            await self._dismiss(task_id)

    def check(self, decision: DecideTask) -> None:
        """Refuse a decision on a task that is not open, or an action that it does not allow."""
        task = self._open.get(decision.task_id)
        if task is None or decision.task_id in self._decided or decision.task_id in self._closed:
            raise refusal(Reason.TASK_NOT_OPEN, "There is no such open task in this job.")
        if decision.action not in task.allowed_actions:
            raise refusal(Reason.ACTION_NOT_ALLOWED, f"The task allows {', '.join(task.allowed_actions)}.")

    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take a decision that was checked, and answer once it is written down.

        Raises the refusal `task_not_open` if it came too late to count.
        """
        self._decided[decision.task_id] = decision
        await workflow.wait_condition(lambda: decision.task_id not in self._open)
        if self._closed.get(decision.task_id) != decision:
            raise refusal(Reason.TASK_NOT_OPEN, "It came too late: nobody waits for the decision any more.")
        return TaskDecided(task_id=decision.task_id, action=decision.action)

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
