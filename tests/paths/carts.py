"""Carts that become orders, are cleared, replaced, reminded of and lost."""

from uuid import uuid4

from tests.api.test_cart_end_to_end import COURSE, Shop
from tests.ordering import until_mailed
from tests.paths.scene import Scene, path, path_that_brings_workers


@path
async def cart_bought(scene: Scene) -> None:
    installation, bought = scene.installation, uuid4()
    headers, body = installation.caller(), {"course_ids": [COURSE]}
    for _ in range(2):
        (await installation.http.put(f"/v1/carts/{bought}", json=body, headers=headers)).raise_for_status()
    await scene.keep("cart_open", f"cart-{bought}")
    order = (await installation.http.post(f"/v1/carts/{bought}/checkout", headers=headers)).json()
    await installation.pay(order)
    await scene.keep_order("paid_from_a_cart", order)
    await scene.keep_ended("cart_ordered", f"cart-{bought}")
    late = await installation.http.put(f"/v1/carts/{bought}", json=body, headers=headers)
    assert late.json()["reason"] == "cart_over"
    await scene.keep_ended("cart_refused", f"cart-{bought}")


@path
async def cart_cleared(scene: Scene) -> None:
    cleared = uuid4()
    await Shop(scene.installation).put(cleared)
    await scene.installation.temporal.get_workflow_handle(f"cart-{cleared}").execute_update("clear")
    await scene.keep_ended("cart_cleared", f"cart-{cleared}")


@path_that_brings_workers
async def carts_left(scene: Scene) -> None:
    """A month of a cart passes in ten seconds, but for who has agreed to mails: one in sixteen hours is the most."""
    older, left, lost = uuid4(), uuid4(), uuid4()
    shop = Shop(scene.installation)
    async with scene.at_work():
        await shop.agree((await shop.put(older))["person_id"])
    async with scene.at_work(cart_clock_speed=260_000):
        await shop.put(left)
        await until_mailed(scene.installation, "cart_reminder")
        await scene.keep("cart_reminded", f"cart-{left}")
        await scene.keep("cart_superseded", f"cart-{older}")
        await Shop(scene.installation).put(lost)
        await scene.keep_ended("cart_lost", f"cart-{lost}")
