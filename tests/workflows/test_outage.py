"""A day without Stripe: two hundred orders wait, and every one of them ends as it should when Stripe is back."""

from collections import Counter
from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from models.identifiers import order_workflow_id
from models.messages.orders import CancelOrder
from models.vocabulary import OrderStatus
from tests.workflows.conftest import Handle, time_passes
from tests.workflows.order_world import OrderWorld, Worlds, an_order
from workflows.order import OrderWorkflow
from workflows.queues import REGISTRAR_QUEUE

STRIPE = frozenset({"request", "read", "cancel"})
EACH = 40


async def begin(environment: WorkflowEnvironment, worlds: Worlds, world: OrderWorld) -> Handle:
    request = an_order()
    worlds.add(world, request)
    return await environment.client.start_workflow(
        OrderWorkflow.run, request, id=order_workflow_id(request.order_id), task_queue=REGISTRAR_QUEUE
    )


async def test_a_day_without_stripe_loses_nothing(fast_temporal: WorkflowEnvironment, worlds: Worlds) -> None:
    kinds = ("paid before", "never paid", "cancelled meanwhile", "placed meanwhile, paid", "placed meanwhile, not paid")
    orders = {kind: [OrderWorld() for _ in range(EACH)] for kind in kinds}
    handles = {kind: [await begin(fast_temporal, worlds, world) for world in orders[kind]] for kind in kinds[:3]}
    await time_passes(fast_temporal, worlds, timedelta(minutes=1))
    for kind in kinds:
        for world in orders[kind]:
            world.down = STRIPE
    for world, handle in zip(orders["paid before"], handles["paid before"], strict=True):
        world.pay()
        await handle.signal(OrderWorkflow.payment_changed)
    for kind in kinds[3:]:
        handles[kind] = [await begin(fast_temporal, worlds, world) for world in orders[kind]]
    await time_passes(fast_temporal, worlds, timedelta(hours=12))
    for handle in handles["cancelled meanwhile"]:
        await handle.signal(OrderWorkflow.cancel, CancelOrder(actor="student:7", reason="changed_mind"))
    await time_passes(fast_temporal, worlds, timedelta(hours=12))
    before = Counter(step for kind in kinds for world in orders[kind] for step in world.did)
    assert (before["complete"], before["release"]) == (0, 0)

    for kind in kinds:
        for world in orders[kind]:
            world.down = frozenset()
    waiting = dict(enumerate(zip(orders["placed meanwhile, paid"], handles["placed meanwhile, paid"], strict=True)))
    for _ in range(8):  # who could not pay yesterday has a quarter of an hour from when it is possible
        await time_passes(fast_temporal, worlds, timedelta(minutes=5))
        for number, (world, handle) in list(waiting.items()):
            if world.is_open:
                world.pay()
                await handle.signal(OrderWorkflow.payment_changed)
                del waiting[number]
    assert not waiting

    ended = {kind: [await handle.result() for handle in handles[kind]] for kind in kinds}
    statuses = {kind: {outcome.status for outcome in ended[kind]} for kind in kinds}
    assert statuses == {
        "paid before": {OrderStatus.COMPLETED},
        "never paid": {OrderStatus.CANCELLED},
        "cancelled meanwhile": {OrderStatus.CANCELLED},
        "placed meanwhile, paid": {OrderStatus.COMPLETED},
        "placed meanwhile, not paid": {OrderStatus.CANCELLED},
    }
    for kind in kinds:
        for world in orders[kind]:
            did = set(world.did)
            assert ("complete" in did) != ("release" in did)
            assert world.mails == (["order_confirmation"] if "complete" in did else [])
