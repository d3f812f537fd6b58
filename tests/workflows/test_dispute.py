"""A dispute played on a simulated clock: followed through every status, answered and settled by people."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from models.identifiers import dispute_workflow_id
from models.messages.disputes import DisputedPayment, DisputeFacts, DisputeOutcome, EndDisputedPlaces, ReadDispute
from models.messages.tasks import CloseTask, DecideTask, OpenTask
from models.money import Money
from models.vocabulary import DisputeStatus, TaskAction, TaskKind, TaskQueue, WaitingFor
from rules.disputes import OPEN
from tests.thoroughness import plays
from tests.workflows.simulation import Mishaps, Run, Simulation
from worker import sandboxed_runner
from workflows.dispute import DisputeWorkflow
from workflows.dispute_start import follow_dispute

NEEDS, REVIEW, WON, LOST = (
    DisputeStatus.NEEDS_RESPONSE,
    DisputeStatus.UNDER_REVIEW,
    DisputeStatus.WON,
    DisputeStatus.LOST,
)
WARNING, WARNING_REVIEW, WARNING_CLOSED = (
    DisputeStatus.WARNING_NEEDS_RESPONSE,
    DisputeStatus.WARNING_UNDER_REVIEW,
    DisputeStatus.WARNING_CLOSED,
)
ORDER_ID = UUID(int=7)
EVENT_SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
# Where Stripe may take a dispute from each of its states.
_FOLLOWERS = {
    WARNING: (WARNING_REVIEW, WARNING_CLOSED, NEEDS),
    WARNING_REVIEW: (WARNING, WARNING_CLOSED, NEEDS),
    WARNING_CLOSED: (),
    NEEDS: (REVIEW, LOST, WON),
    REVIEW: (NEEDS, WON, LOST),
    WON: (),
    LOST: (WON,),
}


@dataclass
class Bank:
    """Stands in for Stripe, the record and the tasks' table, which keeps its rows from one run to the next."""

    status: DisputeStatus | None = NEEDS
    has_places: bool = True
    due_in: timedelta | None = timedelta(days=9)
    simulation: Simulation | None = None
    after_reading: list[Callable[[], None]] = field(default_factory=list)
    recorded: list[DisputeStatus] = field(default_factory=list)
    reads: int = 0
    tasks: dict[UUID, OpenTask] = field(default_factory=dict)
    done: dict[UUID, DecideTask] = field(default_factory=dict)
    ended_by: list[str] = field(default_factory=list)

    @property
    def steps(self) -> list[object]:
        return [self.read_dispute, self.end_disputed_places, self.open_task, self.close_task]

    @property
    def open_tasks(self) -> list[OpenTask]:
        return [task for task_id, task in self.tasks.items() if task_id not in self.done]

    @activity.defn
    async def read_dispute(self, step: ReadDispute) -> DisputeFacts:
        self.reads += 1
        if self.status is None:
            return DisputeFacts()
        if self.recorded[-1:] != [self.status]:
            self.recorded.append(self.status)
        assert self.simulation
        facts = DisputeFacts(
            status=self.status,
            order_id=ORDER_ID,
            amount=Money(amount=4900, currency="EUR"),
            reason="fraudulent",
            evidence_due_at=None if self.due_in is None else self.simulation.started + self.due_in,
            has_places=self.has_places,
            is_decided=any(done.action in (TaskAction.APPROVE, TaskAction.REJECT) for done in self.done.values()),
            tasks_done=len(self.done),
        )
        for happens in self.after_reading:
            happens()
        self.after_reading.clear()
        return facts

    @activity.defn
    async def end_disputed_places(self, step: EndDisputedPlaces) -> None:
        assert step.order_id == ORDER_ID
        if self.has_places:
            self.ended_by.append(step.actor)
        self.has_places = False

    @activity.defn
    async def open_task(self, step: OpenTask) -> None:
        self.tasks.setdefault(step.task_id, step)

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        self.done.setdefault(step.decision.task_id, step.decision)


@dataclass
class Played:
    """One dispute on its way."""

    simulation: Simulation
    bank: Bank
    run: Run

    def becomes(self, status: DisputeStatus, *, told: int = 1) -> None:
        self.bank.status = status
        for _ in range(told):
            self.run.signal(DisputeWorkflow.dispute_changed)

    def decide(self, action: TaskAction) -> None:
        [task] = self.bank.open_tasks
        self.run.update(DisputeWorkflow.decide, DecideTask(task_id=task.task_id, action=action, actor="staff:7"))

    def passes(self, **time: float) -> None:
        self.simulation.run_for(timedelta(**time))

    def outcome(self) -> DisputeOutcome:
        self.passes(days=2)
        return cast(DisputeOutcome, self.run.result())


def begun(bank: Bank, seed: str = "", mishaps: Mishaps | None = None) -> Played:
    simulation = Simulation(bank.steps, random.Random(seed), mishaps)  # noqa: S311
    bank.simulation = simulation
    return Played(simulation, bank, started(simulation))


