"""Random payers, banks, webhooks and people against the order's story, checked against a small model of the truth.

Every run is one order with a script and accidents of its own: Stripe's objects change as they may, webhooks are lost,
repeated and late, people decide, pay by bank and cancel, steps fail or lose their answers, workers are away. Whatever
the order, in the end money and places agree. A run that went wrong is named by its seed and can be played again.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import cast
from uuid import UUID

import pytest
from temporalio.client import WorkflowUpdateFailedError

from models.identifiers import order_workflow_id
from models.messages.orders import (
    ApproveOrder,
    CancelOrder,
    CompletedOrder,
    CompleteOrder,
    DenyOrder,
    MarkPaid,
    OrderOutcome,
    ReleaseOrder,
)
from models.messages.tasks import DecideTask
from models.vocabulary import OrderStatus, PaymentMethod, PaymentStatus, TaskAction, TaskKind, WaitingFor
from tests.thoroughness import parts
from tests.workflows.order_world import OrderWorld, Worlds, an_order
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.order import OrderWorkflow

RUNS_OF_A_TEST = 250
STEPS = ("place", "request", "read", "cancel", "complete", "release", "receipt", "mail", "hold", "refund")
_BY_STRIPE = ("pay", "pay", "pay another amount", "decline", "decline", "decline", "ask to confirm",
              "hand to the bank", "bank pays", "bank refuses", "webhook", "webhook")  # fmt: skip
_BY_INVOICE = ("all of it comes", "half of it comes", "half of it comes") * 3
_BY_PEOPLE = ("student cancels", "staff cancels", "operator cancels", "deny")
_MINUTES = (0, 1, 2, 4, 5, 9, 14, 15, 16, 20, 31, 45, 70, 600, 1440, 1450, 3 * 1440, 15 * 1440, 16 * 1440)


@dataclass
class TrueWorld(OrderWorld):
    """A world that notes when something happens that must never happen."""

    wrongs: list[str] = field(default_factory=list)
    accepted: bool = False

    def pay(self, amount: int | None = None) -> None:
        if self.captured:
            self.wrongs.append("paid twice")
        super().pay(amount)

    def complete(self, step: CompleteOrder) -> CompletedOrder:
        if self.total and self.came_in <= self.refunded:
            self.wrongs.append("completed without money")
        if "release" in self.did:
            self.wrongs.append("completed after the places were given back")
        return super().complete(step)

    def release(self, step: ReleaseOrder) -> OrderStatus | None:
        if self.is_open:
            self.wrongs.append("places given back while somebody could pay")
        if self.captured > self.refunded:
            self.wrongs.append("places given back while money was there")
        if self.status is PaymentStatus.PROCESSING:
            self.wrongs.append("places given back for good while the bank worked")
        return super().release(step)

    def lapse(self) -> None:
        if self.status is not PaymentStatus.PROCESSING:
            self.wrongs.append("lapsed although no bank worked")
        super().lapse()

    @property
    def is_invoiced(self) -> bool:
        return self.by_invoice and ("approve" if self.approvers else "place") in self.did

    @property
    def came_in(self) -> int:
        return self.captured + sum(self.paid_by_invoice.values())

    def verdict(self, outcome: OrderOutcome) -> list[str]:
        """What is wrong with how it ended."""
        wrongs = list(self.wrongs)
        # A step may be tried again although it was done: what counts is whether it was done at all.
        ended = Counter(set(self.did))
        by_invoice = sum(self.paid_by_invoice.values())
        owed_back = by_invoice
        match outcome.status:
            case OrderStatus.COMPLETED:
                right = ended["complete"] == 1 and ended["release"] == 0 and self.refunded == 0
                right = right and (
                    self.came_in >= self.total if by_invoice else self.captured == self.total or self.accepted
                )
                owed_back -= self.total
            case OrderStatus.REFUNDED:
                right = ended["complete"] == 1 and self.refunded == self.captured and self.came_in > 0
            case OrderStatus.CANCELLED | OrderStatus.FAILED:
                right = ended["complete"] == 0 and ended["release"] == 1 and self.refunded == self.captured
            case _:
                right = False
        if not right:
            wrongs.append(f"{outcome.status}: {self.came_in} in, {self.refunded} back, {dict(ended)}")
        asked_back = any(task.kind is TaskKind.PAY_BACK for task in self.tasks.values())
        if asked_back != (owed_back > 0):
            wrongs.append(f"{owed_back} to be paid back by hand, asked: {asked_back}")
        if len(set(self.sent)) < len(self.sent):
            wrongs.append(f"mailed twice: {self.mails}")
        return wrongs


@dataclass
class Play:
    """One order with its script: what happens at which minute."""

    simulation: Simulation
    world: TrueWorld
    order: Run
    script: list[tuple[int, str]]
    marked_paid: int = 0

    @property
    def chance(self) -> random.Random:
        return self.simulation.chance

    def to_its_end(self) -> OrderOutcome:
        """Play the script, let the bank make up its mind, and have people decide what is left to decide."""
        for minute, what in self.script:
            self.simulation.run_for(self.simulation.started + timedelta(minutes=minute) - self.simulation.now)
            self.perform(what)
        self.simulation.run_for(timedelta(days=3))
        self.perform("bank pays")
        for _ in range(60):
            self.simulation.run_for(timedelta(days=1))
            if self.order.ended is not None:
                break
            self.decide()
        return cast(OrderOutcome, self.order.result())

    def perform(self, what: str) -> None:
        """Let it happen, if it can, and let the webhook come or get lost."""
        match what:
            case "student cancels":
                self.order.signal(OrderWorkflow.cancel, CancelOrder(actor="student:7", reason="changed_mind"))
            case "staff cancels":
                self.order.signal(OrderWorkflow.cancel, CancelOrder(actor="staff:7", reason="course_changed"))
            case "operator cancels":
                self.order.cancel()
            case "approve":
                self.order.signal(OrderWorkflow.approve, ApproveOrder(actor="staff:7"))
            case "deny":
                self.order.signal(OrderWorkflow.deny, DenyOrder(actor="staff:7", reason="not_eligible"))
            case "all of it comes" | "half of it comes" if self.world.is_invoiced:
                self._bank_transfer(self.world.total if what.startswith("all") else self.world.total // 2)
            case _ if _moves(self.world, what) or what == "webhook":
                for _ in range(self.chance.choice((0, 1, 1, 1, 3))):
                    self.order.signal(OrderWorkflow.payment_changed)

    def _bank_transfer(self, amount: int) -> None:
        """Staff marks money as received, sometimes twice by mistake: the entry counts once."""
        received = MarkPaid(
            entry_id=UUID(int=self.chance.getrandbits(128)),
            amount=amount,
            received_on=date(2026, 3, 2),
            actor="staff:7",
        )
        for _ in range(self.chance.choice((1, 1, 2))):
            self.order.signal(OrderWorkflow.mark_paid, received)

    def decide(self) -> None:
        """Decide the open task, if there is one."""
        state = self.order.query(OrderWorkflow.status)
        assert state.waiting_for is not WaitingFor.REVIEWER, "nobody decided, and it was not denied"
        if state.task_id is None:
            return
        task = self.world.tasks[state.task_id]
        action = self.chance.choice(task.allowed_actions)
        if task.kind is TaskKind.AMOUNT_DIFFERS:
            self.world.accepted = action is TaskAction.ACCEPT
        try:
            self.order.update(OrderWorkflow.decide, DecideTask(task_id=state.task_id, action=action, actor="staff:7"))
        except WorkflowUpdateFailedError:
            self.world.accepted = False


def _moves(world: TrueWorld, what: str) -> bool:
    """Change Stripe's object, if it can change so; answers whether it did."""
    processing = world.status is PaymentStatus.PROCESSING
    match what:
        case "pay" if world.is_open:
            world.pay()
        case "pay another amount" if world.is_open:
            world.pay(world.total - 1)
        case "decline" if world.is_open:
            world.decline()
        case "ask to confirm" if world.is_open:
            world.status = PaymentStatus.REQUIRES_ACTION
        case "hand to the bank" if world.is_open:
            world.status = PaymentStatus.PROCESSING
        case "bank pays" if processing:
            world.pay()
        case "bank refuses" if processing:
            world.decline()
        case _:
            return False
    return True


