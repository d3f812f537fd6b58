"""What tests of whole orders do again and again: order, pay in every way, wait for what shows and what is mailed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
from sqlalchemy import select
from sqlmodel import col

from models.tables import Mail
from sandbox.sample_academy import sample_id
from sandbox.stripe_double.tls import tls_context
from tests.eventually import eventually
from tests.installation import Installation, Json

NO_FUNDS = "4000 0000 0000 9995"
ASKS_THE_BANK = "4000 0027 6000 3184"
DISPUTED = "4000 0000 0000 0259"
COMPANY = str(sample_id("person", "company"))


async def order_shows(installation: Installation, order_id: str, met: Callable[[Json], object]) -> Json:
    """Wait until the order, as its payer's office sees it, shows something."""
    seen: Json = {}

    async def shows() -> bool:
        seen.update(await installation.order(order_id))
        return bool(met(seen))

    await eventually(shows)
    return seen


async def mails(installation: Installation) -> list[str]:
    """The mails that were sent, by their templates."""
    async with installation.sessions() as session:
        return sorted((await session.execute(select(col(Mail.template)).where(col(Mail.status) == "sent"))).scalars())


async def until_mailed(installation: Installation, template: str) -> None:
    """Wait until such a mail was sent, or perhaps sent if a worker died over it."""
    gone = select(col(Mail.id)).where(col(Mail.template) == template, col(Mail.status).in_(("sent", "unknown")))

    async def is_mailed() -> bool:
        async with installation.sessions() as session:
            return (await session.execute(gone.limit(1))).first() is not None

    await eventually(is_mailed)


def hold_left(order: Json) -> timedelta:
    return datetime.fromisoformat(order["hold_expires_at"]) - datetime.now(UTC)


async def invoice_order(installation: Installation) -> Json:
    """The workshop for three people of a company, by invoice."""
    lines = [
        {"course_id": str(sample_id("course", "company-workshop")), "student_id": str(sample_id("person", student))}
        for student in ("grace", "aoife", "haruka")
    ]
    answer = await installation.staff_posts(
        "/v1/orders", {"lines": lines, "payment_method": "invoice", "payer_id": COMPANY}
    )
    order: Json = answer.json()
    return order


def paid(amount: int) -> Json:
    return {"amount": amount, "received_on": datetime.now(UTC).date().isoformat(), "method": "bank_transfer"}


async def confirm_at_the_bank(page: httpx.Response) -> None:
    """Confirm the payment on the bank's page, to which the hosted page leads."""
    async with httpx.AsyncClient(follow_redirects=True, verify=tls_context()) as browser:
        await browser.post(str(page.url.join(page.headers.get("Location", ""))), data={"outcome": "complete"})


async def pay_by_debit(installation: Installation, order: Json) -> str:
    """Confirm the order's PaymentIntent with a bank account; returns its id. The bank takes its time."""
    payment = order["payment"]
    intent: str = payment["client_secret"].split("_secret")[0]
    async with httpx.AsyncClient(base_url=installation.double.url, verify=tls_context()) as browser:
        confirmed = await browser.post(
            f"/v1/payment_intents/{intent}/confirm",
            data={"client_secret": payment["client_secret"], "payment_method": "pm_sepaDebit"},
            headers={"Authorization": f"Bearer {payment['publishable_key']}"},
        )
        confirmed.raise_for_status()
    return intent


async def pay_for_nothing(installation: Installation, order_id: str | None = None) -> None:
    """A payment of 12.34 EUR that no order has asked for, though it may name one."""
    params = {
        "amount": "1234",
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "confirm": "true",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        **({} if order_id is None else {"metadata[order_id]": order_id}),
    }
    async with httpx.AsyncClient(base_url=installation.double.url, verify=tls_context()) as stripe:
        headers = {"Authorization": f"Bearer {installation.double.api_key}"}
        (await stripe.post("/v1/payment_intents", data=params, headers=headers)).raise_for_status()
