"""Refunds followed over webhooks and schedules, on real parts: Stripe changes its mind, the Dashboard is used."""

import contextlib
from uuid import UUID

import httpx
from sqlalchemy import select
from sqlmodel import col
from temporalio.service import RPCError

from models.identifiers import refund_watch_workflow_id
from models.tables import Payment, Refund, StripeEvent
from models.vocabulary import RefundStatus
from schedules import SCHEDULES
from tests.eventually import eventually
from tests.installation import Installation, Json
from tests.ordering import pay_for_nothing, until_mailed
from workflows.recurring import UTC
from workflows.schedule_server import apply_schedules


async def paid_order(installation: Installation) -> Json:
    order = (await installation.post_order("spanish-a1", by="aoife")).json()
    await installation.pay(order)
    return await installation.order_ends(order["id"])


async def in_dashboard(installation: Installation, order: Json, **params: str) -> str:
    """Somebody clicks "Refund" in Stripe's Dashboard."""
    async with installation.sessions() as session:
        query = select(col(Payment.payment_intent_id)).where(col(Payment.order_id) == UUID(order["id"]))
        intent = (await session.execute(query)).scalar_one()
    async with httpx.AsyncClient(base_url=installation.double.url) as stripe:
        headers = {"Authorization": f"Bearer {installation.double.api_key}"}
        made = await stripe.post("/v1/refunds", data={"payment_intent": str(intent), **params}, headers=headers)
    refund_id: str = made.raise_for_status().json()["id"]
    return refund_id


async def refund_of(installation: Installation, order: Json) -> Refund:
    async with installation.sessions() as session:
        query = select(Refund).where(col(Refund.order_id) == UUID(order["id"]))
        return (await session.execute(query)).scalar_one()


async def refund_becomes(installation: Installation, order: Json, status: RefundStatus) -> None:
    async def has_status() -> bool:
        return (await refund_of(installation, order)).status == status

    await eventually(has_status)


async def cancel_by_staff(installation: Installation, order: Json) -> None:
    await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"})
    await installation.order_becomes(order["id"], "refunded")


async def test_a_refund_of_the_dashboard_is_adopted_by_its_webhooks(installation: Installation) -> None:
    order = await paid_order(installation)
    made = await in_dashboard(installation, order)
    await installation.order_becomes(order["id"], "refunded")
    await until_mailed(installation, "refund")
    [mail] = [mail for mail in installation.mailbox.mails() if "Money back" in mail.subject]
    assert "Our team has paid money back to you." in mail.text
    assert [attachment.name[:11] for attachment in mail.attachments] == ["credit-note"]
    assert (await refund_of(installation, order)).stripe_refund_id == made
    await installation.double.control.webhooks_settled()
    async with installation.sessions() as session:
        told = select(StripeEvent.type, StripeEvent.status).where(col(StripeEvent.type).contains("refund"))
        assert {row.status for row in await session.execute(told)} <= {"signaled", "ignored"}


async def test_a_refund_of_the_dashboard_is_adopted_by_the_schedule_when_webhooks_are_lost(
    installation: Installation,
) -> None:
    order = await paid_order(installation)
    await installation.double.control.pause_webhooks()
    try:
        await in_dashboard(installation, order, amount="1000")
        sweep = [recurring for recurring in SCHEDULES if recurring.id == "refund-sweep"]
        await apply_schedules(installation.temporal, sweep, UTC)
        handle = installation.temporal.get_schedule_handle("refund-sweep")
        await handle.trigger()
        await installation.order_becomes(order["id"], "partially_refunded")
        await handle.delete()
    finally:
        await installation.double.control.resume_webhooks()
    assert (await refund_of(installation, order)).amount == 1000


async def test_what_fails_after_it_had_arrived_is_paid_out_another_way(installation: Installation) -> None:
    order = await paid_order(installation)
    await installation.double.control.next_refunds("pending")
    await cancel_by_staff(installation, order)
    refund = await refund_of(installation, order)
    assert (refund.status, refund.stripe_refund_id is None) == ("pending", False)
    assert refund.stripe_refund_id is not None
    for status in (RefundStatus.SUCCEEDED, RefundStatus.FAILED):
        await installation.double.control.move_refund(refund.stripe_refund_id, status, "declined")
        await refund_becomes(installation, order, status)
    [task] = await installation.tasks(order["id"])
    assert (task["kind"], task["allowed_actions"]) == ("alternative_payout", ["accept", "retry", "dismiss"])
    assert "failed, declined" in task["reason"]
    await until_mailed(installation, "refund_returned")
    assert (await installation.order(order["id"]))["payment"]["refunded_amount"] == 0
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "accept"})
    handle = installation.temporal.get_workflow_handle(refund_watch_workflow_id(refund.stripe_refund_id))
    assert (await handle.result())["status"] == "succeeded"
    assert (await installation.order(order["id"]))["payment"]["refunded_amount"] == order["total_amount"]


async def test_what_fails_after_its_watch_had_ended_is_found_by_its_webhook(installation: Installation) -> None:
    order = await paid_order(installation)
    await cancel_by_staff(installation, order)
    refund = await refund_of(installation, order)
    assert refund.stripe_refund_id is not None
    handle = installation.temporal.get_workflow_handle(refund_watch_workflow_id(refund.stripe_refund_id))

    async def is_watched() -> bool:
        with contextlib.suppress(RPCError):
            return bool(await handle.describe())
        return False

    await eventually(is_watched)
    await handle.cancel()
    assert (await handle.result())["status"] == "succeeded"
    await installation.double.control.move_refund(refund.stripe_refund_id, "failed", "declined")
    [task] = await installation.tasks(order["id"])
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "retry"})
    await refund_becomes(installation, order, RefundStatus.SUCCEEDED)
    again = await refund_of(installation, order)
    assert again.stripe_refund_id not in (None, refund.stripe_refund_id)
    money = await installation.double.control.order(order["id"])
    assert (money.refunds, money.refunded) == (2, order["total_amount"])


async def test_a_second_payment_goes_back_on_record_and_leaves_the_order_alone(installation: Installation) -> None:
    order = await paid_order(installation)
    await pay_for_nothing(installation, order["id"])
    [task] = await installation.tasks(order["id"])
    assert (task["kind"], task["allowed_actions"]) == ("double_payment", ["refund", "dismiss"])
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "refund"})
    await until_mailed(installation, "refund")
    refund = await refund_of(installation, order)
    assert (refund.amount, refund.reason, refund.status) == (1234, "double_payment", "succeeded")
    after = await installation.order(order["id"])
    assert (after["status"], after["payment"]["refunded_amount"]) == ("completed", 0)
    assert [line["enrollment"]["status"] for line in after["lines"]] == ["active"]
    [mail] = [mail for mail in installation.mailbox.mails() if "Money back" in mail.subject]
    assert "had been paid twice" in mail.text
    assert "€12.34" in mail.text
    assert mail.attachments == []
