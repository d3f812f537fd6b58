"""The scenes of the demo about carts: one that is left and won back, one that is bought before anybody writes."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx

from models.identifiers import cart_workflow_id
from models.vocabulary import Role
from rules.marketing import slot_for
from sandbox.play import Json, Player, Scene
from sandbox.sample_academy import sample_id
from sandbox.scenes import VISA

# Half an hour without a change is a second and a half, and the hour until the first mail three seconds.
CLOCK_SPEED = 1200
_AROUND_THE_WORLD = ("Europe/Berlin", "America/New_York", "Asia/Shanghai")
_LONGEST_SCENE = timedelta(minutes=10)
_RECOVERY = re.compile(r"https?://\S+/v1/carts/recover/\S+")


def awake_zone(moment: datetime) -> str:
    """A zone in which no quiet hours hold, nor begin while the scene is played: the demo is played at night too."""
    played = (moment, moment + _LONGEST_SCENE)
    return next(
        zone for zone in _AROUND_THE_WORLD if all(slot_for((), each, ZoneInfo(zone)).reason is None for each in played)
    )


async def cart_left(player: Player, scene: Scene) -> None:
    cart_id, address = uuid4(), f"{uuid4().hex[:12]}@guests.test"
    player.say(f"A guest fills a cart and agrees to be reminded; time runs {CLOCK_SPEED} times as fast for carts here")
    guest = {
        "email": address,
        "full_name": "Ingeborg Maria von der Heydt-Wülfing",
        "locale": "de",
        "time_zone": awake_zone(datetime.now(UTC)),
    }
    body = {"course_ids": [str(sample_id("course", "french-a2"))], "guest": guest}
    await player.put(f"/v1/carts/{cart_id}", body, "platform", Role.SERVICE)
    scene.workflow_id = cart_workflow_id(cart_id)
    cart = await player.get(f"/v1/carts/{cart_id}", "support", Role.STAFF)
    yes = {"is_subscribed": True, "source": "checkout", "text_version": "2026-01"}
    await player.put(f"/v1/people/{cart['person_id']}/subscriptions/cart", yes, "platform", Role.SERVICE)
    player.say("Nobody touches it: it counts as abandoned, and an hour later a mail says what was left")
    mail = await player.mail_to(address)
    found = _RECOVERY.search(mail["text"])
    if found is None:
        raise AssertionError("the mail leads nowhere")
    player.say(f"“{mail['headers']['Subject']}”: a click on its button, without a login")
    paying = await _pressed(found.group())
    player.say("The page shows the price of now; its button leads to the payment")
    await player.pay_on_page(paying, VISA)
    won = await player.cart_is(str(cart_id), "recovered")
    await player.mailed(await player.get(f"/v1/orders/{won['order_id']}", "support", Role.STAFF))
    scene.state = won["status"]


async def cart_bought(player: Player, scene: Scene) -> None:
    cart_id = uuid4()
    player.say("Émile fills a cart too, and buys what is in it before anybody writes")
    await player.put(f"/v1/carts/{cart_id}", {"course_ids": [str(sample_id("course", "french-a2"))]}, "emile")
    scene.workflow_id = cart_workflow_id(cart_id)
    order: Json = (await player.post(f"/v1/carts/{cart_id}/checkout", {}, "emile")).json()
    await player.pay_on_page(order["payment"]["checkout_url"], VISA)
    done = await player.order_is(order["id"], "completed", "emile")
    cart = await player.cart_is(str(cart_id), "ordered")
    await player.mailed(done)
    player.say(f"{done['number']} is completed, his cart is {cart['status']}: there is nothing to remind him of")
    reminded = [mail["status"] for mail in cart["mails"] if mail["status"] == "sent"]
    if reminded:
        raise AssertionError("he was reminded of what he has bought")
    scene.state = cart["status"]


async def _pressed(page: str) -> str:
    """Open the page of a cart as a browser does and press its button: the address of the payment."""
    async with httpx.AsyncClient(timeout=timedelta(seconds=30).total_seconds()) as browser:
        (await browser.get(page)).raise_for_status()
        answer = await browser.post(page)
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise AssertionError(f"the button was answered {answer.status_code}")
        return answer.headers["Location"]


CART_SCENES = [
    Scene("A cart is left, and won back by a mail", cart_left),
    Scene("A cart that is bought in time", cart_bought),
]
