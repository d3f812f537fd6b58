"""Orders that somebody has to approve."""

from datetime import timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from models.messages.orders import ApproveOrder, CancelOrder, DenyOrder
from models.vocabulary import OrderStatus, PaymentMethod, WaitingFor
from tests.workflows.conftest import Begin, ending, lasted
from tests.workflows.order_world import OrderWorld, an_order
from tests.workflows.test_invoices import money
from workflows.order import OrderWorkflow

APPROVAL_HOLD = timedelta(days=14)


def a_world(**changes: object) -> OrderWorld:
    return OrderWorld(approvers=1, hold=APPROVAL_HOLD, **changes)  # type: ignore[arg-type]


async def test_an_approved_order_can_be_paid(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = a_world()
    handle, answer = await begin(world, an_order())
    assert answer.waiting_for is WaitingFor.REVIEWER
    assert (await handle.query(OrderWorkflow.status)).waiting_for == WaitingFor.REVIEWER
    assert "request" not in world.did
    await handle.signal(OrderWorkflow.approve, ApproveOrder(actor="staff:7"))
    await fast_temporal.sleep(timedelta(hours=3))
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert sorted(world.mails) == ["approval_requested", "order_approved", "order_confirmation"]


async def test_nobody_decides_and_the_order_is_denied(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = a_world()
    handle, _ = await begin(world, an_order())
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert sorted(world.mails) == [
        "approval_requested",
        "approval_requested:reminder_1",
        "approval_requested:reminder_2",
        "order_denied",
    ]
    assert world.released is not None
    assert world.released.reason == "approval_expired"
    assert timedelta(days=13) < await lasted(handle) < timedelta(days=15)


async def test_a_denied_order_gives_its_seat_back(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = a_world()
    handle, _ = await begin(world, an_order())
    await handle.signal(OrderWorkflow.deny, DenyOrder(actor="staff:7", reason="not_eligible"))
    await handle.signal(OrderWorkflow.approve, ApproveOrder(actor="staff:8"))  # too late
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert sorted(world.mails) == ["approval_requested", "order_denied"]
    assert world.released is not None
    assert (world.released.actor, world.released.reason) == ("staff:7", "denied:not_eligible")


@pytest.mark.parametrize("actor", ["student:7", "staff:7"])
async def test_cancelling_while_nobody_has_decided(
    begin: Begin, fast_temporal: WorkflowEnvironment, actor: str
) -> None:
    world = a_world()
    handle, _ = await begin(world, an_order())
    await handle.signal(OrderWorkflow.cancel, CancelOrder(actor=actor, reason="changed_mind"))
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert world.mails == ["approval_requested"] + ["order_cancelled"] * actor.startswith("staff")


async def test_a_free_order_is_completed_by_the_approval(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = a_world(total=0)
    handle, _ = await begin(world, an_order())
    await handle.signal(OrderWorkflow.approve, ApproveOrder(actor="staff:7"))
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert sorted(world.mails) == ["approval_requested", "order_confirmation"]


async def test_the_invoice_is_issued_with_the_approval(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = a_world()
    handle, _ = await begin(world, an_order(payment_method=PaymentMethod.INVOICE))
    await handle.signal(OrderWorkflow.approve, ApproveOrder(actor="staff:7"))
    await handle.signal(OrderWorkflow.mark_paid, money(4900))
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert sorted(world.mails) == ["approval_requested", "invoice", "order_confirmation"]
