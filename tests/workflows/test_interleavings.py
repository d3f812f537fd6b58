"""Random payers, banks, webhooks and people against the order's story, checked against a small model of the truth.

Every run is one order with a script of its own: Stripe's objects change as they may, webhooks are lost, repeated and
late, people cancel, activities fail. Whatever the order, in the end money and places agree.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from models.identifiers import order_workflow_id
from models.messages.orders import CancelOrder, CompletedOrder, CompleteOrder, OrderOutcome, ReleaseOrder
from models.messages.tasks import DecideTask
from models.vocabulary import OrderStatus, PaymentStatus, TaskAction, WaitingFor
from tests.workflows.conftest import Handle, time_passes
from tests.workflows.order_world import OrderWorld, Worlds, an_order
from workflows.order import OrderWorkflow
from workflows.queues import REGISTRAR_QUEUE

RUNS_AT_ONCE = 100
BATCHES = 6
STEPS = ("place", "request", "read", "cancel", "complete", "release", "receipt", "mail", "hold", "refund")


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
        if self.captured <= self.refunded:
            self.wrongs.append("completed without money")
        if "release" in self.did:
            self.wrongs.append("completed after the places were given back")
        return super().complete(step)

    def release(self, step: ReleaseOrder) -> None:
        if self.is_open:
            self.wrongs.append("places given back while somebody could pay")
        if self.captured > self.refunded:
            self.wrongs.append("places given back while money was there")
        if self.status is PaymentStatus.PROCESSING:
            self.wrongs.append("places given back for good while the bank worked")
        super().release(step)

    def lapse(self) -> None:
        if self.status is not PaymentStatus.PROCESSING:
            self.wrongs.append("lapsed although no bank worked")
        super().lapse()

    def verdict(self, outcome: OrderOutcome) -> list[str]:
        """What is wrong with how it ended."""
        wrongs = list(self.wrongs)
        # A step may be tried again although it was done: what counts is whether it was done at all.
        ended = Counter(set(self.did))
        match outcome.status:
            case OrderStatus.COMPLETED:
                right = ended["complete"] == 1 and ended["release"] == 0 and self.refunded == 0
                right = right and (self.captured == self.total or self.accepted)
            case OrderStatus.REFUNDED:
                right = ended["complete"] == 1 and self.refunded == self.captured > 0
            case OrderStatus.CANCELLED | OrderStatus.FAILED:
                right = ended["complete"] == 0 and ended["release"] == 1 and self.refunded == self.captured
            case _:
                right = False
        if not right:
            wrongs.append(f"{outcome.status}: {self.captured} in, {self.refunded} back, {dict(ended)}")
        if len(set(self.mails)) < len(self.mails):
            wrongs.append(f"mailed twice: {self.mails}")
        return wrongs


@dataclass
class Play:
    """One order with its script: what happens at which minute."""

    world: TrueWorld
    handle: Handle
    script: list[tuple[int, str]]
    chance: random.Random

    async def perform(self, what: str) -> None:
        """Let it happen, if it can, and let the webhook come or get lost."""
        changed = _moves(what)(self.world)
        if changed or what == "webhook":
            for _ in range(self.chance.choice((0, 1, 1, 1, 3))):
                await self._signal(lambda: self.handle.signal(OrderWorkflow.payment_changed))
        elif what == "student cancels":
            wish = CancelOrder(actor="student:7", reason="changed_mind")
            await self._signal(lambda: self.handle.signal(OrderWorkflow.cancel, wish))
        elif what == "staff cancels":
            wish = CancelOrder(actor="staff:7", reason="course_changed")
            await self._signal(lambda: self.handle.signal(OrderWorkflow.cancel, wish))
        elif what == "operator cancels":
            await self._signal(self.handle.cancel)

    async def is_waiting(self) -> bool:
        """Whether the order is not over yet."""
        return (await self.handle.query(OrderWorkflow.status)).waiting_for != WaitingFor.NOTHING

    async def decide(self) -> None:
        """Decide the open task, if there is one."""
        state = await self.handle.query(OrderWorkflow.status)
        if state.task_id is None:
            return
        action = self.chance.choice((TaskAction.ACCEPT, TaskAction.REFUND))
        self.world.accepted = action is TaskAction.ACCEPT
        decision = DecideTask(task_id=state.task_id, action=action, actor="staff:7")
        try:
            await self.handle.execute_update(OrderWorkflow.decide, decision)
        except WorkflowUpdateFailedError:
            self.world.accepted = False

    async def _signal(self, send: Callable[[], "asyncio.Future[None] | object"]) -> None:
        try:
            await send()  # type: ignore[misc]
        except RPCError:  # the order is over
            return


def _moves(what: str) -> Callable[[TrueWorld], bool]:
    """How it changes Stripe's object; answers whether it did."""

    def move(world: TrueWorld) -> bool:
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

    return move


