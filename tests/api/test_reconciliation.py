"""Webhooks that never come, on all the real parts: reconciliation and the catch-up find what nobody told of."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from models.messages.reconciliation import CatchUp, CaughtUp, Reconcile, ReconciliationOutcome
from models.tables import Order, Payment, StripeEvent
from models.vocabulary import OrderStatus, PaymentStatus, StripeEventStatus
from sandbox.fingerprint import fingerprint
from tests.installation import Installation, Json
from workflows.queues import REGISTRAR_QUEUE
from workflows.reconciliation import ReconciliationWorkflow
from workflows.stripe_catch_up import StripeCatchUpWorkflow

NOW = Reconcile(settle_minutes=0, healing_minutes=0)


async def paid_orders(installation: Installation, code: str, *students: str) -> list[Json]:
    """The course bought by each of them, and paid on Stripe's page, whose payers never come back from it."""
    posted = [await installation.post_order(code, by=student) for student in students]
    orders = [each.raise_for_status().json() for each in posted]
    await asyncio.gather(*(installation.pay(order) for order in orders))
    await installation.double.control.webhooks_settled()
    return orders


async def statuses(installation: Installation) -> dict[OrderStatus, int]:
    """How many orders there are of each."""
    query = select(col(Order.status), func.count()).group_by(col(Order.status))
    async with installation.sessions() as session:
        return {OrderStatus(row[0]): row[1] for row in await session.execute(query)}


async def all_end(installation: Installation, orders: Sequence[Json]) -> None:
    await asyncio.gather(*(installation.order_ends(order["id"]) for order in orders))


async def test_orders_whose_webhooks_never_came_are_all_correct_after_one_sweep(
    installation: Installation, engine: AsyncEngine
) -> None:
    control, temporal = installation.double.control, installation.temporal

    async def reconcile(name: str) -> ReconciliationOutcome:
        return await temporal.execute_workflow(ReconciliationWorkflow.run, NOW, id=name, task_queue=REGISTRAR_QUEUE)

    told = await paid_orders(installation, "spanish-a1", "lukasz", "layla")
    await all_end(installation, told)
    await control.configure_deliveries(drop_fraction=1, drop_for_good=True)
    untold = await paid_orders(installation, "spanish-a1", "xiaoming", "aoife", "grace")
    assert await statuses(installation) == {OrderStatus.COMPLETED: 2, OrderStatus.PENDING_PAYMENT: 3}

    outcome = await reconcile("reconcile-1")
    assert (outcome.found, outcome.told, outcome.asked) == (3, 3, 0)
    await all_end(installation, untold)
    assert await statuses(installation) == {OrderStatus.COMPLETED: 5}
    async with installation.sessions() as session:
        is_whole = (col(Payment.status) == PaymentStatus.SUCCEEDED) & (
            col(Payment.captured_amount) == col(Payment.amount)
        )
        assert (await session.execute(select(func.count()).where(is_whole))).scalar_one() == 5
    # The next run finds them right, and the one after it has nothing to change.
    assert (await reconcile("reconcile-2")).found == 0
    before = await fingerprint(engine)
    assert (await reconcile("reconcile-3")).found == 0
    assert await fingerprint(engine) == before

    # What Stripe has told is read again as well: those events that no webhook brought are passed on, once.
    last = await paid_orders(installation, "french-a2", "haruka")
    caught: list[CaughtUp] = []
    for number in range(2):
        caught.append(
            await temporal.execute_workflow(
                StripeCatchUpWorkflow.run, CatchUp(), id=f"stripe-events-{number}", task_queue=REGISTRAR_QUEUE
            )
        )
    await all_end(installation, last)
    assert caught[0].missed == caught[0].passed_on > 3
    assert (caught[1].missed, caught[1].passed_on, caught[1].read) == (0, 0, caught[0].read)
    async with installation.sessions() as session:
        became = set((await session.execute(select(col(StripeEvent.status)))).scalars())
    assert StripeEventStatus.RECEIVED not in became
