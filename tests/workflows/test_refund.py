"""A refund that somebody asks for, played on a simulated clock: decided by rule or person, paid back, never cut off."""

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast
from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError

from models.errors import Reason
from models.identifiers import refund_workflow_id
from models.messages.orders import OrderRequest
from models.messages.refunds import (
    RefundAnswer,
    RefundOutcome,
    RefundWish,
    RequestedRefund,
    RequestRefund,
    SettleReview,
)
from models.messages.tasks import DecideTask
from models.money import Money
from models.vocabulary import (
    OrderStatus,
    RefundAccess,
    RefundCause,
    RefundGround,
    RefundRequestStatus,
    RefundStatus,
    TaskAction,
    TaskKind,
    WaitingFor,
)
from tests.thoroughness import plays
from tests.workflows.order_world import OrderWorld, Worlds, an_order
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.refund import RefundWorkflow

APPROVED, IN_REVIEW, REJECTED = (
    RefundRequestStatus.APPROVED,
    RefundRequestStatus.IN_REVIEW,
    RefundRequestStatus.REJECTED,
)


@dataclass
class RefundWorlds(Worlds):
    """The record decides on one wish; the money is the order's."""

    answer: RequestedRefund = field(default_factory=RequestedRefund)
    reviews: list[SettleReview] = field(default_factory=list)

    @property
    def activities(self) -> list[object]:
        return [*super().activities, self.request_refund, self.settle_review]

    @activity.defn
    async def request_refund(self, step: RequestRefund) -> RequestedRefund:
        return self.answer

    @activity.defn
    async def settle_review(self, step: SettleReview) -> None:
        self.reviews.append(step)


@dataclass
class Played:
    """One wish on its way."""

    simulation: Simulation
    worlds: RefundWorlds
    world: OrderWorld
    run: Run
    wish: RefundWish

    def decide(self, action: TaskAction) -> None:
        task_id = self.run.query(RefundWorkflow.status).task_id
        assert task_id is not None
        self.run.update(RefundWorkflow.decide, DecideTask(task_id=task_id, action=action, actor="staff:7"))

    def outcome(self) -> RefundOutcome:
        self.simulation.run_for(timedelta(days=1))
        return cast(RefundOutcome, self.run.result())


def asked(status: RefundRequestStatus, order: OrderRequest, simulation: Simulation, **told: object) -> RequestedRefund:
    answer = RequestedRefund(
        status=status,
        grounds=(RefundGround.WITHIN_WINDOW,),
        amount=Money(amount=4900, currency="EUR"),
        order_id=order.order_id,
        payer_id=order.payer_id,
        decide_by=simulation.now + timedelta(days=2) if status is IN_REVIEW else None,
    )
    return answer.model_copy(update=told)


def begun(
    status: RefundRequestStatus | None,
    world: OrderWorld | None = None,
    seed: str = "",
    mishaps: Mishaps | None = None,
    **told: object,
) -> Played:
    world, worlds, order, enrollment_id = world or OrderWorld(captured=4900), RefundWorlds(), an_order(), uuid4()
    worlds.add(world, order)
    worlds.of[enrollment_id] = world
    simulation = Simulation(worlds.activities, random.Random(seed), mishaps)  # noqa: S311
    if status is None:
        worlds.answer = RequestedRefund(refusal=Reason.REFUND_NOT_ELIGIBLE, refusal_detail="No.")
    else:
        worlds.answer = asked(status, order, simulation, **told)
    wish = RefundWish(
        request_id=UUID(int=7), enrollment_id=enrollment_id, cause=RefundCause.CHANGED_MIND, actor="student:7"
    )
    run = simulation.start(RefundWorkflow.run, wish, refund_workflow_id(enrollment_id))
    return Played(simulation, worlds, world, run, wish)


def test_what_the_rule_approves_is_paid_back_at_once() -> None:
    played = begun(APPROVED)
    answer = cast(RefundAnswer, played.run.update(RefundWorkflow.request, played.wish, with_start=True))
    assert (answer.status, answer.amount.amount) == (APPROVED, 4900)
    assert played.outcome() == RefundOutcome(status=APPROVED, order_status=OrderStatus.REFUNDED)
    assert (played.world.refunded, len(played.world.mails), played.world.tasks) == (4900, 1, {})


def test_what_the_rule_refuses_is_told_and_ends() -> None:
    played = begun(None)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        played.run.update(RefundWorkflow.request, played.wish, with_start=True)
    assert getattr(refused.value.cause, "type", None) == Reason.REFUND_NOT_ELIGIBLE
    assert played.outcome().refusal is Reason.REFUND_NOT_ELIGIBLE
    assert (played.world.refunded, played.world.mails) == (0, [])


