"""The order's story on the fast time-skipping server: how it waits, ends, and what it never does twice."""

import inspect
from datetime import timedelta
from typing import get_type_hints

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from activities.documents import DocumentActivities
from activities.drips import DripActivities
from activities.mail import MailActivities
from activities.orders import OrderActivities
from activities.provisioning import ProvisioningActivities
from activities.refunds import RefundActivities
from activities.stripe import StripeActivities
from activities.tasks import TaskActivities
from models.errors import Reason
from models.identifiers import order_workflow_id
from models.messages.orders import CancelOrder
from models.vocabulary import MailStatus, OrderStatus, WaitingFor
from tests.workflows.conftest import Begin, checkout, ending, lasted
from tests.workflows.order_world import OrderWorld, Worlds, an_order
from workflows.order import OrderWorkflow


async def test_paid_order_is_completed_once(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, answer = await begin(world, an_order())
    assert (answer.status, answer.total.amount) == (OrderStatus.PENDING_PAYMENT, 4900)
    waiting = await handle.query(OrderWorkflow.status)
    assert (waiting.waiting_for, waiting.needs_human) == (WaitingFor.PAYMENT, False)
    assert waiting.due_at == waiting.hold_expires_at
    world.pay()
    for _ in range(5):
        await handle.signal(OrderWorkflow.payment_changed)
    outcome = await ending(fast_temporal, handle)
    assert outcome.status is OrderStatus.COMPLETED
    assert [step for step in world.did if step != "read"] == ["place", "request", "complete", "receipt", "mail"]


async def test_each_place_that_is_paid_for_gets_a_job_of_its_own(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(total=0, starts_drips=True, fail_first={"drips": 2})
    handle, _ = await begin(world, an_order())
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    # Its trouble holds up no receipt and no mail.
    assert (len(world.drips), sorted(world.did)) == (1, ["complete", "drips", "mail", "place", "receipt"])


async def test_hold_expiry_cancels_the_payment_before_it_frees_the_seat(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    outcome = await ending(fast_temporal, handle)
    assert outcome.status is OrderStatus.CANCELLED
    assert world.did == ["place", "request", "read", "cancel", "release"]
    assert world.released is not None
    assert (world.released.actor, world.released.reason) == ("system", "hold_expired")
    assert timedelta(minutes=14) < await lasted(handle) < timedelta(minutes=16)


async def test_a_payment_whose_webhook_never_came_is_found_by_asking(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    world.pay()
    outcome = await ending(fast_temporal, handle)
    assert outcome.status is OrderStatus.COMPLETED
    assert world.did == ["place", "request", "read", "complete", "receipt", "mail"]
    assert await lasted(handle) < timedelta(minutes=6)


async def test_late_payment_that_beat_the_expiry_is_honoured(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    await fast_temporal.sleep(timedelta(minutes=10))
    world.pay()
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert world.did == ["place", "request", "read", "cancel", "complete", "receipt", "mail"]


@pytest.mark.parametrize("wish", ["signal", "temporal"])
async def test_staff_cancels_an_unpaid_order_and_the_payer_is_told(
    begin: Begin, fast_temporal: WorkflowEnvironment, wish: str
) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    if wish == "signal":
        await handle.signal(OrderWorkflow.cancel, CancelOrder(actor="staff:7", reason="course_changed"))
    else:
        await handle.cancel()
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert world.did == ["place", "request", "cancel", "release", "mail"]
    assert world.mails == ["order_cancelled"]
    assert world.released is not None
    assert world.released.reason == ("course_changed" if wish == "signal" else "workflow_cancelled")


async def test_students_who_cancel_get_no_mail_about_it(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    await handle.signal(OrderWorkflow.cancel, CancelOrder(actor="student:7", reason="changed_mind"))
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert world.mails == []


async def test_a_payment_that_will_not_be_cancelled_is_asked_again_without_haste(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(cancels_in_vain=3)
    handle, _ = await begin(world, an_order())
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert world.did == ["place", "request", "read", "cancel", "cancel", "cancel", "cancel", "release"]
    assert await lasted(handle) > timedelta(minutes=17)


async def test_cancelling_a_paid_order_changes_nothing(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    world.pay()
    await handle.cancel()
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert "release" not in world.did


async def test_free_order_never_meets_stripe(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld(total=0)
    handle, answer = await begin(world, an_order())
    assert answer.total.amount == 0
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert world.did == ["place", "complete", "receipt", "mail"]


async def test_refused_order_writes_nothing_and_says_why(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld(place_refuses=Reason.COURSE_FULL)
    request = an_order()
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await begin(world, request)
    assert refused.value.cause.type == Reason.COURSE_FULL  # type: ignore[union-attr]
    outcome = await fast_temporal.client.get_workflow_handle_for(
        OrderWorkflow.run, order_workflow_id(request.order_id)
    ).result()
    assert (outcome.status, outcome.refusal) == (None, Reason.COURSE_FULL)
    assert world.did == ["place"]


async def test_payment_refused_by_stripe_gives_the_seat_back(begin: Begin) -> None:
    world = OrderWorld(stripe_refuses=Reason.PAYMENT_REFUSED)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await begin(world, an_order())
    assert refused.value.cause.type == Reason.PAYMENT_REFUSED  # type: ignore[union-attr]
    assert world.did == ["place", "request", "release"]
    assert world.released is not None
    assert world.released.status is OrderStatus.FAILED


async def test_outages_delay_and_repeat_nothing(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld(fail_first={"place": 2, "request": 3, "read": 2, "complete": 2, "receipt": 2, "mail": 3})
    handle, _ = await begin(world, an_order())
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert world.did == ["place", "request", "read", "complete", "receipt", "mail"]


async def test_a_payer_who_had_to_wait_for_stripe_keeps_the_time_to_pay(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(hold=timedelta(minutes=4))
    handle, _ = await begin(world, an_order())
    [longer] = world.holds
    assert longer.reason == "payment_prepared_late"
    await fast_temporal.sleep(timedelta(minutes=12))
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED


async def test_same_key_with_another_request_is_refused(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    request = an_order()
    handle, first = await begin(OrderWorld(), request)
    _, again = await checkout(fast_temporal.client, request)
    assert again == first
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await checkout(fast_temporal.client, request, digest="b" * 64)
    assert refused.value.cause.type == Reason.IDEMPOTENCY_KEY_REUSED  # type: ignore[union-attr]
    await handle.cancel()
    await ending(fast_temporal, handle)


async def test_unknown_mail_is_told_to_the_operator(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    handle, _ = await begin(OrderWorld(total=0, mail_ends=MailStatus.UNKNOWN), an_order())
    await ending(fast_temporal, handle)
    assert "unknown" in (await handle.query(OrderWorkflow.status)).next_action


def test_the_worlds_have_the_signatures_of_the_real_activities() -> None:
    real = {
        name: method
        for owner in (
            OrderActivities,
            StripeActivities,
            RefundActivities,
            ProvisioningActivities,
            TaskActivities,
            DocumentActivities,
            MailActivities,
        )
        for name, method in inspect.getmembers(owner, inspect.isfunction)
        if hasattr(method, "__temporal_activity_definition")
    } | {"start_drips": DripActivities.start_drips}
    stand_ins = {method.__name__: method for method in Worlds().activities}  # type: ignore[attr-defined]
    assert stand_ins.keys() == real.keys()
    for name, method in real.items():
        assert list(get_type_hints(stand_ins[name]).values()) == list(get_type_hints(method).values()), name
