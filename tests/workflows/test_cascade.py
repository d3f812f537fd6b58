"""Cascades on a simulated clock: hundreds of places, each paid back once, whatever gets lost and whoever pauses."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest
from temporalio import activity, workflow

from models.errors import Reason
from models.identifiers import cascade_workflow_id, order_workflow_id, refund_workflow_id
from models.messages.cascades import (
    PAGE,
    BeginCascade,
    CascadeCount,
    CascadeIds,
    CascadeOrder,
    CascadePage,
    CascadeWish,
    LookAtPlaces,
    MarkCascade,
)
from models.messages.orders import CancelOrder, OrderRequest
from models.messages.refunds import RefundWish, RequestedRefund, RequestRefund, SettleReview
from models.messages.tasks import DecideTask
from models.money import Money
from models.vocabulary import (
    CascadeKind,
    CascadeStatus,
    RefundCause,
    RefundGround,
    RefundRequestStatus,
    RefundStatus,
    TaskAction,
    WaitingFor,
)
from tests.thoroughness import parts
from tests.workflows.order_world import OrderWorld, Worlds, an_order
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.cascade import AT_ONCE, STARTS_OF_A_RUN, CascadeWorkflow
from workflows.refund import RefundWorkflow

APPROVED, IN_REVIEW = RefundRequestStatus.APPROVED, RefundRequestStatus.IN_REVIEW
ADMIN = "admin:7"
PRICE = 4900


@workflow.defn(name="OrderWorkflow")
class UnpaidOrder:
    """An order that is cancelled when it is told so, unless it was paid a moment before."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self, request: OrderRequest) -> None:
        await workflow.wait_condition(lambda: self._told)
        await workflow.execute_activity("end_order", request.order_id, start_to_close_timeout=timedelta(minutes=1))

    @workflow.signal
    def cancel(self, wish: CancelOrder) -> None:
        assert wish == CancelOrder(actor=ADMIN, reason="tutor_banned")
        self._told = True


@dataclass
class CascadeWorlds(Worlds):
    """The record of one cascade. Every place has an order, and a world, of its own."""

    enrollments: list[UUID] = field(default_factory=list)
    places: dict[UUID, OrderWorld] = field(default_factory=dict)
    orders: dict[UUID, OrderRequest] = field(default_factory=dict)
    refund_ids: dict[UUID, str] = field(default_factory=dict)
    wishes: dict[UUID, RefundWish] = field(default_factory=dict)
    in_review: set[UUID] = field(default_factory=set)
    unpaid: dict[UUID, UUID] = field(default_factory=dict)
    paid_in_the_race: set[UUID] = field(default_factory=set)
    disputed: set[UUID] = field(default_factory=set)
    marks: list[CascadeStatus] = field(default_factory=list)
    began: int = 0

    @property
    def activities(self) -> list[object]:
        return [*super().activities, self.request_refund, self.settle_review, self.begin_cascade, self.open_orders,
                self.taken_places, self.settled_places, self.count_cascade, self.mark_cascade,
                self.end_order]  # fmt: skip

    def add_place(self, enrollment_id: UUID, order: OrderRequest, world: OrderWorld) -> None:
        self.add(world, order)
        self.of[enrollment_id] = world
        self.enrollments.append(enrollment_id)
        self.places[enrollment_id], self.orders[enrollment_id] = world, order
        self.refund_ids[enrollment_id] = refund_workflow_id(enrollment_id)

    def is_taken(self, enrollment_id: UUID) -> bool:
        """A place ends when its refund is first asked for."""
        return enrollment_id not in self.unpaid.values() and not self.places[enrollment_id].refund_steps

    def count(self) -> CascadeCount:
        waiting = sum(self._needs_person(each) for each in self.enrollments)
        left = len(self.unpaid) + sum(self.is_taken(each) for each in self.enrollments)
        total = len(self.enrollments)
        return CascadeCount(total=total, waiting=waiting, left=left, ended=total - waiting - left)

    def _needs_person(self, enrollment_id: UUID) -> bool:
        world = self.places[enrollment_id]
        return bool(world.refund_steps) and not world.refunded and not world.settled and enrollment_id in self.of

    @activity.defn
    async def request_refund(self, step: RequestRefund) -> RequestedRefund:
        enrollment_id, wish = step.wish.enrollment_id, step.wish
        if enrollment_id in self.disputed:
            return RequestedRefund(refusal=Reason.REFUND_NOT_ELIGIBLE, refusal_detail="The bank decides.")
        known = self.wishes.setdefault(enrollment_id, wish)
        if known.request_id != wish.request_id:
            return RequestedRefund(refusal=Reason.REFUND_IN_PROGRESS, refusal_detail="It is on its way.")
        order = self.orders[enrollment_id]
        return RequestedRefund(
            status=IN_REVIEW if enrollment_id in self.in_review else APPROVED,
            grounds=(RefundGround.OVERRIDDEN,),
            amount=Money(amount=PRICE, currency="EUR"),
            order_id=order.order_id,
            payer_id=order.payer_id,
        )

    @activity.defn
    async def settle_review(self, step: SettleReview) -> None:
        assert (step.status, step.actor) == (APPROVED, ADMIN)

    @activity.defn
    async def begin_cascade(self, step: BeginCascade) -> CascadeCount:
        self.began += 1
        return self.count()

    @activity.defn
    async def open_orders(self, step: CascadePage) -> CascadeIds:
        return _page(self.unpaid, step)

    @activity.defn
    async def taken_places(self, step: CascadePage) -> CascadeIds:
        return _page([each for each in self.enrollments if self.is_taken(each)], step)

    @activity.defn
    async def settled_places(self, step: LookAtPlaces) -> CascadeIds:
        return CascadeIds(ids=tuple(each for each in step.enrollment_ids if not self.is_taken(each)))

    @activity.defn
    async def count_cascade(self, step: CascadePage) -> CascadeCount:
        return self.count()

    @activity.defn
    async def mark_cascade(self, step: MarkCascade) -> None:
        if self.marks[-1:] != [step.status]:
            self.marks.append(step.status)

    @activity.defn
    async def end_order(self, order_id: UUID) -> None:
        enrollment_id = self.unpaid.pop(order_id, None)
        if enrollment_id is not None and order_id not in self.paid_in_the_race:
            self.enrollments.remove(enrollment_id)


