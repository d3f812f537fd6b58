"""Orders to each of their ends, and money that belongs to none."""

from datetime import timedelta

from pydantic import SecretStr

from tests.installation import Installation, Json
from tests.integration.learning_platform import SECRET, listening
from tests.ordering import (
    ASKS_THE_BANK,
    NO_FUNDS,
    confirm_at_the_bank,
    hold_left,
    invoice_order,
    order_shows,
    paid,
    pay_by_debit,
    pay_for_nothing,
    until_mailed,
)
from tests.paths.scene import Scene, path, path_that_brings_workers


@path
async def paid_and_taken_back(scene: Scene) -> None:
    installation = scene.installation
    order = (await installation.post_order("spanish-a1", "study-skills", coupon_code="WELCOME10")).json()
    await installation.pay(order)
    done = await scene.keep_order("paid", order)
    copy = await installation.staff_posts(f"/v1/documents/{done['documents'][0]['id']}/send", {})
    await until_mailed(installation, "document_copy")
    await scene.keep_ended("document_copy", f"document-copy-{copy.json()['copy_id']}")
    await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"})
    await scene.keep_ended("paid_order_cancelled", f"order-cancellation-{order['id']}")


@path
async def free(scene: Scene) -> None:
    order = (await scene.installation.post_order("study-skills", by="grace")).json()
    await scene.keep_order("free", order)


@path
async def refused_and_cancelled(scene: Scene) -> None:
    installation = scene.installation
    waiting = (await installation.post_order("thesis-seminar", by="aoife")).json()
    await scene.keep("waiting", f"order-{waiting['id']}")
    before = [run.id async for run in installation.temporal.list_workflows()]
    assert (await installation.post_order("thesis-seminar", by="grace")).json()["reason"] == "course_full"
    [refused] = [run.id async for run in installation.temporal.list_workflows() if run.id not in before]
    await scene.keep("refused", refused)
    await installation.staff_posts(f"/v1/orders/{waiting['id']}/cancel", {"reason": "changed_mind"})
    await scene.keep_order("cancelled", waiting, "cancelled")


@path
async def confirmed(scene: Scene) -> None:
    installation = scene.installation
    order = (await installation.post_order("spanish-a1")).json()
    page = await installation.pay(order, ASKS_THE_BANK)
    await order_shows(installation, order["id"], lambda seen: hold_left(seen) > timedelta(hours=23))
    await confirm_at_the_bank(page)
    await scene.keep_order("confirmed", order)


@path
async def declined(scene: Scene) -> None:
    installation = scene.installation
    order = (await installation.post_order("spanish-a1", by="layla")).json()
    for _ in range(3):
        await installation.pay(order, NO_FUNDS)
    await until_mailed(installation, "payment_declined")
    await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "payment_trouble"})
    await scene.keep_order("declined", order, "cancelled")


async def _handed_to_the_bank(installation: Installation, student: str) -> tuple[Json, str]:
    """An order by direct debit that a bank works on, and its PaymentIntent."""
    order = (await installation.post_order("spanish-a1", by=student, method="payment_intent")).json()
    intent = await pay_by_debit(installation, order)
    await order_shows(installation, order["id"], lambda seen: hold_left(seen) > timedelta(days=13))
    return order, intent


@path
async def debit_succeeded(scene: Scene) -> None:
    installation = scene.installation
    order, intent = await _handed_to_the_bank(installation, "aoife")
    await installation.double.control.settle(intent, "succeeded")
    await scene.keep_order("debit_succeeded", order)


@path
async def debit_failed(scene: Scene) -> None:
    installation = scene.installation
    order, intent = await _handed_to_the_bank(installation, "grace")
    await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"})
    await installation.double.control.settle(intent, "failed")
    await scene.keep_order("debit_failed", order, "cancelled")


@path
async def debit_for_nothing(scene: Scene) -> None:
    """The money comes although the order was taken back, and goes back."""
    installation = scene.installation
    order, intent = await _handed_to_the_bank(installation, "grace")
    await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"})
    await installation.double.control.settle(intent, "succeeded")
    await scene.keep_ended("debit_for_nothing", f"order-{order['id']}")
    assert (await installation.order(order["id"]))["status"] == "refunded"


@path_that_brings_workers
async def opened_by_the_platform(scene: Scene) -> None:
    async with (
        listening() as platform,
        scene.at_work(provisioning_url=platform.url, provisioning_secret=SecretStr(SECRET)),
    ):
        order = (await scene.installation.post_order("spanish-a1", by="aoife")).json()
        await scene.installation.pay(order)
        await scene.keep_order("opened_by_the_platform", order)


@path
async def invoice_taken_back(scene: Scene) -> None:
    """What came by bank transfer goes back by hand."""
    installation = scene.installation
    order = await invoice_order(installation)
    await installation.staff_posts(f"/v1/orders/{order['id']}/mark-paid", paid(240000))
    await installation.order_ends(order["id"])
    await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"})
    [task] = await installation.tasks(order["id"])
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "accept"})
    await scene.keep_ended("invoice_taken_back", f"order-cancellation-{order['id']}")


@path
async def invoice(scene: Scene) -> None:
    installation = scene.installation
    order = await invoice_order(installation)
    for amount in (100000, 150000):
        await installation.staff_posts(f"/v1/orders/{order['id']}/mark-paid", paid(amount))
    [task] = await installation.tasks(order["id"])
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "accept"})
    await scene.keep_order("invoice", order)


@path
async def approved(scene: Scene) -> None:
    installation = scene.installation
    order = (await installation.post_order("teacher-training", by="aoife")).json()
    await until_mailed(installation, "approval_requested")
    await installation.staff_posts(f"/v1/orders/{order['id']}/approve", {})
    await until_mailed(installation, "order_approved")
    await installation.pay(await installation.payable(order["id"], "aoife"))
    await scene.keep_order("approved", order)


@path
async def denied(scene: Scene) -> None:
    installation = scene.installation
    order = (await installation.post_order("teacher-training", by="grace")).json()
    await installation.staff_posts(f"/v1/orders/{order['id']}/deny", {"reason": "not_eligible"})
    await scene.keep_order("denied", order, "cancelled")


@path
async def money_of_nobody(scene: Scene) -> None:
    installation = scene.installation
    await pay_for_nothing(installation)
    [task] = await installation.tasks()
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "refund"})
    await scene.keep_ended("unmatched_payment", task["workflow_id"])


@path
async def paid_twice(scene: Scene) -> None:
    installation = scene.installation
    order = (await installation.post_order("spanish-a1")).json()
    await installation.pay(order)
    await installation.order_ends(order["id"])
    await pay_for_nothing(installation, order["id"])
    [task] = await installation.tasks(order["id"])
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "refund"})
    await scene.keep_ended("paid_twice", task["workflow_id"])
