"""Kill the worker after the steps that a plain card payment does not have: everything still happens once."""

import asyncio
import signal

import pytest
from sqlalchemy import select
from sqlmodel import col

from models.tables import Document, InvoicePayment, Mail, Refund
from models.vocabulary import Role
from sandbox.sample_academy import sample_id
from tests.chaos.test_worker_killed import dying_worker
from tests.eventually import eventually
from tests.installation import Installation, Json
from worker import running_workers
from workflows.deployment import make_current

INVOICE_STEPS = ("grant_approval", "render_document", "send_mail", "record_invoice_payment", "complete_order")
CANCELLATION_STEPS = ("refund_places", "render_document", "send_mail")


async def mails(installation: Installation) -> list[str]:
    """Which mails were sent."""
    async with installation.sessions() as session:
        sent = await session.execute(select(col(Mail.template)).where(col(Mail.status) == "sent"))
        return sorted(sent.scalars())


@pytest.mark.parametrize("step", INVOICE_STEPS)
async def test_an_approved_invoice_order(idle_installation: Installation, step: str) -> None:
    installation = idle_installation
    async with dying_worker(installation.settings, step) as process:
        await make_current(installation.temporal, installation.settings.worker_build_id)
        playing = asyncio.create_task(_play_invoice_order(installation))
        assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
        async with running_workers(installation.temporal, installation.settings):
            order = await playing
            done = await installation.order_ends(order["id"])
    assert [line["enrollment"]["status"] for line in done["lines"]] == ["active"]
    assert await mails(installation) == ["approval_requested", "invoice", "order_confirmation"]
    async with installation.sessions() as session:
        assert sorted((await session.execute(select(col(Document.kind)))).scalars()) == ["invoice", "receipt"]
        assert list((await session.execute(select(col(InvoicePayment.amount)))).scalars()) == [order["total_amount"]]


async def _play_invoice_order(installation: Installation) -> Json:
    order = (
        await installation.post_order(
            "teacher-training", by="finance", key="killed", role=Role.STAFF, method="invoice",
            payer_id=str(sample_id("person", "company")), student="aoife",
        )
    ).json()  # fmt: skip
    await installation.staff_posts(f"/v1/orders/{order['id']}/approve", {})

    async def is_invoiced() -> bool:
        return (await installation.order(order["id"]))["invoice"] is not None

    await eventually(is_invoiced, within=60)
    paid = {"amount": order["total_amount"], "received_on": "2026-01-02", "method": "bank_transfer"}
    await installation.staff_posts(f"/v1/orders/{order['id']}/mark-paid", paid)
    return order


@pytest.mark.parametrize("step", CANCELLATION_STEPS)
async def test_a_paid_order_that_staff_takes_back(idle_installation: Installation, step: str) -> None:
    installation = idle_installation
    async with running_workers(installation.temporal, installation.settings):
        await make_current(installation.temporal, installation.settings.worker_build_id)
        order = (await installation.post_order("spanish-a1")).json()
        await installation.pay(order)
        await installation.order_ends(order["id"])
    async with dying_worker(installation.settings, step) as process:
        await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"})
        assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
        async with running_workers(installation.temporal, installation.settings):
            handle = installation.temporal.get_workflow_handle(f"order-cancellation-{order['id']}")
            assert await asyncio.wait_for(handle.result(), 60) == "refunded"
    money = await installation.double.control.order(order["id"])
    assert (money.charges_succeeded, money.refunds) == (1, 1)
    assert await mails(installation) == ["order_confirmation", "refund"]
    async with installation.sessions() as session:
        assert list((await session.execute(select(col(Refund.status)))).scalars()) == ["succeeded"]
        assert sorted((await session.execute(select(col(Document.kind)))).scalars()) == ["credit_note", "receipt"]
