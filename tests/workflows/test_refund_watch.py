"""A refund followed on a simulated clock through every status that Stripe has, whatever is late, lost or said twice."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import pytest
from temporalio import activity

from models.messages.documents import RenderDocument, StoredFile
from models.messages.mail import MailReport, SendMail
from models.messages.orders import RefundReport
from models.messages.refund_watch import (
    ReadRefund,
    RefundAgain,
    RefundOwner,
    RefundWatchOutcome,
    SeenRefund,
    SettlePayout,
    WatchRefund,
)
from models.messages.tasks import CloseTask, DecideTask, OpenTask
from models.money import Money
from models.vocabulary import MailStatus, RefundStatus, TaskAction, TaskKind, WaitingFor
from tests.thoroughness import plays
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.refund_watch import RefundWatchWorkflow

PENDING, REQUIRES_ACTION, SUCCEEDED, FAILED, CANCELED = (
    RefundStatus.PENDING,
    RefundStatus.REQUIRES_ACTION,
    RefundStatus.SUCCEEDED,
    RefundStatus.FAILED,
    RefundStatus.CANCELED,
)
REFUND, ORDER = UUID(int=1), UUID(int=2)


@dataclass
class Stripe:
    """One refund at Stripe, the record's row of it, and what people were told."""

    status: RefundStatus
    owner: RefundOwner = RefundOwner.OURS
    pending_reason: str | None = "processing"
    again: RefundStatus = SUCCEEDED
    tasks: dict[UUID, OpenTask] = field(default_factory=dict)
    closed: dict[UUID, CloseTask] = field(default_factory=dict)
    mails: list[str] = field(default_factory=list)
    settled: list[SettlePayout] = field(default_factory=list)
    asked_again: int = 0
    cancels: int = 0
    created: datetime | None = None

    @property
    def steps(self) -> list[object]:
        return [
            self.read_refund, self.cancel_refund, self.refund_again, self.settle_payout, self.open_task,
            self.close_task, self.send_mail, self.render_document,
        ]  # fmt: skip

    @property
    def open_tasks(self) -> list[TaskKind]:
        return [task.kind for task_id, task in self.tasks.items() if task_id not in self.closed]

    @activity.defn
    async def read_refund(self, step: ReadRefund) -> SeenRefund:
        created = self.created = self.created or activity.info().started_time
        return SeenRefund(
            owner=self.owner, status=self.status, created_at=created, refund_id=REFUND, order_id=ORDER,
            payer_id=UUID(int=3), amount=Money(amount=4900, currency="EUR"), pending_reason=self.pending_reason,
            failure_reason="declined" if self.status is FAILED else None,
            credit_note_id=UUID(int=4) if self.owner is RefundOwner.ADOPTED else None,
        )  # fmt: skip

    @activity.defn
    async def cancel_refund(self, step: ReadRefund) -> None:
        self.cancels += 1
        if self.status is REQUIRES_ACTION:
            self.status = CANCELED

    @activity.defn
    async def refund_again(self, step: RefundAgain) -> RefundReport:
        self.asked_again += 1
        return RefundReport(refund_id=REFUND, status=self.again, stripe_refund_id="re_2")

    @activity.defn
    async def settle_payout(self, step: SettlePayout) -> RefundReport:
        self.settled.append(step)
        return RefundReport(refund_id=REFUND, status=step.status)

    @activity.defn
    async def open_task(self, step: OpenTask) -> None:
        self.tasks[step.task_id] = step

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        self.closed.setdefault(step.decision.task_id, step)

    @activity.defn
    async def send_mail(self, request: SendMail) -> MailReport:
        mail = f"{request.template}:{request.occasion.partition(':')[2]}"
        # The ledger knows what it has sent: trying the same step again sends nothing.
        if activity.info().attempt == 1 or mail not in self.mails:
            self.mails.append(mail)
        return MailReport(mail_id=UUID(int=5), status=MailStatus.SENT)

    @activity.defn
    async def render_document(self, step: RenderDocument) -> StoredFile:
        self.mails.append("rendered")
        return StoredFile(key="documents/x.pdf", sha256="0" * 64, size=1)


