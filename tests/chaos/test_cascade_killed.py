"""A cascade over HTTP whose worker is killed half way: every place ends, and is paid back exactly once."""

import asyncio
from collections import Counter
from uuid import UUID, uuid4

import httpx
from sqlalchemy import func, select, update
from sqlmodel import col

from models.tables import Enrollment, Order, Payment, Refund
from models.vocabulary import Role
from sandbox.sample_academy import sample_id
from tests.chaos.deaths import dying_worker
from tests.eventually import eventually
from tests.installation import Installation, Json
from tests.integration.many_places import PRICE, write_places
from worker import running_workers
from workflows.deployment import make_current

# On two busy cores each place takes about half a second, with its credit note, its mail and its replay.
ORDERS, PLACES_OF_AN_ORDER = 3, 10
PLACES = ORDERS * PLACES_OF_AN_ORDER
PHOTOGRAPHY = str(sample_id("course", "photography"))


async def paid_at_stripe(installation: Installation, order_id: UUID, amount: int) -> None:
    """A payment of the order that Stripe knows."""
    params = {
        "amount": str(amount),
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "confirm": "true",
        "metadata[order_id]": str(order_id),
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
    }
    async with httpx.AsyncClient(base_url=installation.double.url) as stripe:
        headers = {"Authorization": f"Bearer {installation.double.api_key}"}
        made = (await stripe.post("/v1/payment_intents", data=params, headers=headers)).raise_for_status().json()
    async with installation.sessions.begin() as session:
        known = {"payment_intent_id": made["id"]}
        await session.execute(update(Payment).where(col(Payment.order_id) == order_id).values(**known))


async def test_a_cascade_that_is_killed_half_way_ends_every_place_once(idle_installation: Installation) -> None:
    installation = idle_installation
    admin = installation.caller("finance", Role.ADMIN)
    orders: list[UUID] = []
    for number in range(ORDERS):
        # A student has one live place in a course: Grace, whose orders they are, has hers in the first.
        order_id, places = await write_places(installation.sessions, PLACES_OF_AN_ORDER, whose=number)
        assert len(places) == PLACES_OF_AN_ORDER
        await paid_at_stripe(installation, order_id, PRICE * PLACES_OF_AN_ORDER)
        orders.append(order_id)
    body: Json = {"kind": "course_removed", "course_id": PHOTOGRAPHY, "share": "full", "reason": "No room is left."}
    headers = {**admin, "Idempotency-Key": uuid4().hex}
    preview = (await installation.http.post("/v1/cascades", json={**body, "dry_run": True}, headers=headers)).json()
    assert preview["places"] == {"active": PLACES}
    assert [money["amount"] for money in preview["amounts"]] == [PRICE * PLACES]

    async with dying_worker(installation.settings, "no step at all") as victim:
        await make_current(installation.temporal, installation.settings.worker_build_id)
        started = await installation.http.post("/v1/cascades", json=body, headers=headers)
        assert started.status_code == 202, started.text
        path = started.headers["Location"]

        async def cascade() -> Json:
            found: Json = (await installation.http.get(path, headers=admin)).raise_for_status().json()
            return found

        async def is_half_way() -> bool:
            return bool((await cascade())["ended"] >= PLACES // 2)

        await eventually(is_half_way, within=90)
        victim.kill()
    assert (await cascade())["left"] > 0

    async with running_workers(installation.temporal, installation.settings):
        again = await installation.http.post("/v1/cascades", json=body, headers=headers)
        assert again.headers["Location"] == path

        async def is_done() -> bool:
            return bool((await cascade())["status"] == "done")

        await eventually(is_done, within=90)
        done = await cascade()
        assert (done["total"], done["ended"], done["reason"]) == (PLACES, PLACES, "No room is left.")
        assert [money["amount"] for money in done["refunded"]] == [PRICE * PLACES]
        paused = await installation.http.post(f"{path}/pause", headers=admin)
        assert paused.json()["reason"] == "cascade_not_running"
        handle = installation.temporal.get_workflow_handle(f"cascade-{done['id']}")
        await asyncio.wait_for(handle.result(), 60)

        async def all_are_told() -> bool:
            # The watches of the refunds go on for weeks.
            refunds = 'WorkflowType="RefundWorkflow" AND ExecutionStatus="Running"'
            return (await installation.temporal.count_workflows(refunds)).count == 0

        await eventually(all_are_told, within=90)
    for order_id in orders:
        money = await installation.double.control.order(str(order_id))
        assert money.refunds == PLACES_OF_AN_ORDER
    async with installation.sessions() as session:
        statuses = (await session.execute(select(col(Enrollment.status)))).scalars()
        assert Counter(statuses) == {"canceled": PLACES}
        refunds = select(func.count(), func.sum(col(Refund.amount))).where(col(Refund.status) == "succeeded")
        assert (await session.execute(refunds)).one() == (PLACES, PRICE * PLACES)
        ledger = select(func.sum(col(Payment.captured_amount)), func.sum(col(Payment.refunded_amount)))
        assert (await session.execute(ledger)).one() == (PRICE * PLACES, PRICE * PLACES)
        ends = (await session.execute(select(col(Order.status)))).scalars()
        assert Counter(ends) == {"refunded": ORDERS}
    histories = await installation.temporal.get_workflow_handle(f"cascade-{done['id']}").fetch_history()
    assert b"No room" not in b"".join(event.SerializeToString() for event in histories.events)
