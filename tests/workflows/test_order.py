"""The order's story on the fast time-skipping server: how it waits, ends, and what it never does twice."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import get_type_hints

import pytest
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.documents import DocumentActivities
from activities.mail import MailActivities
from activities.orders import OrderActivities
from activities.stripe import StripeActivities
from models.errors import Reason
from models.identifiers import order_workflow_id
from models.messages.orders import CancelOrder, Checkout, CheckoutRequest, OrderOutcome, OrderRequest
from models.vocabulary import MailStatus, OrderStatus, PaymentStatus, WaitingFor
from tests.eventually import eventually
from tests.workflows.order_world import DIGEST, OrderWorld, an_order
from worker import sandboxed_runner
from workflows.order import OrderWorkflow
from workflows.queues import DOCUMENTS_QUEUE, REGISTRAR_QUEUE

Handle = WorkflowHandle[OrderWorkflow, OrderOutcome]
Begin = Callable[[OrderWorld, OrderRequest], Awaitable[tuple[Handle, Checkout]]]


@pytest.fixture
async def begin(fast_temporal: WorkflowEnvironment) -> AsyncIterator[Begin]:
    """Start an order in a world as the API does: update-with-start, answered once it can be paid."""
    async with AsyncExitStack() as workers:

        async def start(world: OrderWorld, request: OrderRequest) -> tuple[Handle, Checkout]:
            client = fast_temporal.client
            for queue in (REGISTRAR_QUEUE, DOCUMENTS_QUEUE):
                await workers.enter_async_context(
                    Worker(
                        client,
                        task_queue=queue,
                        workflows=[OrderWorkflow],
                        activities=world.activities,
                        workflow_runner=sandboxed_runner(),
                    )
                )
            return await checkout(client, request)

        yield start


async def checkout(client: Client, request: OrderRequest, digest: str = DIGEST) -> tuple[Handle, Checkout]:
    operation = WithStartWorkflowOperation(
        OrderWorkflow.run,
        request,
        id=order_workflow_id(request.order_id),
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )
    answer = await client.execute_update_with_start_workflow(
        OrderWorkflow.checkout, CheckoutRequest(digest=digest), start_workflow_operation=operation
    )
    return await operation.workflow_handle(), answer


async def ending(environment: WorkflowEnvironment, handle: Handle) -> OrderOutcome:
    """The outcome, with the server's clock running ahead to it."""
    async with environment.time_skipping_unlocked():  # type: ignore[attr-defined]
        return await handle.result()


async def test_paid_order_is_completed_once(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, answer = await begin(world, an_order())
    assert (answer.status, answer.total.amount) == (OrderStatus.PENDING_PAYMENT, 4900)
    waiting = await handle.query(OrderWorkflow.status)
    assert (waiting.waiting_for, waiting.needs_human) == (WaitingFor.PAYMENT, False)
    world.pay()
    for _ in range(5):
        await handle.signal(OrderWorkflow.payment_changed)
    outcome = await ending(fast_temporal, handle)
    assert outcome.status is OrderStatus.COMPLETED
    assert [step for step in world.did if step != "read"] == ["place", "request", "complete", "receipt", "mail"]


async def test_hold_expiry_cancels_the_payment_before_it_frees_the_seat(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    outcome = await ending(fast_temporal, handle)
    assert outcome.status is OrderStatus.CANCELLED
    assert world.did == ["place", "request", "cancel", "release"]
    assert world.released is not None
    assert (world.released.actor, world.released.reason) == ("system", "hold_expired")
    run = await handle.describe()
    assert run.close_time is not None
    assert timedelta(minutes=14) < run.close_time - run.start_time < timedelta(minutes=16)


async def test_late_payment_that_beat_the_expiry_is_honoured(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    world.pay()  # the webhook never comes
    outcome = await ending(fast_temporal, handle)
    assert outcome.status is OrderStatus.COMPLETED
    assert world.did == ["place", "request", "cancel", "complete", "receipt", "mail"]


async def test_payment_in_processing_keeps_the_seat_beyond_the_hold(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(status=PaymentStatus.PROCESSING)
    handle, _ = await begin(world, an_order())
    await handle.signal(OrderWorkflow.payment_changed)
    await fast_temporal.sleep(timedelta(days=2))
    assert (await handle.query(OrderWorkflow.status)).waiting_for == WaitingFor.STRIPE
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert "release" not in world.did


async def test_a_bank_that_never_answers_is_asked_once_a_day(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld(status=PaymentStatus.PROCESSING)
    handle, _ = await begin(world, an_order())
    await fast_temporal.sleep(timedelta(days=20))
    assert 6 <= world.did.count("cancel") <= 9
    world.pay()
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED


@pytest.mark.parametrize("wish", ["signal", "temporal"])
async def test_cancelling_an_unpaid_order(begin: Begin, fast_temporal: WorkflowEnvironment, wish: str) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    if wish == "signal":
        await handle.signal(OrderWorkflow.cancel, CancelOrder(actor="staff:7", reason="changed their mind"))
    else:
        await handle.cancel()
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert world.did == ["place", "request", "cancel", "release"]
    assert world.released is not None
    assert world.released.reason == ("changed their mind" if wish == "signal" else "workflow_cancelled")


async def test_a_payment_that_will_not_be_cancelled_is_asked_again_without_haste(
    begin: Begin, fast_temporal: WorkflowEnvironment
) -> None:
    world = OrderWorld(cancels_in_vain=3)
    handle, _ = await begin(world, an_order())
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert world.did == ["place", "request", "cancel", "cancel", "cancel", "cancel", "release"]
    run = await handle.describe()
    assert run.close_time is not None
    assert run.close_time - run.start_time > timedelta(minutes=17)


async def test_cancelling_a_paid_order_changes_nothing(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    world.pay()
    await handle.cancel()
    assert (await ending(fast_temporal, handle)).status is OrderStatus.COMPLETED
    assert "release" not in world.did


async def test_another_amount_waits_for_a_person(begin: Begin, fast_temporal: WorkflowEnvironment) -> None:
    world = OrderWorld()
    handle, _ = await begin(world, an_order())
    world.pay(4899)
    await handle.signal(OrderWorkflow.payment_changed)

    async def needs_human() -> bool:
        return (await handle.query(OrderWorkflow.status)).needs_human

    await eventually(needs_human)
    assert (await handle.query(OrderWorkflow.status)).waiting_for == WaitingFor.OPERATOR
    assert "complete" not in world.did
    world.refunded = 4899
    await handle.signal(OrderWorkflow.payment_changed)
    assert (await ending(fast_temporal, handle)).status is OrderStatus.CANCELLED
    assert world.did.count("release") == 1


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


def test_the_world_has_the_signatures_of_the_real_activities() -> None:
    real = {
        name: method
        for owner in (OrderActivities, StripeActivities, DocumentActivities, MailActivities)
        for name, method in inspect.getmembers(owner, inspect.isfunction)
        if hasattr(method, "__temporal_activity_definition")
    }
    stand_ins = {method.__name__: method for method in OrderWorld().activities}  # type: ignore[attr-defined]
    assert stand_ins.keys() == real.keys()
    for name, method in real.items():
        assert list(get_type_hints(stand_ins[name]).values()) == list(get_type_hints(method).values()), name