@dataclass
class Watched:
    """A refund and its watch."""

    stripe: Stripe
    simulation: Simulation
    run: Run

    def days(self, days: float) -> None:
        self.simulation.run_for(timedelta(days=days))

    def becomes(self, status: RefundStatus, *, told: bool = True) -> None:
        """Stripe changes the status, and tells us, or does not."""
        self.stripe.status = status
        if told:
            self.run.signal(RefundWatchWorkflow.refund_changed)

    def decide(self, action: TaskAction) -> None:
        task_id = self.run.query(RefundWatchWorkflow.status).task_id
        assert task_id is not None
        self.run.update(RefundWatchWorkflow.decide, DecideTask(task_id=task_id, action=action, actor="staff:7"))

    @property
    def waits_for(self) -> WaitingFor:
        return self.run.query(RefundWatchWorkflow.status).waiting_for

    def outcome(self) -> tuple[RefundOwner, RefundStatus]:
        self.days(1)
        result = cast(RefundWatchOutcome, self.run.result())
        assert self.stripe.open_tasks == []
        return result.owner, result.status


def watched(stripe: Stripe, seed: str = "", mishaps: Mishaps | None = None) -> Watched:
    simulation = Simulation(stripe.steps, random.Random(seed), mishaps)  # noqa: S311
    run = simulation.start(RefundWatchWorkflow.run, WatchRefund(stripe_refund_id="re_1"), "refund-watch-re_1")
    return Watched(stripe, simulation, run)


def test_what_has_succeeded_is_watched_for_thirty_days() -> None:
    job = watched(Stripe(SUCCEEDED))
    job.days(29)
    assert (job.run.ended, job.waits_for) == (None, WaitingFor.TIMER)
    job.days(1.1)
    assert job.outcome() == (RefundOwner.OURS, SUCCEEDED)
    assert (job.stripe.mails, job.stripe.tasks) == ([], {})


@pytest.mark.parametrize("told", [True, False])
def test_pending_for_a_week_is_an_alarm_that_ends_with_it(told: bool) -> None:
    job = watched(Stripe(PENDING))
    job.days(6.9)
    assert job.stripe.tasks == {}
    job.days(0.2)
    assert job.stripe.open_tasks == [TaskKind.REFUND_DELAYED]
    job.becomes(SUCCEEDED, told=told)
    job.days(1.1)
    assert (job.stripe.open_tasks, job.waits_for) == ([], WaitingFor.TIMER)
    job.days(30)
    assert job.outcome() == (RefundOwner.OURS, SUCCEEDED)


def test_who_dismisses_the_alarm_goes_on_waiting_and_is_not_asked_again() -> None:
    job = watched(Stripe(PENDING))
    job.days(8)
    job.decide(TaskAction.DISMISS)
    job.days(20)
    assert (len(job.stripe.tasks), job.stripe.open_tasks) == (1, [])
    assert not job.run.query(RefundWatchWorkflow.status).needs_human


def test_too_little_money_at_stripe_is_an_alarm_at_once() -> None:
    job = watched(Stripe(PENDING, pending_reason="insufficient_funds"))
    job.days(0.01)
    [task] = job.stripe.tasks.values()
    assert "balance at Stripe is too low" in task.reason
    assert job.run.query(RefundWatchWorkflow.status).needs_human


def test_who_does_not_claim_the_money_is_reminded_four_times_and_then_asked_another_way() -> None:
    job = watched(Stripe(REQUIRES_ACTION))
    for day, reminded in ((2.9, 0), (3.1, 1), (13.9, 1), (14.1, 2), (30.1, 3), (40.1, 4), (44.9, 4)):
        job.simulation.run_for(job.simulation.started + timedelta(days=day) - job.simulation.now)
        assert len(job.stripe.mails) == reminded, day
    assert [mail.rpartition(":")[0] for mail in job.stripe.mails] == [
        f"refund_action_required:{day}" for day in (3, 14, 30, 40)
    ]
    assert job.waits_for is WaitingFor.PAYMENT
    job.days(0.3)
    assert job.stripe.open_tasks == [TaskKind.ALTERNATIVE_PAYOUT]
    assert (job.stripe.cancels, len(job.stripe.mails)) == (1, 5)
    job.decide(TaskAction.ACCEPT)
    assert job.outcome() == (RefundOwner.OURS, SUCCEEDED)
    assert [(each.status, each.actor) for each in job.stripe.settled] == [(SUCCEEDED, "staff:7")]


