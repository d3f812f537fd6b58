"""The invariants of `make chaos`, read of a whole installation: nothing is wrong where an order was paid and paid back."""

from chaos.invariants import what_is_wrong
from models.tables.columns import now
from tests.installation import Installation


async def test_nothing_is_wrong_after_an_order_and_its_cancellation(installation: Installation) -> None:
    since = now()
    order = (await installation.post_order("spanish-a1")).raise_for_status().json()
    await installation.pay(await installation.payable(order["id"], "lukasz"))
    await installation.order_ends(order["id"])
    await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "goodwill"})
    await installation.order_becomes(order["id"], "refunded")
    ids = [mail.header("Message-ID") for mail in installation.mailbox.mails()]
    wrong = await what_is_wrong(
        installation.sessions, installation.double.control, installation.temporal, since=since, message_ids=ids
    )
    assert wrong == []
