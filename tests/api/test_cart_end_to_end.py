"""Carts over HTTP on real parts: bought, reminded of, given up. Nothing here waits for a cart's own times."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from models.messages.mail import MailReport, SendMail
from models.tables import Cart
from models.tables.columns import now
from models.vocabulary import CartStatus, MailStatus, MailTemplate, Role
from sandbox.sample_academy import sample_id
from tests.eventually import eventually
from tests.installation import Installation, Json
from worker import build_workers

COURSE = str(sample_id("course", "spanish-a1"))


def noon_somewhere() -> str:
    """A zone in which it is noon: no quiet hours, whenever this runs."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}"  # these names count the other way


class Shop:
    """The platform with a guest at its till."""

    def __init__(self, installation: Installation) -> None:
        self.http = installation.http
        self.headers = installation.caller("platform", Role.SERVICE)
        self.email = f"{uuid4().hex}@example.org"

    async def put(self, cart_id: UUID) -> Json:
        guest = {"email": self.email, "full_name": "Greta Guest", "time_zone": noon_somewhere()}
        body = {"course_ids": [COURSE], "guest": guest}
        return _body(await self.http.put(f"/v1/carts/{cart_id}", json=body, headers=self.headers))

    async def cart(self, cart_id: UUID) -> Json:
        return _body(await self.http.get(f"/v1/carts/{cart_id}", headers=self.headers))

    async def agree(self, person_id: str) -> None:
        yes = {"is_subscribed": True, "source": "checkout", "text_version": "cart-2026-01"}
        _body(await self.http.put(f"/v1/people/{person_id}/subscriptions/cart", json=yes, headers=self.headers))


def _body(answer: httpx.Response) -> Json:
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


SendStep = Callable[[SendMail], Awaitable[MailReport]]


@pytest.fixture
def send_mail(installation: Installation, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> SendStep:
    """The step that sends, as a worker of this installation has it."""
    steps: list[Any] = []

    class Unstarted:
        def __init__(self, *_: object, activities: list[Any], **__: object) -> None:
            steps.extend(activities)

    monkeypatch.setattr("worker.Worker", Unstarted)
    with ThreadPoolExecutor(1) as executor:
        build_workers(installation.temporal, installation.settings, engine, executor)
    return cast(SendStep, next(step for step in steps if step.__name__ == "send_mail"))


async def leave(installation: Installation, cart_id: UUID) -> None:
    """The cart as it is after half an hour without a change."""
    async with installation.sessions.begin() as session:
        await session.execute(
            update(Cart)
            .where(col(Cart.id) == cart_id)
            .values(status=CartStatus.ABANDONED, abandoned_at=now(), changed_at=now())
        )


def reminder(cart: Json, number: int) -> SendMail:
    return SendMail(
        recipient_id=UUID(cart["person_id"]),
        template=MailTemplate.CART_REMINDER,
        subject_id=UUID(cart["id"]),
        workflow_id=f"cart-{cart['id']}",
        occasion=str(number),
    )


def link(mail: EmailMessage, page: str) -> str:
    """The address of one of our pages in the text of a mail."""
    part = mail.get_body(("plain",))
    assert part is not None
    found = re.search(rf"https?://\S+?/v1/{page}/[A-Za-z0-9._-]+", str(part.get_content()))
    assert found is not None, f"no link to {page}"
    return found.group()


async def run_ends(installation: Installation, cart_id: UUID) -> None:
    await asyncio.wait_for(installation.temporal.get_workflow_handle(f"cart-{cart_id}").result(), 60)


async def test_buying_ends_the_cart_and_its_job(installation: Installation) -> None:
    cart_id, headers = uuid4(), installation.caller()
    filled = _body(await installation.http.put(f"/v1/carts/{cart_id}", json={"course_ids": [COURSE]}, headers=headers))
    assert (filled["status"], filled["total_amount"]) == ("open", 4900)
    placed = await installation.http.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    assert placed.status_code == 201, placed.text
    again = await installation.http.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, placed.json()["id"])
    await installation.pay(placed.json())
    await installation.order_ends(placed.json()["id"])
    await run_ends(installation, cart_id)
    bought = _body(await installation.http.get(f"/v1/carts/{cart_id}", headers=headers))
    assert (bought["status"], bought["order_id"]) == ("ordered", placed.json()["id"])
    late = await installation.http.put(f"/v1/carts/{cart_id}", json={"course_ids": [COURSE]}, headers=headers)
    assert (late.status_code, late.json()["reason"]) == (409, "cart_over")


async def test_a_mail_leads_back_to_the_till_and_is_the_last_after_a_click(
    installation: Installation, send_mail: SendStep
) -> None:
    shop, cart_id = Shop(installation), uuid4()
    cart = await shop.put(cart_id)
    await shop.agree(cart["person_id"])
    await leave(installation, cart_id)
    report = await send_mail(reminder(cart, 1))
    assert (report.status, report.reason) == (MailStatus.SENT, None)
    [mail] = installation.mailbox.messages()

    page = await installation.http.get(link(mail, "carts/recover"))
    assert page.status_code == 200
    assert "Greta" not in page.text
    [seen] = re.findall(r'name="seen" value="([^"]+)"', page.text)
    to_pay = await installation.http.post(link(mail, "carts/recover"), data={"seen": seen}, follow_redirects=False)
    assert to_pay.status_code == 303
    assert to_pay.headers["Location"].startswith(installation.double.url)

    [address] = re.findall(r"<(https?://[^>]+)>", str(mail["List-Unsubscribe"]))
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    one_click = await installation.http.post(address, data={"List-Unsubscribe": "One-Click"}, follow_redirects=False)
    assert one_click.status_code == 200
    second = await send_mail(reminder(cart, 2))
    assert (second.status, second.reason) == (MailStatus.SKIPPED, "unsubscribed")
    assert len(installation.mailbox.messages()) == 1
    told = (await shop.cart(cart_id))["mails"]
    assert [(each["number"], each["status"], each["reason"]) for each in told] == [
        ("1", "sent", None),
        ("2", "skipped", "unsubscribed"),
    ]


async def test_no_thanks_forgets_the_cart_and_the_guest(installation: Installation, send_mail: SendStep) -> None:
    shop, cart_id = Shop(installation), uuid4()
    cart = await shop.put(cart_id)
    await shop.agree(cart["person_id"])
    await leave(installation, cart_id)
    await send_mail(reminder(cart, 1))
    [mail] = installation.mailbox.messages()
    done = await installation.http.post(link(mail, "carts/no-thanks"))
    assert done.status_code == 200
    forgotten = await shop.cart(cart_id)
    assert (forgotten["status"], forgotten["status_reason"], forgotten["lines"]) == ("cleared", "no_thanks", [])
    await run_ends(installation, cart_id)
    assert (await installation.http.get(link(mail, "carts/recover"))).status_code == 410


async def test_the_newest_cart_counts(installation: Installation) -> None:
    shop, first, second = Shop(installation), uuid4(), uuid4()
    await shop.put(first)
    await shop.put(second)

    async def is_over() -> bool:
        return bool((await shop.cart(first))["status"] == "cleared")

    await eventually(is_over)
    await run_ends(installation, first)
    assert (await shop.cart(second))["status"] == "open"