@pytest.mark.parametrize(
    ("action", "ends", "settled"),
    [(TaskAction.ACCEPT, SUCCEEDED, [SUCCEEDED]), (TaskAction.DISMISS, CANCELED, [CANCELED])],
)
@pytest.mark.parametrize("told", [True, False])
def test_what_comes_back_weeks_later_is_settled_by_a_person(
    action: TaskAction, ends: RefundStatus, settled: list[RefundStatus], told: bool
) -> None:
    job = watched(Stripe(SUCCEEDED))
    job.days(20)
    job.becomes(FAILED, told=told)
    job.days(11)
    assert job.stripe.open_tasks == [TaskKind.ALTERNATIVE_PAYOUT]
    [mail] = job.stripe.mails
    assert mail.startswith("refund_returned:")
    job.days(30)
    job.decide(action)
    assert job.outcome() == (RefundOwner.OURS, ends)
    assert [each.status for each in job.stripe.settled] == settled


def test_an_adopted_refund_brings_its_paper_and_its_mail_once() -> None:
    job = watched(Stripe(SUCCEEDED, owner=RefundOwner.ADOPTED))
    job.days(31)
    assert job.outcome() == (RefundOwner.ADOPTED, SUCCEEDED)
    assert len(job.stripe.mails) == 2
    assert job.stripe.mails[0] == "rendered"


def test_a_refund_of_nobody_is_left_alone() -> None:
    job = watched(Stripe(FAILED, owner=RefundOwner.NOBODY))
    assert job.outcome() == (RefundOwner.NOBODY, FAILED)
    assert (job.stripe.mails, job.stripe.tasks) == ([], {})


def test_a_cancelled_watch_ends_but_not_before_money_that_came_back_is_settled() -> None:
    job = watched(Stripe(SUCCEEDED))
    job.days(3)
    job.run.cancel()
    assert job.outcome() == (RefundOwner.OURS, SUCCEEDED)
    owed = watched(Stripe(FAILED))
    owed.days(1)
    owed.run.cancel()
    owed.days(1)
    assert owed.stripe.open_tasks == [TaskKind.ALTERNATIVE_PAYOUT]
    owed.decide(TaskAction.DISMISS)
    assert owed.outcome() == (RefundOwner.OURS, CANCELED)


FOLLOWERS = {
    PENDING: (SUCCEEDED, FAILED, CANCELED, REQUIRES_ACTION),
    REQUIRES_ACTION: (PENDING, SUCCEEDED, FAILED, CANCELED),
    SUCCEEDED: (FAILED,),
}


def test_on_every_path_the_end_is_stripes_or_a_persons() -> None:
    """Random paths through Stripe's statuses, with answers lost, workers away, and news late or never told."""
    ends: set[RefundStatus] = set()
    for number in plays(250):
        chance = random.Random(number)  # noqa: S311
        job = watched(Stripe(chance.choice(list(FOLLOWERS))), str(number), Mishaps(answer_lost=0.1, worker_away=0.1))
        for _ in range(chance.randrange(4)):
            job.days(chance.choice((0.1, 2, 8, 29)))
            followers = FOLLOWERS.get(job.stripe.status, ())
            if followers and job.run.ended is None:
                job.becomes(chance.choice(followers), told=chance.random() < 0.6)
        while job.run.ended is None:
            job.days(chance.choice((1, 5, 40)))
            state = job.run.query(RefundWatchWorkflow.status) if job.run.ended is None else None
            if state is not None and state.task_id is not None:
                kind = job.stripe.tasks[state.task_id].kind
                chosen = TaskAction.DISMISS if kind is TaskKind.REFUND_DELAYED else TaskAction.ACCEPT
                job.decide(chosen)
            if job.stripe.status is PENDING:
                job.becomes(SUCCEEDED)
        _, status = job.outcome()
        ends.add(status)
        came_to_nothing = job.stripe.status in (FAILED, CANCELED)
        assert len(job.stripe.settled) >= came_to_nothing, number
        assert {each.status for each in job.stripe.settled} <= {SUCCEEDED}
        returned = [mail for mail in job.stripe.mails if mail.startswith("refund_returned")]
        assert len(returned) == came_to_nothing, (number, job.stripe.mails)
    assert ends == {SUCCEEDED}
