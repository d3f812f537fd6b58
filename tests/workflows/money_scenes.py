"""The jobs that move money, on the paths that they may take, and what the record says where one of them is cut off."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any
from uuid import UUID

from activities.unfinished import BUSINESS
from models.errors import Reason
from models.identifiers import order_workflow_id, refund_workflow_id, unmatched_payment_workflow_id
from models.messages.cascades import CascadeOrder
from models.messages.orders import (
    CancelCompletedOrder,
    CancelOrder,
    OrderOutcome,
    RefundPlaces,
    ReleaseOrder,
)
from models.messages.payments import PaymentOwner, UnmatchedPayment
from models.messages.refund_watch import RefundOwner
from models.messages.tasks import DecideTask
from models.vocabulary import (
    DisputeStatus,
    OrderStatus,
    PaymentMethod,
    RefundRequestStatus,
    RefundStatus,
    TaskAction,
    TaskKind,
)
from tests.workflows import test_cascade, test_dispute, test_refund, test_refund_watch
from tests.workflows.order_world import OrderWorld, Worlds, an_order
from tests.workflows.simulation import Simulation
from tests.workflows.strikes import Path, Scene, was_terminated
from tests.workflows.test_interleavings import Play, TrueWorld
from tests.workflows.test_unmatched_payment import Till
from workflows.dispute import DisputeWorkflow
from workflows.order import OrderWorkflow
from workflows.order_cancellation import OrderCancellationWorkflow
from workflows.refund import RefundWorkflow
from workflows.refund_watch import RefundWatchWorkflow
from workflows.unmatched_payment import UnmatchedPaymentWorkflow

ORDER, STAFF = UUID(int=7), "staff:7"
_CHECKOUT, _INVOICE = PaymentMethod.CHECKOUT, PaymentMethod.INVOICE


def _same() -> random.Random:
    return random.Random("the same every time")  # noqa: S311


def done_steps(simulation: Simulation) -> Counter[str]:
    """How often each step has been done, from now on."""
    done = Counter[str]()

    def counted(name: str, step: Any) -> Any:
        @wraps(step)
        async def count(*given: object) -> object:
            answer = await step(*given)
            done[name] += 1
            return answer

        return count

    simulation.steps = {name: counted(name, step) for name, step in simulation.steps.items()}
    return done


def is_left_by(job: str, status: object) -> bool:
    """Whether the search for broken jobs asks about one of these, as the record says that its business stands."""
    return status in BUSINESS[job].unfinished


def _twice(mails: Sequence[object]) -> list[str]:
    return [f"mailed twice: {mail}" for mail, times in Counter(mails).items() if times > 1]


# ---- orders ----


@dataclass
class _OrderWorld(TrueWorld):
    """One in which an order may begin anew: what is completed cannot be given back any more, as the record knows."""

    is_second_life: bool = False

    def begins_anew(self) -> None:
        self.is_second_life = True

    def release(self, step: ReleaseOrder) -> OrderStatus | None:
        if self.is_second_life and "complete" in self.did:
            return _order_status(self)
        return super().release(step)


def _order(
    script: Sequence[tuple[float, str]], method: PaymentMethod = _CHECKOUT, choice: int = 0, **facts: Any
) -> Callable[[], Scene]:
    """An order; the script says after how many minutes what happens next."""

    def begin() -> Scene:
        world = _OrderWorld(by_invoice=method is _INVOICE, **{name: _fresh(fact) for name, fact in facts.items()})
        worlds, request = Worlds(), an_order(order_id=ORDER, payment_method=method)
        worlds.add(world, request)
        simulation = Simulation(worlds.activities, _same())
        run = simulation.start(OrderWorkflow.run, request, order_workflow_id(ORDER))
        play = Play(simulation, world, run, [])
        scene = Scene(simulation, run.workflow_id)

        def perform(what: str) -> Callable[[], None]:
            def happen() -> None:
                play.order = scene.run
                play.perform(what)

            return happen

        def decide() -> None:
            world.accepted = choice == 0 and world.captured not in (0, world.total)
            _decides(scene, OrderWorkflow, world, choice)()

        scene.acts = [(timedelta(minutes=wait), perform(what)) for wait, what in script]
        scene.decide, scene.begins_anew = decide, world.begins_anew
        scene.wrongs = lambda: [*world.wrongs, *_twice(world.sent)]
        scene.owed = lambda: _order_owes(world)
        scene.is_found = lambda: is_left_by("OrderWorkflow", _order_status(world)) or _refund_is_left(world)
        return scene

    return begin


def _fresh(fact: object) -> object:
    return list(fact) if isinstance(fact, list) else fact


def _order_status(world: OrderWorld) -> OrderStatus | None:
    """How the record says that the order stands."""
    if "place" not in world.did or world.place_refuses:
        return None
    if world.released is not None:
        return world.released.status
    if "complete" not in world.did:
        return OrderStatus.PENDING_PAYMENT
    back = world.refunded or RefundStatus.SUCCEEDED in world.settled
    asked = any(isinstance(step, RefundPlaces) for step in world.refund_steps)
    return OrderStatus.REFUNDED if asked and (back or world.by_invoice) else OrderStatus.COMPLETED


def _order_owes(world: TrueWorld) -> list[str]:
    status = _order_status(world)
    if status is None:
        return []
    if status is OrderStatus.PENDING_PAYMENT:
        return [f"pending, {world.came_in} in, {world.refunded} back"]
    owed = [each for each in world.verdict(OrderOutcome(order_id=ORDER, status=status)) if each not in world.wrongs]
    if status is OrderStatus.COMPLETED and world.lost_places:
        owed.append("a place is lost, its money is not back")
    return owed


def _refund_is_left(world: OrderWorld) -> bool:
    """What the record shows beside the order's status, as the search for broken jobs asks for it: a place that is lost
    without a refund, one that has not gone back, more by invoice than is kept."""
    lost = _order_status(world) is OrderStatus.COMPLETED and world.lost_places > 0
    in_doubt = any(isinstance(step, RefundPlaces) for step in world.refund_steps) and not world.settled
    came_in, is_kept = sum(world.paid_by_invoice.values()), "complete" in world.did
    is_settled = any(world.tasks[each.decision.task_id].kind is TaskKind.PAY_BACK for each in world.decisions)
    return lost or (in_doubt and not world.refunded) or (came_in > (world.total if is_kept else 0) and not is_settled)


_ORDERS: dict[str, Callable[[], Scene]] = {
    "paid": _order([(3, "pay"), (1, "webhook")]),
    "nothing to pay": _order([], total=0),
    "refused": _order([], place_refuses=Reason.COURSE_FULL),
    "confirmed and paid": _order([(3, "ask to confirm"), (1, "webhook"), (600, "pay"), (0, "webhook")]),
    "declined, then paid": _order(
        [(1, "decline"), (1, "decline"), (1, "decline"), (0, "webhook"), (40, "pay"), (0, "webhook")]
    ),
    "bank pays": _order([(1, "hand to the bank"), (0, "webhook"), (600, "bank pays"), (0, "webhook")]),
    "cancelled while the bank works": _order(
        [(1, "hand to the bank"), (0, "webhook"), (5, "staff cancels"), (600, "bank pays"), (0, "webhook")]
    ),
    "bank refuses": _order([(1, "hand to the bank"), (0, "webhook"), (600, "bank refuses"), (0, "webhook")]),
    "not paid": _order([]),
    "cancelled by staff": _order([(3, "staff cancels")]),
    "stripe hesitates": _order([(3, "student cancels")], cancels_in_vain=2),
    "another amount, accepted": _order([(3, "pay another amount"), (0, "webhook")]),
    "another amount, paid back": _order([(3, "pay another amount"), (0, "webhook")], choice=1),
    "another amount, stripe refuses": _order(
        [(3, "pay another amount"), (0, "webhook")], choice=1, refund_ends=[RefundStatus.FAILED]
    ),
    "a place is lost": _order([(3, "pay"), (0, "webhook")], lost_places=1),
    "a place is lost, stripe refuses": _order(
        [(3, "pay"), (0, "webhook")], lost_places=1, refund_ends=[RefundStatus.FAILED, RefundStatus.FAILED]
    ),
    "approved and paid": _order([(3, "approve"), (3, "pay"), (0, "webhook")], approvers=2),
    "denied": _order([(3, "deny")], approvers=2),
    "invoice": _order([(1440, "half of it comes"), (1440, "half of it comes")], _INVOICE),
    "invoice, too much comes": _order([(1440, "half of it comes"), (1440, "all of it comes")], _INVOICE),
    "invoice, a place is lost": _order([(1440, "all of it comes")], _INVOICE, lost_places=1),
    "invoice, cancelled after a part came": _order([(1440, "half of it comes"), (60, "staff cancels")], _INVOICE),
    "invoice, never paid": _order([], _INVOICE),
}


# ---- what goes back ----


def _cancellation(**facts: Any) -> Callable[[], Scene]:
    def begin() -> Scene:
        world = OrderWorld(captured=4900, **{name: _fresh(fact) for name, fact in facts.items()})
        worlds, request = Worlds(), an_order(order_id=ORDER)
        worlds.add(world, request)
        simulation = Simulation(worlds.activities, _same())
        wish = CancelOrder(actor=STAFF, reason="course_changed")
        taken_back = CancelCompletedOrder(order_id=ORDER, payer_id=request.payer_id, wish=wish)
        run = simulation.start(OrderCancellationWorkflow.run, taken_back, f"order-cancellation-{ORDER}")
        scene = Scene(simulation, run.workflow_id)

        def status() -> OrderStatus:
            back = world.refunded or RefundStatus.SUCCEEDED in world.settled
            return OrderStatus.REFUNDED if back else OrderStatus.COMPLETED

        scene.decide = _decides(scene, OrderCancellationWorkflow, world)
        scene.wrongs = lambda: _twice(world.sent)
        scene.owed = lambda: [] if status() is OrderStatus.REFUNDED else ["its money is not back"]
        scene.is_found = lambda: is_left_by("OrderCancellationWorkflow", status())
        return scene

    return begin


def _decides(scene: Scene, job: Any, world: OrderWorld, choice: int = 0) -> Callable[[], None]:
    """Whoever decides the open task takes the first action that it allows, or another."""

    def decide() -> None:
        task_id = scene.run.query(job.status).task_id
        if task_id is not None:
            actions = world.tasks[task_id].allowed_actions
            action = actions[min(choice, len(actions) - 1)]
            scene.run.update(job.decide, DecideTask(task_id=task_id, action=action, actor=STAFF))

    return decide


def _refund(status: RefundRequestStatus | None, choice: int = 0, **facts: Any) -> Callable[[], Scene]:
    def begin() -> Scene:
        world = OrderWorld(captured=4900, **{name: _fresh(fact) for name, fact in facts.items()})
        played = test_refund.begun(status, world)
        done = done_steps(played.simulation)
        scene = Scene(played.simulation, refund_workflow_id(played.wish.enrollment_id))

        def stands() -> RefundRequestStatus | None:
            if not done["request_refund"]:
                return None
            return played.worlds.reviews[-1].status if played.worlds.reviews else status

        def owed() -> list[str]:
            back = world.refunded == 4900 or RefundStatus.SUCCEEDED in world.settled
            match stands():
                case RefundRequestStatus.APPROVED if not back:
                    return ["approved, and its money is not back"]
                case RefundRequestStatus.IN_REVIEW:
                    return ["nobody has decided"]
            return []

        def wrongs() -> list[str]:
            may = stands() is RefundRequestStatus.APPROVED
            return [*_twice(world.sent), *(["paid back, and not approved"] if world.refunded and not may else [])]

        scene.acts = [(timedelta(hours=1), lambda: None)]
        scene.decide = _decides(scene, RefundWorkflow, world, choice)
        scene.owed, scene.wrongs = owed, wrongs
        # What is approved and not paid back is found by the refunds of the request.
        scene.is_found = lambda: stands() is RefundRequestStatus.APPROVED or is_left_by("RefundWorkflow", stands())
        return scene

    return begin


def _watch(
    *turns: tuple[float, RefundStatus], owner: RefundOwner = RefundOwner.OURS, choice: int = 0
) -> Callable[[], Scene]:
    def begin() -> Scene:
        stripe = test_refund_watch.Stripe(turns[0][1])
        stripe.owner = owner
        played = test_refund_watch.watched(stripe)
        done = done_steps(played.simulation)
        scene = Scene(played.simulation, played.run.workflow_id)

        def becomes(status: RefundStatus) -> Callable[[], None]:
            def happen() -> None:
                stripe.status = status
                scene.run.signal(RefundWatchWorkflow.refund_changed)

            return happen

        def stands() -> RefundStatus | None:
            """As the record has it: what was read there last, or settled."""
            if stripe.settled:
                return stripe.settled[-1].status
            return stripe.status if done["read_refund"] else None

        def owed() -> list[str]:
            # Who cancels a watch lets the money go its way; reconciliation sees it where it goes wrong.
            ways = (RefundStatus.REQUIRES_ACTION, RefundStatus.PENDING) if was_terminated(scene.run) else ()
            return [f"the money is not back: {stands()}"] if stands() in (RefundStatus.FAILED, *ways) else []

        scene.acts = [(timedelta(days=wait), becomes(status)) for wait, status in turns[1:]]
        scene.decide = _decides(scene, RefundWatchWorkflow, stripe, choice)  # type: ignore[arg-type]
        scene.wrongs = lambda: _twice([mail for mail in stripe.mails if mail != "rendered"])
        scene.owed = owed
        scene.is_found = lambda: is_left_by("RefundWatchWorkflow", stands())
        return scene

    return begin


def _unmatched(owner: PaymentOwner, action: TaskAction, refuses: int = 0) -> Callable[[], Scene]:
    def begin() -> Scene:
        till = Till(owner=owner, refuses=refuses)
        steps = (till.find_payment, till.pay_back, till.refund_payment, till.open_task, till.close_task, till.send_mail)
        simulation = Simulation(steps, _same())
        payment = UnmatchedPayment(payment_intent_id="pi_1", order_id=None if owner is PaymentOwner.NOBODY else ORDER)
        run = simulation.start(UnmatchedPaymentWorkflow.run, payment, unmatched_payment_workflow_id("pi_1"))
        scene = Scene(simulation, run.workflow_id)

        def decide() -> None:
            task_id = scene.run.query(UnmatchedPaymentWorkflow.status).task_id
            if task_id is not None:
                decision = DecideTask(task_id=task_id, action=action, actor=STAFF)
                scene.run.update(UnmatchedPaymentWorkflow.decide, decision)

        def owed() -> list[str]:
            is_kept = any(closed.decision.action is TaskAction.DISMISS for closed in till.decisions)
            is_settled = till.refunded or is_kept or owner is PaymentOwner.ORDER
            return [] if is_settled else ["money came in that nobody has decided about"]

        scene.decide, scene.owed = decide, owed
        scene.wrongs = lambda: _twice([each for each in till.did if each.startswith("mail")])
        # A payment has no row of its own: a broken job of one is always asked about.
        scene.is_found = lambda: "UnmatchedPaymentWorkflow" not in BUSINESS
        return scene

    return begin


def _dispute(*turns: tuple[float, DisputeStatus], choice: int = 0) -> Callable[[], Scene]:
    def begin() -> Scene:
        bank = test_dispute.Bank(turns[0][1])
        played = test_dispute.begun(bank)
        scene = Scene(played.simulation, played.run.workflow_id)

        def becomes(status: DisputeStatus) -> Callable[[], None]:
            def happen() -> None:
                bank.status = status
                scene.run.signal(DisputeWorkflow.dispute_changed)

            return happen

        def decided(action: TaskAction) -> bool:
            return any(done.action is action for done in bank.done.values())

        def owed() -> list[str]:
            last = bank.recorded[-1] if bank.recorded else None
            if last is None or last in (DisputeStatus.WON, DisputeStatus.WARNING_CLOSED):
                return []
            if last is not DisputeStatus.LOST:
                return [f"the bank has not decided: {last}"]
            if decided(TaskAction.REJECT):
                return ["the places are to end"] if bank.has_places else []
            return [] if decided(TaskAction.APPROVE) else ["it is lost, nobody has said what becomes of the places"]

        def wrongs() -> list[str]:
            ends = [] if decided(TaskAction.REJECT) or bank.has_places else ["places ended, and nobody wanted it"]
            return [*ends, *(["places ended twice"] if len(bank.ended_by) > 1 else [])]

        scene.acts = [(timedelta(days=wait), becomes(status)) for wait, status in turns[1:]]
        scene.decide = _decides(scene, DisputeWorkflow, bank, choice)  # type: ignore[arg-type]
        scene.owed, scene.wrongs = owed, wrongs
        scene.is_found = lambda: (
            is_left_by("DisputeWorkflow", bank.recorded[-1])
            or (bank.recorded[-1] is DisputeStatus.LOST and bank.has_places and not decided(TaskAction.APPROVE))
        )
        return scene

    return begin


def _cascade() -> Scene:
    played = test_cascade.begun(3, "the same")
    worlds = played.worlds
    scene = Scene(played.simulation, played.run.workflow_id)
    # A cancellation pauses it.
    scene.decide = lambda: scene.run.signal(test_cascade.CascadeWorkflow.resume, CascadeOrder(actor=test_cascade.ADMIN))
    scene.wrongs = lambda: [each for world in worlds.places.values() for each in _twice(world.sent)]
    scene.owed = lambda: (
        [f"{place} is not paid back" for place, world in worlds.places.items() if world.refunded != test_cascade.PRICE]
        if worlds.began
        else []
    )
    scene.is_found = lambda: is_left_by("CascadeWorkflow", worlds.marks[-1] if worlds.marks else "running")
    return scene


def _all_of(job: str, ways: dict[str, Callable[[], Scene]]) -> tuple[Path, ...]:
    return tuple(Path(job, name, begin) for name, begin in ways.items())


_APPROVED, _IN_REVIEW = RefundRequestStatus.APPROVED, RefundRequestStatus.IN_REVIEW
_PENDING, _ACTION = RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION
_BACK, _FAILED = RefundStatus.SUCCEEDED, RefundStatus.FAILED
_NEEDS, _REVIEW = DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW

PATHS = (
    *_all_of("OrderWorkflow", _ORDERS),
    *_all_of("OrderCancellationWorkflow", {
        "paid back": _cancellation(),
        "refused by stripe": _cancellation(refund_ends=[RefundStatus.FAILED, RefundStatus.SUCCEEDED]),
    }),
    *_all_of("RefundWorkflow", {
        "by rule": _refund(_APPROVED),
        "refused": _refund(None),
        "reviewed and approved": _refund(_IN_REVIEW),
        "reviewed and rejected": _refund(_IN_REVIEW, 1),
        "failed at stripe, tried again": _refund(_APPROVED, refund_ends=[_FAILED, _BACK]),
        "failed at stripe, paid another way": _refund(_APPROVED, 1, refund_ends=[_FAILED]),
    }),
    *_all_of("RefundWatchWorkflow", {
        "succeeded": _watch((0, _BACK)),
        "pending, then succeeded": _watch((0, _PENDING), (8, _BACK)),
        "failed, paid another way": _watch((0, _PENDING), (1, _FAILED)),
        "the payer has to act": _watch((0, _ACTION), (1, _BACK)),
        "sent back by the bank": _watch((0, _BACK), (3, _FAILED)),
        "somebody's who made it at Stripe": _watch((0, _BACK), owner=RefundOwner.ADOPTED),
    }),
    *_all_of("UnmatchedPaymentWorkflow", {
        "nobody's, paid back": _unmatched(PaymentOwner.NOBODY, TaskAction.REFUND),
        "nobody's, kept": _unmatched(PaymentOwner.NOBODY, TaskAction.DISMISS),
        "nobody's, refused once": _unmatched(PaymentOwner.NOBODY, TaskAction.REFUND, refuses=1),
        "second, paid back": _unmatched(PaymentOwner.SECOND, TaskAction.REFUND),
        "too late": _unmatched(PaymentOwner.LATE, TaskAction.REFUND),
        "an order's own": _unmatched(PaymentOwner.ORDER, TaskAction.DISMISS),
    }),
    *_all_of("DisputeWorkflow", {
        "won": _dispute((0, _NEEDS), (1, _REVIEW), (2, DisputeStatus.WON)),
        "lost, places kept": _dispute((0, _NEEDS), (1, _REVIEW), (2, DisputeStatus.LOST)),
        "lost, places ended": _dispute((0, _NEEDS), (1, _REVIEW), (2, DisputeStatus.LOST), choice=1),
        "a warning": _dispute((0, DisputeStatus.WARNING_NEEDS_RESPONSE), (5, DisputeStatus.WARNING_CLOSED)),
    }),
    *_all_of("CascadeWorkflow", {"three places": _cascade}),
)  # fmt: skip