def _page(ids: object, step: CascadePage) -> CascadeIds:
    found = sorted(each for each in cast("list[UUID]", ids) if step.after is None or each > step.after)
    return CascadeIds(ids=tuple(found[:PAGE]))


@dataclass
class Played:
    """One cascade on its way."""

    simulation: Simulation
    worlds: CascadeWorlds
    run: Run

    @property
    def under_way(self) -> int:
        """How many refunds run whose place is not over yet."""
        running = self.simulation.is_running
        ids = self.worlds.refund_ids
        return sum(running(ids[each]) and self.worlds.is_taken(each) for each in self.worlds.enrollments)

    def to_its_end(self) -> CascadeCount:
        self.simulation.run_until(lambda: self.run.latest.ended is not None)
        return cast(CascadeCount, self.run.result())

    def verdict(self) -> None:
        """Every place ended, and was paid back once."""
        paid = Counter(self.worlds.places[each].refunded for each in self.worlds.enrollments)
        assert paid == {PRICE: len(self.worlds.enrollments)}
        assert all(len(world.sent) <= 1 for world in self.worlds.places.values())
        assert self.worlds.marks[-1] is CascadeStatus.DONE


def begun(places: int, seed: str = "", mishaps: Mishaps | None = None, fail: float = 0) -> Played:
    chance = random.Random(seed)  # noqa: S311
    worlds = CascadeWorlds()
    for _ in range(places):
        world = OrderWorld(captured=PRICE, fail_first={"refund": 2} if chance.random() < fail else {})
        worlds.add_place(UUID(int=chance.getrandbits(128)), an_order(order_id=UUID(int=chance.getrandbits(128))), world)
    simulation = Simulation(worlds.activities, chance, mishaps, (RefundWorkflow, UnpaidOrder))
    wish = CascadeWish(cascade_id=UUID(int=1), kind=CascadeKind.TUTOR_BANNED, tutor_id=UUID(int=2), actor=ADMIN)
    return Played(simulation, worlds, simulation.start(CascadeWorkflow.run, wish, cascade_workflow_id(UUID(int=1))))


@pytest.mark.parametrize("part", parts(1, 3))
def test_five_hundred_places_are_paid_back_once_each_whatever_gets_lost(part: int) -> None:
    places = STARTS_OF_A_RUN + 20
    played = begun(places, str(part), Mishaps(answer_lost=0.02, worker_away=0.005), fail=0.1)
    most = 0
    while played.run.latest.ended is None:
        played.simulation.run_for(timedelta(seconds=20))
        most = max(most, played.under_way)
    played.verdict()
    assert most <= AT_ONCE
    assert played.run.successor is not None
    assert len(played.worlds.wishes) == places
    assert all(wish.terms is not None and wish.cascade_id == UUID(int=1) for wish in played.worlds.wishes.values())


def test_a_long_cascade_continues_as_new_and_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.cascade.STARTS_OF_A_RUN", 100)
    played = begun(130)
    assert played.to_its_end() == CascadeCount(total=130, ended=130)
    played.verdict()
    assert played.run.successor is not None
    assert played.worlds.began == 1
    often = begun(60)
    often.simulation.suggests_continuing = True
    often.simulation.run_for(timedelta(seconds=30))
    assert often.run.successor is not None
    often.simulation.suggests_continuing = False
    often.to_its_end()
    often.verdict()


