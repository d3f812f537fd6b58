"""The invariants of `make chaos` hold for a whole installation in which an order was paid and taken back."""

from chaos.invariants import what_is_wrong
from models.tables.columns import now
from tests.installation import Installation


async def test_nothing_is_wrong_after_an_order_and_its_cancellation(installation: Installation) -> None:
    since = now()
    order = (await installation.post_order("spanish-a1")).raise_for_status().json()
    await installation.pay(await installation.payable(order["id"], "lukasz"))
    await installation.order_ends(order["id"])
    await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"})
    await installation.temporal.get_workflow_handle(f"order-cancellation-{order['id']}").result()
    ids = [mail.header("Message-ID") for mail in installation.mailbox.mails()]
    wrong = await what_is_wrong(
        installation.sessions, installation.double.control, installation.temporal, since=since, message_ids=ids
    )
    assert wrong == []