def started(simulation: Simulation) -> Run:
    return simulation.start(DisputeWorkflow.run, DisputedPayment(stripe_dispute_id="du_1"), dispute_workflow_id("du_1"))


def test_a_dispute_of_no_payment_of_ours_ends_quietly() -> None:
    played = begun(Bank(status=None))
    assert played.outcome() == DisputeOutcome()
    assert (played.bank.tasks, played.bank.reads) == ({}, 1)


def test_somebody_is_asked_to_answer_it_until_the_bank_decides() -> None:
    played = begun(Bank())
    played.passes(hours=1)
    [task] = played.bank.open_tasks
    assert (task.kind, task.queue, task.subject_id) == (TaskKind.DISPUTE, TaskQueue.FINANCE, ORDER_ID)
    assert task.allowed_actions == (TaskAction.DISMISS,)
    assert task.due_at == played.simulation.started + timedelta(days=9)
    state = played.run.query(DisputeWorkflow.status)
    assert (state.status, state.waiting_for, state.needs_human) == (NEEDS, WaitingFor.OPERATOR, True)
    assert (state.due_at, state.task_id) == (task.due_at, task.task_id)
    played.decide(TaskAction.DISMISS)
    played.passes(days=30)
    state = played.run.query(DisputeWorkflow.status)
    assert (state.waiting_for, state.needs_human) == (WaitingFor.STRIPE, False)
    assert (len(played.bank.tasks), played.run.ended) == (1, None), "who has answered is not asked again"
    played.becomes(WON)
    assert played.outcome() == DisputeOutcome(status=WON)


def test_the_task_is_withdrawn_once_it_is_answered_in_stripe_and_put_anew_where_the_bank_asks_again() -> None:
    played = begun(Bank())
    played.passes(hours=1)
    played.becomes(REVIEW)
    played.passes(hours=1)
    assert [done.actor for done in played.bank.done.values()] == ["system"]
    played.becomes(NEEDS)
    played.passes(hours=1)
    assert len(played.bank.tasks) == 2
    assert len(played.bank.open_tasks) == 1


def test_an_inquiry_that_becomes_a_chargeback_is_asked_about_again() -> None:
    played = begun(Bank(status=WARNING))
    played.passes(hours=1)
    played.decide(TaskAction.DISMISS)
    played.becomes(NEEDS)
    played.passes(hours=1)
    played.decide(TaskAction.DISMISS)
    played.becomes(WARNING_CLOSED)
    assert played.outcome().status is WARNING_CLOSED
    assert len(played.bank.tasks) == 2


def test_nobody_has_to_tell_of_news() -> None:
    played = begun(Bank())
    played.passes(days=3)
    assert 3 <= played.bank.reads <= 5
    played.passes(days=5, hours=23)
    before = played.bank.reads
    played.passes(hours=2)
    assert played.bank.reads > before, "it is looked at when the time to answer is over"
    played.bank.status = DisputeStatus.PREVENTED
    assert played.outcome().status is DisputeStatus.PREVENTED
    assert played.bank.open_tasks == []


@pytest.mark.parametrize(("action", "ended_by"), [(TaskAction.APPROVE, []), (TaskAction.REJECT, ["staff:7"])])
def test_of_a_lost_dispute_a_person_settles_the_places(action: TaskAction, ended_by: list[str]) -> None:
    played = begun(Bank(status=LOST))
    played.passes(days=40)
    assert played.bank.ended_by == []
    played.decide(action)
    assert played.outcome() == DisputeOutcome(status=LOST, places_ended=action is TaskAction.REJECT)
    assert played.bank.ended_by == ended_by
    later = Played(played.simulation, played.bank, started(played.simulation))
    assert later.outcome().status is LOST
    assert len(played.bank.tasks) == 1, "late news do not ask again"


def test_without_places_a_loss_asks_nobody() -> None:
    played = begun(Bank(status=LOST, has_places=False))
    assert played.outcome() == DisputeOutcome(status=LOST)
    assert played.bank.tasks == {}


def test_a_lost_dispute_that_is_won_after_all_leaves_the_places() -> None:
    played = begun(Bank(status=LOST))
    played.passes(hours=1)
    played.becomes(WON)
    assert played.outcome() == DisputeOutcome(status=WON)
    assert (played.bank.open_tasks, played.bank.has_places) == ([], True)
    played.bank.status = LOST
    later = Played(played.simulation, played.bank, started(played.simulation))
    later.passes(hours=1)
    later.decide(TaskAction.REJECT)
    assert later.outcome().places_ended, "a question that was withdrawn is put anew by a later run"


def test_news_that_come_while_the_last_reading_is_under_way_are_not_lost() -> None:
    bank = Bank(status=WON)
    played = begun(bank)
    bank.after_reading.append(lambda: played.becomes(LOST))
    played.passes(hours=1)
    assert bank.recorded == [WON, LOST]
    assert [task.allowed_actions for task in bank.open_tasks] == [(TaskAction.APPROVE, TaskAction.REJECT)]