@pytest.mark.parametrize("place", [5, 19])
def test_a_disputed_place_ends_after_its_dispute_also_where_the_cascade_continued_as_new(
    monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr("workflows.cascade.STARTS_OF_A_RUN", 20)
    played = begun(30)
    played.worlds.disputed.add(sorted(played.worlds.enrollments)[place])
    played.simulation.run_for(timedelta(days=3))
    assert played.run.successor is not None
    assert (played.worlds.count().left, played.worlds.count().ended) == (1, 29)
    played.worlds.disputed.clear()
    played.simulation.run_for(timedelta(hours=3))
    assert played.run.latest.ended is not None
    played.verdict()


def test_a_pause_starts_nothing_and_cuts_nothing_off() -> None:
    played = begun(200)
    while played.worlds.count().ended < 60:
        played.simulation.run_for(timedelta(seconds=1))
    played.run.signal(CascadeWorkflow.pause, CascadeOrder(actor="staff:8"))
    played.simulation.run_for(timedelta(hours=2))
    ended = played.worlds.count().ended
    assert ended < 200
    assert played.under_way == 0
    assert played.worlds.marks == [CascadeStatus.PAUSED]
    progress = played.run.query(CascadeWorkflow.progress)
    assert (progress.is_paused, progress.left) == (True, 200 - ended)
    assert played.run.query(CascadeWorkflow.status).waiting_for is WaitingFor.OPERATOR
    played.simulation.run_for(timedelta(days=30))
    assert played.worlds.count().ended == ended
    played.run.signal(CascadeWorkflow.resume, CascadeOrder(actor="staff:8"))
    played.to_its_end()
    played.verdict()
    assert played.worlds.marks == [CascadeStatus.PAUSED, CascadeStatus.RUNNING, CascadeStatus.DONE]


def test_a_cancellation_is_a_pause() -> None:
    played = begun(50)
    played.simulation.run_for(timedelta(seconds=15))
    played.run.cancel()
    played.simulation.run_for(timedelta(hours=1))
    assert played.run.ended is None
    assert played.run.query(CascadeWorkflow.progress).is_paused
    played.run.signal(CascadeWorkflow.resume, CascadeOrder(actor=ADMIN))
    played.to_its_end()
    played.verdict()


def test_unpaid_orders_are_cancelled_and_one_paid_in_the_race_is_paid_back() -> None:
    played = begun(5)
    worlds, chance = played.worlds, played.simulation.chance
    orders = [an_order(order_id=UUID(int=chance.getrandbits(128))) for _ in range(3)]
    for order in orders:
        enrollment_id = UUID(int=chance.getrandbits(128))
        worlds.add_place(enrollment_id, order, OrderWorld(captured=PRICE))
        worlds.unpaid[order.order_id] = enrollment_id
        played.simulation.start(UnpaidOrder.run, order, order_workflow_id(order.order_id))
    worlds.paid_in_the_race.add(orders[0].order_id)
    assert played.to_its_end().total == 6
    played.verdict()
    assert len(worlds.wishes) == 6


def test_an_order_whose_workflow_is_gone_keeps_the_cascade_waiting_and_told() -> None:
    played = begun(3)
    order = an_order()
    enrollment_id = UUID(int=9)
    played.worlds.add_place(enrollment_id, order, OrderWorld(captured=PRICE))
    played.worlds.unpaid[order.order_id] = enrollment_id
    played.simulation.run_for(timedelta(days=2))
    state = played.run.query(CascadeWorkflow.status)
    assert state.waiting_for is WaitingFor.TIMER
    assert "3 of 4" in state.next_action
    played.worlds.unpaid.clear()
    played.to_its_end()
    played.verdict()


def test_a_refund_in_review_is_granted_and_not_paid_twice() -> None:
    played = begun(20)
    for enrollment_id in played.worlds.enrollments[:4]:
        played.worlds.in_review.add(enrollment_id)
        wish = RefundWish(
            request_id=UUID(int=enrollment_id.int ^ 1), enrollment_id=enrollment_id, cause=RefundCause.CHANGED_MIND,
            actor="student:7",
        )  # fmt: skip
        played.worlds.wishes[enrollment_id] = wish
        played.simulation.start(RefundWorkflow.run, wish, refund_workflow_id(enrollment_id))
    played.to_its_end()
    played.verdict()


def test_who_waits_for_a_person_holds_nobody_up() -> None:
    played = begun(60)
    stuck = sorted(played.worlds.enrollments)[: AT_ONCE + 2]
    for enrollment_id in stuck:
        played.worlds.places[enrollment_id].refund_ends = [RefundStatus.FAILED]
    played.simulation.run_for(timedelta(hours=3))
    assert played.run.ended is None
    progress = played.run.query(CascadeWorkflow.progress)
    assert (progress.ended, progress.waiting, progress.left) == (48, 12, 0)
    state = played.run.query(CascadeWorkflow.status)
    assert (state.waiting_for, state.needs_human) == (WaitingFor.OPERATOR, True)
    for enrollment_id in stuck:
        refund = played.simulation.runs[refund_workflow_id(enrollment_id)]
        task_id = refund.query(RefundWorkflow.status).task_id
        assert task_id is not None
        decision = DecideTask(task_id=task_id, action=TaskAction.DISMISS, actor="staff:7")
        refund.update(RefundWorkflow.decide, decision)
    played.to_its_end()
    played.verdict()
