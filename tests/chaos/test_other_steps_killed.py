"""Kill the worker after the steps that a plain card payment does not have: everything still happens once."""

from collections import Counter
from http import HTTPStatus

from sqlalchemy import select
from sqlmodel import col

from models.tables import Document, InvoicePayment, Mail, Refund
from models.vocabulary import Role
from sandbox.sample_academy import sample_id
from tests.chaos.deaths import through_every_death
from tests.eventually import eventually
from tests.installation import Installation, Json
from worker import running_workers
from workflows.deployment import make_current

INVOICE_STEPS = ("grant_approval", "record_invoice_payment", "complete_order")
CANCELLATION_STEPS = ("refund_places", "render_document", "send_mail")
REFUND_STEPS = ("request_refund", "refund_places", "read_refund")
STUDENTS = ("layla", "xiaoming", "aoife", "grace", "haruka")


async def mails(installation: Installation) -> Counter[str]:
    """How many of each mail were sent; one that was just being handed over when its worker died may be `unknown`."""
    async with installation.sessions() as session:
        sent = await session.execute(select(col(Mail.template)).where(col(Mail.status).in_(("sent", "unknown"))))
        return Counter(sent.scalars())


async def documents(installation: Installation) -> Counter[str]:
    """How many of each document were issued."""
    async with installation.sessions() as session:
        return Counter((await session.execute(select(col(Document.kind)))).scalars())


async def test_an_approved_invoice_order_lives_through_deaths(idle_installation: Installation) -> None:
    installation = idle_installation

    async def play(number: int) -> Json:
        order = (
            await installation.post_order(
                "teacher-training", by="finance", key=f"dies-after-{INVOICE_STEPS[number]}", role=Role.STAFF,
                method="invoice", payer_id=str(sample_id("person", "company")), student=STUDENTS[number],
            )
        ).json()  # fmt: skip
        path = f"/v1/orders/{order['id']}"

        async def is_placed() -> bool:
            found = await installation.http.get(path, headers=installation.caller("finance", Role.STAFF))
            return found.is_success

        async def is_invoiced() -> bool:
            return (await installation.order(order["id"]))["invoice"] is not None

        await eventually(is_placed, within=60)
        await installation.staff_posts(f"{path}/approve", {})
        await eventually(is_invoiced, within=60)
        total = (await installation.order(order["id"]))["total_amount"]
        paid = {"amount": total, "received_on": "2026-01-02", "method": "bank_transfer"}
        await installation.staff_posts(f"{path}/mark-paid", paid)
        return await installation.order_ends(order["id"])

    done = await through_every_death(installation, INVOICE_STEPS, play)
    assert [line["enrollment"]["status"] for order in done for line in order["lines"]] == ["active"] * len(done)
    assert await documents(installation) == {"invoice": len(done), "receipt": len(done)}
    sent = await mails(installation)
    assert sent["order_confirmation"] == len(done)
    # What is not true any more when its turn comes is not sent.
    assert max(sent["invoice"], sent["approval_requested"]) <= len(done)
    async with installation.sessions() as session:
        received = list((await session.execute(select(col(InvoicePayment.amount)))).scalars())
    assert received == [order["total_amount"] for order in done]


async def test_a_paid_order_that_staff_takes_back_lives_through_deaths(idle_installation: Installation) -> None:
    installation = idle_installation
    paid: list[Json] = []
    async with running_workers(installation.temporal, installation.settings):
        await make_current(installation.temporal, installation.settings.worker_build_id)
        for step, student in zip(CANCELLATION_STEPS, STUDENTS, strict=False):
            order = (await installation.post_order("spanish-a1", by=student, key=f"taken-back-{step}")).json()
            await installation.pay(order)
            paid.append(await installation.order_ends(order["id"]))

    async def take_back(number: int) -> object:
        order_id = paid[number]["id"]
        await installation.staff_posts(f"/v1/orders/{order_id}/cancel", {"reason": "course_changed"})
        return await installation.temporal.get_workflow_handle(f"order-cancellation-{order_id}").result()

    assert await through_every_death(installation, CANCELLATION_STEPS, take_back) == ["refunded"] * len(paid)
    for order in paid:
        money = await installation.double.control.order(order["id"])
        assert (money.charges_succeeded, money.refunds) == (1, 1)
    assert await mails(installation) == {"order_confirmation": len(paid), "refund": len(paid)}
    assert await documents(installation) == {"credit_note": len(paid), "receipt": len(paid)}
    async with installation.sessions() as session:
        refunds = list((await session.execute(select(col(Refund.status)))).scalars())
    assert refunds == ["succeeded"] * len(paid)


async def test_a_refund_that_a_student_asks_for_lives_through_deaths(idle_installation: Installation) -> None:
    """Each is pending at first, so that its watch has to read it; then it arrives."""
    installation, paid = idle_installation, list[Json]()
    async with running_workers(installation.temporal, installation.settings):
        await make_current(installation.temporal, installation.settings.worker_build_id)
        for step, student in zip(REFUND_STEPS, STUDENTS, strict=False):
            order = (await installation.post_order("spanish-a1", by=student, key=f"refunded-{step}")).json()
            await installation.pay(order)
            paid.append(await installation.order_ends(order["id"]))
    await installation.double.control.next_refunds(*["pending"] * len(paid))

    async def ask(number: int) -> None:
        enrollment_id = paid[number]["lines"][0]["enrollment"]["id"]
        headers = {**installation.caller(STUDENTS[number]), "Idempotency-Key": f"wish-{number}"}
        path = f"/v1/enrollments/{enrollment_id}/refunds"

        async def is_taken() -> bool:
            answer = await installation.http.post(path, json={"cause": "changed_mind"}, headers=headers)
            return answer.status_code == HTTPStatus.CREATED

        await eventually(is_taken, within=60)
        await installation.temporal.get_workflow_handle(f"refund-{enrollment_id}").result()

    await through_every_death(installation, REFUND_STEPS, ask)
    for order in paid:
        money = await installation.double.control.order(order["id"])
        assert (money.charges_succeeded, money.refunds, money.refunded) == (1, 1, order["total_amount"])
        assert (await installation.order(order["id"]))["status"] == "refunded"
    # Finance is told of each.
    assert await mails(installation) == {kind: len(paid) for kind in ("order_confirmation", "refund", "refund_notice")}
    assert await documents(installation) == {"credit_note": len(paid), "receipt": len(paid)}