def test_a_decision_that_comes_too_late_is_refused() -> None:
    played = begun(Bank())
    played.passes(hours=1)
    [task] = played.bank.open_tasks
    played.becomes(WON)
    decision = DecideTask(task_id=task.task_id, action=TaskAction.DISMISS, actor="staff:7")
    played.passes(minutes=1)
    with pytest.raises(WorkflowUpdateFailedError):
        played.run.update(DisputeWorkflow.decide, decision)
    assert [done.actor for done in played.bank.done.values()] == ["system"]


def test_a_cancelled_job_follows_the_dispute_all_the_same() -> None:
    played = begun(Bank())
    played.passes(hours=1)
    played.run.cancel()
    played.passes(days=1)
    played.becomes(LOST)
    played.passes(hours=1)
    played.decide(TaskAction.REJECT)
    assert played.outcome() == DisputeOutcome(status=LOST, places_ended=True)


def test_whatever_happens_in_any_order_it_is_written_down_and_settled_once() -> None:
    for number in plays(300):
        chance = random.Random(number)  # noqa: S311
        bank = Bank(status=chance.choice((WARNING, NEEDS, LOST)), due_in=chance.choice((None, timedelta(days=9))))
        mishaps = Mishaps(answer_lost=chance.choice((0, 0.15)), worker_away=chance.choice((0, 0.1)))
        played = begun(bank, str(number), mishaps)
        for _ in range(chance.randint(2, 7)):
            played.passes(minutes=chance.choice((0, 0, 1, 90, 4000)))
            if played.run.ended is not None:
                # A webhook that finds no run starts another one.
                played.run = started(played.simulation)
            followers = _FOLLOWERS[bank.status] if bank.status else ()
            if followers and chance.random() < 0.6:
                played.becomes(chance.choice(followers), told=chance.choice((0, 1, 1, 3)))
            elif bank.open_tasks and chance.random() < 0.6:
                _decide(played, chance)
            if chance.random() < 0.1:
                played.run.cancel()
        played.becomes(bank.status or NEEDS)
        if played.run.ended is not None:
            played.run = started(played.simulation)
        played.passes(days=3)
        while bank.status in OPEN or bank.open_tasks:
            if bank.open_tasks and chance.random() < 0.7:
                _decide(played, chance)
            elif bank.status in OPEN:
                played.becomes(chance.choice(_FOLLOWERS[bank.status]))
            played.passes(days=1)
        assert played.outcome().status is bank.status, number
        assert bank.recorded[-1] is bank.status, number
        assert bank.open_tasks == [], number
        rejected = [done.actor for done in bank.done.values() if done.action is TaskAction.REJECT]
        assert bank.ended_by == rejected[:1], number
        assert bank.has_places is not bool(rejected), number
        assert LOST in bank.recorded or not rejected, number


def _decide(played: Played, chance: random.Random) -> None:
    """A person decides at whatever moment; what is moot by then is refused."""
    task = played.bank.open_tasks[0]
    decision = DecideTask(task_id=task.task_id, action=chance.choice(task.allowed_actions), actor="staff:7")
    with suppress(WorkflowUpdateFailedError):
        played.run.update(DisputeWorkflow.decide, decision)


@workflow.defn(sandboxed=False)
class Sweep:
    """Another job that has found a dispute."""

    @workflow.run
    async def run(self, stripe_dispute_id: str) -> None:
        await follow_dispute(stripe_dispute_id)


async def test_another_job_has_a_dispute_followed_and_looked_at_again(fast_temporal: WorkflowEnvironment) -> None:
    client, stands, runs = fast_temporal.client, [REVIEW], set()

    @activity.defn
    async def read_dispute(step: ReadDispute) -> DisputeFacts:
        runs.add(activity.info().workflow_run_id)
        return DisputeFacts(status=stands[-1], order_id=ORDER_ID)

    async with Worker(
        client,
        task_queue="disputes",
        workflows=[Sweep, DisputeWorkflow],
        activities=[read_dispute],
        workflow_runner=sandboxed_runner(),
    ):
        for number in range(2):
            await client.execute_workflow(Sweep.run, "du_1", id=f"sweep-{number}", task_queue="disputes")
        handle = client.get_workflow_handle_for(DisputeWorkflow.run, dispute_workflow_id("du_1"))
        heard = [event async for event in handle.fetch_history_events() if event.event_type == EVENT_SIGNALED]
        assert (len(heard), len(runs)) == (1, 1), "the second sweep tells the run that is there"
        stands.append(WON)
        await client.execute_workflow(Sweep.run, "du_1", id="sweep-once-more", task_queue="disputes")
        assert await handle.result() == DisputeOutcome(status=WON)
        # The run may have looked by itself before it was told, since the server skips its waiting.
        over = frozenset(runs)
        await client.execute_workflow(Sweep.run, "du_1", id="sweep-again", task_queue="disputes")
        assert await handle.result() == DisputeOutcome(status=WON)
        assert len(runs - over) == 1, "one whose run is over is looked at by another run"