_EVENTS = (
    "pay", "pay", "pay another amount", "decline", "decline", "decline", "ask to confirm", "hand to the bank",
    "bank pays", "bank refuses", "webhook", "webhook", "student cancels", "staff cancels", "operator cancels",
)  # fmt: skip
_MINUTES = (0, 1, 2, 4, 5, 9, 14, 15, 16, 20, 31, 45, 70, 600, 1440, 1450, 3 * 1440, 15 * 1440, 16 * 1440)


def _chance(batch: int, run: int) -> random.Random:
    return random.Random(f"{batch}-{run}")  # noqa: S311 - the same scripts every time


def _script(chance: random.Random) -> list[tuple[int, str]]:
    times = sorted(chance.choices(_MINUTES, k=chance.randint(0, 9)))
    return [(minute, chance.choice(_EVENTS)) for minute in times]


@pytest.mark.parametrize("batch", range(BATCHES))
async def test_money_and_places_agree_whatever_happens(
    fast_temporal: WorkflowEnvironment, worlds: Worlds, batch: int
) -> None:
    plays = [await _begin(fast_temporal, worlds, _chance(batch, run)) for run in range(RUNS_AT_ONCE)]
    clock = 0
    for minute in sorted({minute for play in plays for minute, _ in play.script}):
        await time_passes(fast_temporal, worlds, timedelta(minutes=minute - clock))
        clock = minute
        await asyncio.gather(*(play.perform(what) for play in plays for at, what in play.script if at == minute))
    await time_passes(fast_temporal, worlds, timedelta(days=3))
    for play in plays:
        await play.perform("bank pays")
    waiting = plays
    for _ in range(10):
        await time_passes(fast_temporal, worlds, timedelta(days=1))
        waiting = [play for play in waiting if await play.is_waiting()]
        for play in waiting:
            await play.decide()
    assert not waiting, [(play.script, play.world.did) for play in waiting]
    outcomes = [await play.handle.result() for play in plays]
    wrong = [
        (play.world.verdict(outcome), play.script, play.world.did)
        for play, outcome in zip(plays, outcomes, strict=True)
        if play.world.verdict(outcome)
    ]
    assert not wrong, "\n".join(str(told) for told in wrong)
    assert len({outcome.status for outcome in outcomes}) >= 3, "the scripts hardly differ"


async def _begin(environment: WorkflowEnvironment, worlds: Worlds, chance: random.Random) -> Play:
    world = TrueWorld(
        lost_places=chance.choice((0, 0, 1)),
        cancels_in_vain=chance.choice((0, 0, 0, 2)),
        fail_first={step: chance.choice((0, 0, 0, 1, 2)) for step in STEPS},
    )
    request = an_order(order_id=UUID(int=chance.getrandbits(128)))
    worlds.add(world, request)
    handle = await environment.client.start_workflow(
        OrderWorkflow.run, request, id=order_workflow_id(request.order_id), task_queue=REGISTRAR_QUEUE
    )
    return Play(world, handle, _script(chance), chance)
