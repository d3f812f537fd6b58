"""Every way a payment by Stripe can go: confirmed late, declined, on its way, wrong, too late."""

from datetime import timedelta
from uuid import UUID

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from models.errors import Reason
from models.messages.orders import CancelOrder
from models.messages.tasks import DecideTask
from models.vocabulary import OrderStatus, PaymentStatus, RefundStatus, TaskAction, TaskKind, WaitingFor
from tests.eventually import eventually
from tests.workflows.conftest import Begin, Handle, ending, lasted
from tests.workflows.order_world import OrderWorld, an_order
from workflows.order import OrderWorkflow


async def open_task(handle: Handle) -> UUID:
    """The task that the order waits for."""
    found: list[UUID] = []

    async def asks() -> bool:
        task_id = (await handle.query(OrderWorkflow.status)).task_id
        found[:] = [task_id] if task_id else []
        return bool(found)

    await eventually(asks)
    return found[0]


async def decide(handle: Handle, action: TaskAction) -> None:
    """Decide what the order asks."""
    decision = DecideTask(task_id=await open_task(handle), action=action, actor="staff:7")
    await handle.execute_update(OrderWorkflow.decide, decision)


async def test_a_payer_has_a_day_to_confirm_and_is_reminded_once(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    world.status = PaymentStatus.REQUIRES_ACTION
    await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(minutes=59))
    assert world.mails == []
    await fast_temporal.sleep(timedelta(hours=20))
    assert world.mails == ["payment_action_required"]
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert sorted(world.mails) == ["order_confirmation", "payment_action_required"]
    assert [hold.reason for hold in world.holds] == ["authentication_required"]


async def test_a_payer_who_never_confirms_loses_the_seat_after_a_day(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    world.status = PaymentStatus.REQUIRES_ACTION
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert timedelta(hours=23) < await lasted(handle) < timedelta(hours=25)
    assert world.did[-2:] == ["cancel", "release"]
    assert world.mails == ["payment_action_required"]


async def test_a_failed_confirmation_leaves_time_for_another_card(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    world.status = PaymentStatus.REQUIRES_ACTION
    await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(hours=2))
    world.decline()
    await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(minutes=10))
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert [hold.reason for hold in world.holds] == ["authentication_required", "another_try"]


async def test_three_declines_bring_a_rest_and_then_another_try(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    for _ in range(2):
        world.decline()
        await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(minutes=1))
    assert "cancel" not in world.did
    world.decline()
    await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(minutes=10))
    assert (world.status, world.mails) == (PaymentStatus.CANCELED, ["payment_declined:round_1"])
    assert (await handle.query(OrderWorkflow.status)).waiting_for == WaitingFor.TIMER
    [rest] = world.holds
    assert rest.resting_until is not None
    assert rest.until - rest.resting_until == timedelta(minutes=15)
    await fast_temporal.sleep(timedelta(minutes=6))
    assert world.attempt == 2
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED


async def test_after_three_rounds_of_declines_the_order_fails(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    for _ in range(3):
        world.decline(3)
        await handle.signal(OrderWorkflow.payment_changed)
        await fast_temporal.sleep(timedelta(minutes=16))
    assert (await ending(fast_temporal, handle)).status is OrderStatus.FAILED
    assert world.released is not None
    assert world.released.reason == "payment_declined"
    assert sorted(world.mails) == ["order_cancelled", "payment_declined:round_1", "payment_declined:round_2"]
    assert world.times("release") == 1


async def test_a_wish_to_cancel_ends_a_rest(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    world.decline(3)
    await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(minutes=5))
    await handle.signal(OrderWorkflow.cancel, CancelOrder(actor="student:7", reason="changed_mind"))
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert world.attempt == 1


async def test_payment_in_processing_keeps_the_seat_beyond_the_hold(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(status=PaymentStatus.PROCESSING)
    handle, _ = await begin(world, an_order())
    await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(days=2))
    state = await handle.query(OrderWorkflow.status)
    assert state.waiting_for == WaitingFor.STRIPE
    assert world.mails == ["payment_processing"]
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert "release" not in world.did
    assert "lapse" not in world.did


async def test_a_bank_that_takes_too_long_frees_the_seat_and_late_money_takes_it_again(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(status=PaymentStatus.PROCESSING)
    handle, _ = await begin(world, an_order())
    await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(days=20))
    assert world.times("lapse") == 1
    assert "cancel" not in world.did
    assert world.times("read") < 40
    assert (await handle.query(OrderWorkflow.status)).needs_human
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED


async def test_late_money_for_a_seat_that_is_gone_goes_back(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld(status=PaymentStatus.PROCESSING, lost_places=1)
    handle, _ = await begin(world, an_order())
    await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(days=16))
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.REFUNDED
    assert world.did[-5:] == ["complete", "receipt", "refund", "document", "mail"]
    assert sorted(world.mails) == ["payment_processing", "refund:seat_lost"]


async def test_a_bank_that_says_no_leaves_time_for_another_try(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(status=PaymentStatus.PROCESSING)
    handle, _ = await begin(world, an_order())
    await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(days=3))
    world.decline()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert sorted(world.mails) == ["order_cancelled", "payment_processing"]


async def test_who_wanted_out_while_the_bank_worked_gets_the_money_back(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(status=PaymentStatus.PROCESSING)
    handle, _ = await begin(world, an_order())
    await handle.signal(OrderWorkflow.cancel, CancelOrder(actor="student:7", reason="changed my mind"))
    await fast_temporal.sleep(timedelta(days=1))
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.REFUNDED
    assert sorted(world.mails) == ["payment_processing", "refund:cancelled"]


async def test_who_wants_out_in_the_moment_in_which_the_bank_is_done_gets_the_money_back(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(status=PaymentStatus.PROCESSING)
    handle, _ = await begin(world, an_order())
    await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(days=1))
    world.pay()
    await handle.signal(OrderWorkflow.cancel, CancelOrder(actor="student:7", reason="changed my mind"))
    assert (await ending(fast_temporal, handle)).status is OrderStatus.REFUNDED
    assert sorted(world.mails) == ["payment_processing", "refund:cancelled"]


async def test_an_order_that_was_to_make_way_stays_once_the_bank_is_working(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(status=PaymentStatus.PROCESSING)
    handle, _ = await begin(world, an_order())
    wish = CancelOrder(actor="student:7", reason="changed_mind", unless_bank_is_working=True)
    await handle.signal(OrderWorkflow.cancel, wish)
    await fast_temporal.sleep(timedelta(days=1))
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED


@pytest.mark.parametrize(("action", "status"), [("accept", OrderStatus.COMPLETED), ("refund", OrderStatus.CANCELLED)])
async def test_another_amount_is_decided_by_a_person(
    begin: Begin, fast_temporal: WorkflowEnvironment, action: str, status: OrderStatus
) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    world.pay(4899)
    await handle.signal(OrderWorkflow.payment_changed)
    task_id = await open_task(handle)
    state = await handle.query(OrderWorkflow.status)
    assert (state.waiting_for, state.needs_human) == (WaitingFor.OPERATOR, True)
    assert world.tasks[task_id].kind is TaskKind.AMOUNT_DIFFERS
    assert "complete" not in world.did
    await decide(handle, TaskAction(action))
    assert (await ending(fast_temporal, handle)).status is status
    assert [closed.decision.action for closed in world.decisions] == [action]


async def test_another_amount_that_was_refunded_by_hand_needs_no_decision(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    world.pay(4899)
    await handle.signal(OrderWorkflow.payment_changed)
    await open_task(handle)
    world.refunded = 4899
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert [closed.decision.action for closed in world.decisions] == ["dismiss"]
    assert world.times("release") == 1


async def test_a_refund_that_stripe_refuses_is_tried_again_when_a_person_says_so(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(refund_ends=[RefundStatus.FAILED])
    handle, _ = await begin(world, an_order())
    world.pay(4899)
    await handle.signal(OrderWorkflow.payment_changed)
    await decide(handle, TaskAction.REFUND)

    async def asks_again() -> bool:
        return any(task.kind is TaskKind.REFUND_FAILED for task in world.tasks.values())

    await eventually(asks_again)
    await decide(handle, TaskAction.RETRY)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert [step.attempt for step in world.refund_steps] == [1, 2]


async def test_a_decision_that_is_not_asked_for_is_refused(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    stray = DecideTask(task_id=UUID(int=7), action=TaskAction.ACCEPT, actor="staff:7")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(OrderWorkflow.decide, stray)
    assert refused.value.cause.type == Reason.TASK_NOT_OPEN  # type: ignore[union-attr]
    world.pay(1)
    await handle.signal(OrderWorkflow.payment_changed)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await decide(handle, TaskAction.DISMISS)
    assert refused.value.cause.type == Reason.ACTION_NOT_ALLOWED  # type: ignore[union-attr]
    await decide(handle, TaskAction.REFUND)
    await ending(fast_temporal, handle)