@pytest.mark.parametrize(
    ("action", "status", "refunded", "mail"),
    [(TaskAction.APPROVE, APPROVED, 4900, "refund"), (TaskAction.REJECT, REJECTED, 0, "refund_rejected")],
)
def test_a_person_decides_what_the_rule_does_not(
    action: TaskAction, status: RefundRequestStatus, refunded: int, mail: str
) -> None:
    played = begun(IN_REVIEW)
    answer = cast(RefundAnswer, played.run.update(RefundWorkflow.request, played.wish, with_start=True))
    assert answer.status is IN_REVIEW
    played.simulation.run_for(timedelta(days=30))
    state = played.run.query(RefundWorkflow.status)
    assert (state.waiting_for, state.needs_human) == (WaitingFor.OPERATOR, True)
    played.decide(action)
    assert played.outcome().status is status
    assert [(review.status, review.actor) for review in played.worlds.reviews] == [(status, "staff:7")]
    assert played.world.refunded == refunded
    assert [sent.split(":")[0] for sent in played.world.mails] == [mail]


def test_another_wish_is_refused_while_one_is_alive() -> None:
    played = begun(IN_REVIEW)
    played.simulation.run_for(timedelta(minutes=1))
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        played.run.update(RefundWorkflow.request, played.wish.model_copy(update={"request_id": uuid4()}))
    assert getattr(refused.value.cause, "type", None) == Reason.REFUND_IN_PROGRESS


def test_a_cancellation_withdraws_a_wish_in_review_and_nothing_else() -> None:
    in_review = begun(IN_REVIEW)
    in_review.simulation.run_for(timedelta(minutes=1))
    in_review.run.cancel()
    assert in_review.outcome().status is REJECTED
    assert [decision.decision.actor for decision in in_review.world.decisions] == ["system"]
    approved = begun(APPROVED, OrderWorld(captured=4900, fail_first={"refund": 5}))
    approved.simulation.run_for(timedelta(seconds=8))
    approved.run.cancel()
    assert approved.outcome().status is APPROVED
    assert approved.world.refunded == 4900


@pytest.mark.parametrize(("action", "tries"), [(TaskAction.RETRY, 2), (TaskAction.DISMISS, 1)])
def test_a_refund_that_stripe_refuses_is_settled_by_a_person(action: TaskAction, tries: int) -> None:
    played = begun(APPROVED, OrderWorld(captured=4900, refund_ends=[RefundStatus.FAILED]))
    played.simulation.run_for(timedelta(hours=1))
    assert [task.kind for task in played.world.tasks.values()] == [TaskKind.REFUND_FAILED]
    played.decide(action)
    assert played.outcome().order_status is OrderStatus.REFUNDED
    assert played.world.times("refund") == tries
    assert played.world.settled == ([] if action is TaskAction.RETRY else [RefundStatus.SUCCEEDED])


TUTOR, FINANCE = UUID(int=1), UUID(int=2)


def test_tutor_and_finance_hear_of_what_was_granted_and_of_nothing_else() -> None:
    granted = begun(APPROVED, notice_ids=(TUTOR, FINANCE))
    assert granted.outcome().status is APPROVED
    notices = [who for mail, who in granted.world.sent if mail == f"refund_notice:{granted.wish.request_id}"]
    assert sorted(notices) == [TUTOR, FINANCE]
    assert len(granted.world.sent) == 3
    rejected = begun(IN_REVIEW, notice_ids=(TUTOR, FINANCE))
    rejected.simulation.run_for(timedelta(hours=1))
    assert rejected.world.sent == []
    rejected.decide(TaskAction.REJECT)
    assert rejected.outcome().status is REJECTED
    assert [mail.split(":")[0] for mail in rejected.world.mails] == ["refund_rejected"]


def test_a_part_is_paid_back_and_the_place_stays() -> None:
    played = begun(APPROVED, access=RefundAccess.KEPT)
    assert played.outcome().status is APPROVED
    state = played.run.query(RefundWorkflow.status)
    assert "the money goes back, the place stays" in state.next_action


def test_a_place_without_money_ends_and_its_payer_is_told() -> None:
    world = OrderWorld(captured=0)
    played = begun(APPROVED, world, amount=Money(amount=0, currency="EUR"), notice_ids=(TUTOR,))
    world.refunds_nothing = True
    assert played.outcome().status is APPROVED
    assert sorted(mail.split(":")[0] for mail in world.mails) == ["place_ended"]
    assert "no money to pay back" in played.run.query(RefundWorkflow.status).next_action


def test_whatever_gets_lost_the_money_goes_back_once() -> None:
    steps = ("refund", "mail", "document")
    for number in plays(200):
        chance = random.Random(number)  # noqa: S311
        world = OrderWorld(captured=4900, fail_first={step: chance.choice((0, 1, 3)) for step in steps})
        status = chance.choice((APPROVED, IN_REVIEW))
        told = chance.choice(((), (TUTOR,), (TUTOR, FINANCE)))
        access = chance.choice(tuple(RefundAccess))
        mishaps = Mishaps(answer_lost=0.15, worker_away=0.1)
        played = begun(status, world, str(number), mishaps, notice_ids=told, access=access)
        played.simulation.run_for(timedelta(hours=chance.choice((6, 80))))
        if chance.random() < 0.3 and status is APPROVED:
            played.run.cancel()
        if status is IN_REVIEW:
            played.decide(TaskAction.APPROVE)
        played.simulation.run_for(timedelta(days=2))
        assert played.outcome().status is APPROVED, number
        assert (world.refunded, len(world.sent)) == (4900, 1 + len(told)), (number, world.mails)
