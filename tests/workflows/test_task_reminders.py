"""Tasks that wait too long, played on a simulated clock: each level is told once, and a decision always wins."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID, uuid4

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.errors import Reason
from models.messages.mail import MailReport, SendMail
from models.messages.tasks import (
    CloseTask,
    DecideTask,
    EscalatedTask,
    EscalateTask,
    OpenedTask,
    OpenTask,
    TaskDecided,
)
from models.vocabulary import MailStatus, MailTemplate, TaskAction, TaskKind, TaskQueue, WaitingFor
from tests.thoroughness import plays
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.desk import Desk
from workflows.human_tasks import HumanTasks
from workflows.mailing import Outbox
from workflows.shielding import to_its_end

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LEVELS = (1 * DAY, 2 * DAY, 4 * DAY)
ALL = ["reminder", "escalation", "second_escalation"]


@workflow.defn(name="AskingWorkflow")
class AskingWorkflow:
    """Asks one question, until it is answered, withdrawn by a cancellation, or the given time is over."""

    @workflow.init
    def __init__(self, until: datetime | None) -> None:
        self._until = until
        self._outbox = Outbox()
        self._tasks = HumanTasks(self._outbox)
        self._desk = Desk("Asking", "Somebody decides.", listed=("open", WaitingFor.OPERATOR))
        self._is_withdrawn = self._has_news = False

    @workflow.run
    async def run(self, until: datetime | None) -> TaskAction | None:
        return await to_its_end(asyncio.create_task(self._ask()), self._withdraw)

    def _withdraw(self) -> None:
        self._is_withdrawn = True

    async def _ask(self) -> TaskAction | None:
        self._desk.tell(WaitingFor.OPERATOR, "Somebody decides.", needs_human=True)
        while True:
            self._has_news = False
            action = await self._tasks.ask(
                TaskKind.PAY_BACK,
                "it",
                "Look at it.",
                (TaskAction.ACCEPT, TaskAction.DISMISS),
                subject=("order", UUID(int=7)),
                until=self._until,
                unless=lambda: self._is_withdrawn or self._has_news,
            )
            if action is not None or not self._has_news or self._is_withdrawn:
                break
        await self._tasks.withdraw()
        await self._outbox.emptied()
        return action

    @workflow.signal
    def news(self) -> None:
        self._has_news = True

    @workflow.update
    async def decide(self, decision: DecideTask) -> TaskDecided:
        return await self._tasks.decide(decision)

    @decide.validator
    def _check(self, decision: DecideTask) -> None:
        self._tasks.check(decision)

    @workflow.query
    def details(self) -> str:
        return workflow.get_current_details()


@dataclass
class Office:
    """Stands in for the record and the mail server."""

    levels: tuple[timedelta, ...] = LEVELS
    answers: bool = True
    contacts: tuple[UUID | None, ...] = field(default_factory=lambda: (uuid4(), uuid4(), uuid4()))
    mail_is_down: bool = False
    opened_at: datetime | None = None
    task: OpenTask | None = None
    level: int = 0
    told: list[tuple[int, timedelta]] = field(default_factory=list)
    decisions: list[CloseTask] = field(default_factory=list)
    mails: Counter[tuple[str, UUID]] = field(default_factory=Counter)
    tried_mails: int = 0
    slow: Counter[str] = field(default_factory=Counter)

    @property
    def activities(self) -> list[object]:
        return [self.open_task, self.escalate_task, self.close_task, self.send_mail]

    @property
    def now(self) -> datetime:
        return activity.info().started_time

    def _trip(self, what: str) -> None:
        if self.slow[what] > 0:
            self.slow[what] -= 1
            raise ApplicationError(f"{what} is down", type="down")

    @activity.defn
    async def open_task(self, step: OpenTask) -> OpenedTask | None:
        self._trip("open")
        if self.opened_at is None:
            self.opened_at, self.task = self.now, step
        if not self.answers:
            return None
        at = [self.opened_at + wait for wait in self.levels]
        assert self.task is not None
        due_at = self.task.due_at if step.working_days is None else self.opened_at + 2 * DAY
        return OpenedTask(
            due_at=due_at, **dict(zip(("remind_at", "escalate_at", "escalate_again_at"), at, strict=False))
        )

    @activity.defn
    async def escalate_task(self, step: EscalateTask) -> EscalatedTask:
        self._trip("escalate")
        assert self.opened_at is not None
        if self.decisions:
            return EscalatedTask()
        if self.level < step.level:
            self.level = step.level
            self.told.append((step.level, self.now - self.opened_at))
        return EscalatedTask(recipient_id=self.contacts[step.level - 1])

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        self._trip("close")
        if not self.decisions:
            self.decisions.append(step)

    @activity.defn
    async def send_mail(self, request: SendMail) -> MailReport:
        self.tried_mails += 1
        if self.decisions:
            return MailReport(mail_id=UUID(int=0), status=MailStatus.SKIPPED, reason="task_done")
        if self.mail_is_down:
            raise ApplicationError("no mail server", type="smtp_unreachable")
        assert request.template is MailTemplate.TASK_REMINDER
        assert self.task is not None
        assert request.subject_id == self.task.task_id
        # The ledger: the same mail again sends nothing.
        key = (request.occasion, request.recipient_id)
        self.mails[key] += 0 if self.mails[key] else 1
        return MailReport(mail_id=UUID(int=0), status=MailStatus.SENT)

    @property
    def occasions(self) -> list[str]:
        return [occasion for occasion, _ in self.mails.elements()]


@dataclass
class Played:
    """One question on its way."""

    simulation: Simulation
    office: Office
    run: Run

    def pass_by(self, time: timedelta) -> None:
        self.simulation.run_for(time)

    def decide(self, action: TaskAction = TaskAction.ACCEPT) -> None:
        assert self.office.task is not None
        decision = DecideTask(task_id=self.office.task.task_id, action=action, actor="staff:7")
        self.run.update(AskingWorkflow.decide, decision)

    def result(self) -> TaskAction | None:
        self.pass_by(DAY)
        return cast(TaskAction | None, self.run.result())


def asked(
    office: Office | None = None, seed: object = "", mishaps: Mishaps | None = None, until: timedelta | None = None
) -> Played:
    office = office or Office()
    simulation = Simulation(office.activities, random.Random(str(seed)), mishaps)  # noqa: S311
    end = None if until is None else simulation.now + until
    return Played(simulation, office, simulation.start(AskingWorkflow.run, end, "asking-1"))


def test_each_level_is_told_once_and_the_question_stays_open() -> None:
    played = asked()
    played.pass_by(30 * DAY)
    office = played.office
    assert office.occasions == ALL
    assert [recipient for _, recipient in office.mails.elements()] == list(office.contacts)
    assert [level for level, _ in office.told] == [1, 2, 3]
    for (_, after), planned in zip(office.told, LEVELS, strict=True):
        assert timedelta() <= after - planned < timedelta(minutes=2)
    played.decide()
    assert played.result() is TaskAction.ACCEPT


def test_a_task_says_whom_it_is_for_and_how_long_it_may_take() -> None:
    played = asked()
    played.pass_by(HOUR)
    task = played.office.task
    assert task is not None
    assert (task.queue, task.working_days, task.until) == (TaskQueue.FINANCE, 2, None)
    shown = played.run.query(AskingWorkflow.details)
    assert shown.endswith(f"Task `{task.task_id}` for finance, due 2026-03-04 08:00 UTC.")
    played.decide()
    assert played.result() is TaskAction.ACCEPT


@pytest.mark.parametrize(("after", "occasions"), [(HOUR, []), (30 * HOUR, ALL[:1]), (3 * DAY, ALL[:2]), (5 * DAY, ALL)])
def test_a_decision_stops_the_reminders(after: timedelta, occasions: list[str]) -> None:
    played = asked()
    played.pass_by(after)
    played.decide()
    assert played.result() is TaskAction.ACCEPT
    assert played.office.occasions == occasions
    assert not [timer for timer in played.run.timers if played.run.ended is None]


def test_a_withdrawal_stops_the_reminders() -> None:
    played = asked()
    played.pass_by(30 * HOUR)
    played.run.cancel()
    played.pass_by(30 * DAY)
    assert played.result() is None
    assert played.office.occasions == ALL[:1]
    assert [closed.decision.actor for closed in played.office.decisions] == ["system"]


def test_nobody_is_told_after_nobody_waits_any_more() -> None:
    played = asked(until=36 * HOUR)
    played.pass_by(30 * DAY)
    task = played.office.task
    assert task is not None
    assert task.until == task.due_at
    assert task.working_days is None
    assert played.result() is None
    assert played.office.occasions == ALL[:1]


def test_without_contacts_the_level_counts_and_nothing_is_mailed() -> None:
    played = asked(Office(contacts=(None, None, None)))
    played.pass_by(30 * DAY)
    assert (played.office.level, played.office.tried_mails) == (3, 0)


def test_a_task_that_was_opened_by_an_older_release_waits_in_silence() -> None:
    played = asked(Office(answers=False))
    played.pass_by(30 * DAY)
    assert (played.office.told, played.office.tried_mails) == ([], 0)
    played.decide()
    assert played.result() is TaskAction.ACCEPT


def test_a_mail_server_that_is_down_holds_up_no_decision() -> None:
    played = asked(Office(mail_is_down=True))
    played.pass_by(30 * DAY)
    assert played.office.level == 3
    played.decide()
    assert len(played.office.decisions) == 1
    assert played.result() is TaskAction.ACCEPT
    assert played.office.mails.total() == 0


def test_asking_again_tells_nobody_twice() -> None:
    played = asked()
    for _ in range(20):
        played.pass_by(8 * HOUR)
        played.run.signal(AskingWorkflow.news)
    assert played.office.occasions == ALL
    assert (len(played.office.told), played.office.tried_mails) == (3, 3)


def test_a_decision_counts_before_the_workflow_hears_that_its_task_is_there() -> None:
    played = asked(Office(), 3, Mishaps(answer_lost=0.9))
    played.simulation.run_until(lambda: played.office.task is not None)
    played.decide()
    played.pass_by(30 * DAY)
    assert played.result() is TaskAction.ACCEPT
    assert (played.office.told, len(played.office.decisions)) == ([], 1)


def test_a_decision_while_the_reminder_is_written_down_stops_its_mail() -> None:
    played = asked(Office(slow=Counter(escalate=8)))
    played.pass_by(DAY + timedelta(seconds=15))
    assert played.office.told == []
    played.decide()
    assert played.result() is TaskAction.ACCEPT
    assert (played.office.level, played.office.tried_mails) == (1, 0)


def test_a_decision_at_the_moment_of_a_reminder_wins() -> None:
    mailed = 0
    for number in plays(300):
        chance = random.Random(number)  # noqa: S311
        office = Office(slow=Counter(escalate=chance.choice((0, 0, 1, 3))))
        played = asked(office, number)
        played.pass_by(DAY + timedelta(milliseconds=chance.randint(-3000, 12_000)))
        decided_at = played.simulation.now
        played.decide()
        tried = office.tried_mails
        assert played.result() is TaskAction.ACCEPT, number
        assert [closed.decision.actor for closed in office.decisions] == ["staff:7"]
        assert office.tried_mails - tried <= 1, "at most the one that was being sent"
        assert office.occasions in ([], ["reminder"]), number
        assert len(office.told) <= 1
        assert played.simulation.now >= decided_at
        mailed += bool(office.occasions)
    assert 0 < mailed < len(plays(300))


def test_whatever_gets_lost_each_level_is_told_once() -> None:
    for number in plays(200):
        chance = random.Random(number)  # noqa: S311
        office = Office(slow=Counter({step: chance.choice((0, 1, 3)) for step in ("open", "escalate", "close")}))
        played = asked(office, number, Mishaps(answer_lost=0.25, worker_away=0.25))
        days = chance.choice((0.5, 1.5, 3, 6))
        for _ in range(4):
            played.pass_by(timedelta(days=days / 4))
            if chance.random() < 0.3:
                played.run.signal(AskingWorkflow.news)
        played.pass_by(5 * HOUR)
        told = sum(wait < timedelta(days=days) for wait in LEVELS)
        assert [level for level, _ in office.told] == [1, 2, 3][:told], number
        assert office.occasions == ALL[:told], number
        if chance.random() < 0.5:
            played.decide()
        else:
            played.run.cancel()
        played.pass_by(30 * DAY)
        played.result()
        assert [level for level, _ in office.told] == [1, 2, 3][:told], number
        assert set(office.mails.values()) <= {1}, number
        assert len(office.decisions) == 1


def test_a_second_decision_is_refused() -> None:
    played = asked()
    played.pass_by(30 * HOUR)
    played.decide()
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        played.decide(TaskAction.DISMISS)
    assert getattr(refused.value.cause, "type", Reason.TASK_NOT_OPEN) == Reason.TASK_NOT_OPEN
    assert played.result() is TaskAction.ACCEPT