def _begin(seed: str) -> Play:
    chance = random.Random(seed)  # noqa: S311 - the same scripts every time
    method = chance.choice((PaymentMethod.CHECKOUT, PaymentMethod.PAYMENT_INTENT, PaymentMethod.INVOICE))
    world = TrueWorld(
        by_invoice=method is PaymentMethod.INVOICE,
        lost_places=chance.choice((0, 0, 1)),
        approvers=chance.choice((0, 0, 0, 2)),
        cancels_in_vain=chance.choice((0, 0, 0, 2)),
        fail_first={step: chance.choice((0, 0, 0, 1, 2)) for step in STEPS},
    )
    request = an_order(order_id=UUID(int=chance.getrandbits(128)), payment_method=method)
    worlds = Worlds()
    worlds.add(world, request)
    mishaps = chance.choice((Mishaps(), Mishaps(answer_lost=0.1), Mishaps(worker_away=0.1), Mishaps(0.05, 0.05)))
    simulation = Simulation(worlds.activities, chance, mishaps)
    order = simulation.start(OrderWorkflow.run, request, order_workflow_id(request.order_id))
    events = (*(_BY_INVOICE if world.by_invoice else _BY_STRIPE), *_BY_PEOPLE)
    times = sorted(chance.choices(_MINUTES, k=chance.randint(0, 9)))
    script = [(minute, chance.choice(events)) for minute in times]
    if world.approvers and chance.random() < 0.8:
        script = sorted([(chance.choice(_MINUTES[:8]), "approve"), *script])
    return Play(simulation, world, order, script)


@pytest.mark.parametrize("part", parts(2, 6))
def test_money_and_places_agree_whatever_happens(part: int) -> None:
    ends = Counter[OrderStatus | None]()
    for number in range(RUNS_OF_A_TEST):
        seed = f"{part}-{number}"
        play = _begin(seed)
        outcome = play.to_its_end()
        ends[outcome.status] += 1
        received = {paid.entry_id for paid in play.order.told("mark_paid", MarkPaid)}
        assert received == set(play.world.paid_by_invoice), (seed, "money that came in is not written down")
        assert not play.world.verdict(outcome), (seed, play.script, play.world.did, play.world.verdict(outcome))
    assert min(ends[OrderStatus.COMPLETED], ends[OrderStatus.REFUNDED], ends[OrderStatus.CANCELLED]) > 20, ends
