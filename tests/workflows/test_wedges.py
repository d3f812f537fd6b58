"""What once kept a job from its end, or ended it too early: each played again."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from models.identifiers import order_cancellation_workflow_id, order_workflow_id
from models.messages.orders import CancelCompletedOrder, CancelOrder
from models.messages.tasks import DecideTask
from models.vocabulary import OrderStatus, RefundStatus, TaskAction, TaskKind, WaitingFor
from tests.workflows.order_world import OrderWorld, Worlds, an_order
from tests.workflows.simulation import Run, Simulation
from workflows.order import OrderWorkflow
from workflows.order_cancellation import OrderCancellationWorkflow

BY_STAFF = CancelOrder(actor="staff:7", reason="course_changed")
MINUTE = timedelta(minutes=1)


def begun(world: OrderWorld) -> tuple[Simulation, Run]:
    """An order that waits to be paid."""
    worlds, request = Worlds(), an_order()
    worlds.add(world, request)
    simulation = Simulation(worlds.activities, random.Random("a wedge"))  # noqa: S311
    order = simulation.start(OrderWorkflow.run, request, order_workflow_id(request.order_id))
    simulation.run_for(MINUTE)
    return simulation, order


def decide(order: Run, action: TaskAction) -> None:
    """Decide the open task."""
    task_id = order.query(OrderWorkflow.status).task_id
    assert task_id is not None
    order.update(OrderWorkflow.decide, DecideTask(task_id=task_id, action=action, actor="staff:7"))


def test_a_payment_that_stripe_does_not_cancel_is_asked_about_ever_more_rarely() -> None:
    world = OrderWorld(cancels_in_vain=20)
    simulation, order = begun(world)
    order.signal(OrderWorkflow.cancel, BY_STAFF)
    simulation.run_for(timedelta(days=5))
    assert world.times("cancel") < 20
    state = order.query(OrderWorkflow.status)
    assert (state.waiting_for, state.status) == (WaitingFor.STRIPE, OrderStatus.PENDING_PAYMENT)
    simulation.run_for(timedelta(days=15))
    assert world.released is not None
    assert world.released.actor == "staff:7"


def test_the_end_of_the_hold_does_not_hide_who_cancelled() -> None:
    world = OrderWorld(fail_first={"read": 100})
    simulation, order = begun(world)
    order.signal(OrderWorkflow.payment_changed)
    simulation.run_for(timedelta(minutes=20))
    order.signal(OrderWorkflow.cancel, BY_STAFF)
    world.fail_first = {}
    simulation.run_for(timedelta(hours=1))
    assert world.released is not None
    assert (world.released.actor, world.released.reason) == ("staff:7", "course_changed")
    assert world.mails == ["order_cancelled"]


def test_another_amount_that_stripe_does_not_pay_back_is_settled_by_a_person() -> None:
    world = OrderWorld(refund_ends=[RefundStatus.FAILED])
    simulation, order = begun(world)
    world.pay(4800)
    order.signal(OrderWorkflow.payment_changed)
    simulation.run_for(MINUTE)
    decide(order, TaskAction.REFUND)
    simulation.run_for(MINUTE)
    decide(order, TaskAction.DISMISS)
    simulation.run_for(MINUTE)
    assert order.ended is not None
    assert Counter(task.kind for task in world.tasks.values()) == {
        TaskKind.AMOUNT_DIFFERS: 1,
        TaskKind.REFUND_FAILED: 1,
    }
    assert world.times("release") == 1


def test_a_decision_that_comes_too_late_is_refused_and_not_only_ignored() -> None:
    world = OrderWorld(is_provisioned_elsewhere=True, down=frozenset({"provision"}))
    simulation, order = begun(world)
    world.pay()
    order.signal(OrderWorkflow.payment_changed)
    simulation.run_for(timedelta(hours=25))
    task_id = order.query(OrderWorkflow.status).task_id
    assert task_id is not None
    world.down = frozenset({"refund"})
    simulation.run_for(timedelta(hours=48))
    late = DecideTask(task_id=task_id, action=TaskAction.RETRY, actor="staff:7")
    with pytest.raises(WorkflowUpdateFailedError):
        order.update(OrderWorkflow.decide, late)
    assert [decision.decision.actor for decision in world.decisions] == ["system"]
    world.down = frozenset()
    simulation.run_for(timedelta(days=1))
    assert world.refunded == world.captured


def test_a_try_that_is_decided_at_the_very_end_does_not_wedge_the_order() -> None:
    world = OrderWorld(is_provisioned_elsewhere=True, down=frozenset({"provision"}))
    simulation, order = begun(world)
    world.pay()
    order.signal(OrderWorkflow.payment_changed)
    simulation.run_for(timedelta(hours=25))
    world.down = frozenset({"provision", "decided"})
    task_id = order.query(OrderWorkflow.status).task_id
    assert task_id is not None
    simulation.run_for(timedelta(hours=46, minutes=50))
    decision = DecideTask(task_id=task_id, action=TaskAction.RETRY, actor="staff:7")
    simulation.after(timedelta(minutes=40), lambda: setattr(world, "down", frozenset({"provision"})))
    order.update(OrderWorkflow.decide, decision)
    simulation.run_for(timedelta(days=1))
    assert order.ended is not None
    assert world.refunded == world.captured


def test_a_cancellation_of_a_paid_order_cannot_itself_be_cancelled_half_way() -> None:
    world, worlds, request = OrderWorld(captured=4900, fail_first={"refund": 8}), Worlds(), an_order()
    worlds.add(world, request)
    simulation = Simulation(worlds.activities, random.Random("a wedge"))  # noqa: S311
    taken_back = CancelCompletedOrder(order_id=request.order_id, payer_id=request.payer_id, wish=BY_STAFF)
    run = simulation.start(OrderCancellationWorkflow.run, taken_back, order_cancellation_workflow_id(request.order_id))
    simulation.run_for(timedelta(seconds=5))
    assert world.refunded == 0
    run.cancel()
    simulation.run_for(timedelta(hours=2))
    assert run.result() == OrderStatus.REFUNDED
    assert world.refunded == world.captured
