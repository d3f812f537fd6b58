"""Orders by invoice: sent, reminded of, paid in parts, given up."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

from temporalio.testing import WorkflowEnvironment

from models.messages.orders import CancelOrder, MarkPaid, OrderRequest
from models.vocabulary import OrderStatus, PaymentMethod, TaskAction, TaskKind
from tests.workflows.conftest import Begin, ending, lasted
from tests.workflows.order_world import OrderWorld, an_order
from tests.workflows.test_payments import decide
from workflows.order import OrderWorkflow


def an_invoice_order() -> OrderRequest:
    return an_order(payment_method=PaymentMethod.INVOICE)


def money(amount: int, entry_id: UUID | None = None) -> MarkPaid:
    return MarkPaid(entry_id=entry_id or uuid4(), amount=amount, received_on=date(2026, 3, 1), actor="staff:7")


async def test_an_invoice_is_sent_reminded_of_and_given_up(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, answer = await begin(world, an_invoice_order())
    assert answer.status is OrderStatus.PENDING_PAYMENT
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert sorted(world.mails) == [
        "invoice",
        "invoice_reminder:after_1",
        "invoice_reminder:after_7",
        "invoice_reminder:before_3",
        "order_cancelled",
    ]
    assert world.did[:3] == ["place", "document", "mail"]
    assert world.released is not None
    assert (world.released.reason, world.released.payment) == ("invoice_unpaid", None)
    assert timedelta(days=27) < await lasted(handle) < timedelta(days=30)


async def test_parts_that_sum_up_to_the_total_pay_the_invoice(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_invoice_order())
    first = money(1900)
    for _ in range(2):  # the same money reported twice
        await handle.signal(OrderWorkflow.mark_paid, first)
    await fast_temporal.sleep(timedelta(days=12))
    assert "complete" not in world.did
    assert "19.00 EUR of 49.00 EUR" in (await handle.query(OrderWorkflow.status)).next_action
    await handle.signal(OrderWorkflow.mark_paid, money(3000))
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert sorted(world.mails) == ["invoice", "invoice_reminder:before_3", "order_confirmation"]
    assert "release" not in world.did


async def test_what_is_paid_too_much_is_paid_back_by_a_person(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_invoice_order())
    await handle.signal(OrderWorkflow.mark_paid, money(5000))
    await decide(handle, TaskAction.ACCEPT)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    [task] = world.tasks.values()
    assert (task.kind, task.reason) == (TaskKind.PAY_BACK, "1.00 EUR more came in than is owed: pay it back.")


async def test_what_came_in_for_a_cancelled_invoice_is_paid_back_by_a_person(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_invoice_order())
    await handle.signal(OrderWorkflow.mark_paid, money(1900))
    await handle.signal(OrderWorkflow.cancel, CancelOrder(actor="staff:7", reason="course_changed"))
    await decide(handle, TaskAction.ACCEPT)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert world.did.index("received") < world.did.index("release") < world.did.index("task")


async def test_after_a_long_outage_only_the_latest_reminder_is_sent(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    due = datetime.now(UTC) - timedelta(days=2)
    world = OrderWorld(invoice_due=due)
    handle, _ = await begin(world, an_invoice_order())
    await fast_temporal.sleep(timedelta(hours=1))
    assert sorted(world.mails) == ["invoice", "invoice_reminder:after_1"]
    await handle.signal(OrderWorkflow.mark_paid, money(4900))
    await ending(fast_temporal, handle)
