"""Checkout Sessions: created by the client, paid on the hosted page as a person or a script would."""

import time
from typing import Any

import httpx
import pytest
import stripe

from sandbox.stripe_double import StripeDouble
from sandbox.stripe_double.money import format_amount
from sandbox.stripe_double.tls import tls_context


def line(amount: int = 4900, currency: str = "eur", name: str = "Spanish A1", quantity: int = 1) -> Any:
    price = {"currency": currency, "unit_amount": amount, "product_data": {"name": name}}
    return {"price_data": price, "quantity": quantity}


async def open_session(client: stripe.StripeClient, **fields: Any) -> Any:
    params: Any = {
        "mode": "payment",
        "line_items": [line()],
        "success_url": "https://shop.example/ok?s={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example/no",
    } | fields
    return await client.v1.checkout.sessions.create_async(params)


async def submit(url: str, **form: str) -> httpx.Response:
    async with httpx.AsyncClient(verify=tls_context()) as browser:
        return await browser.post(url, data={"email": "lena@example.com"} | form)


async def types_of(client: stripe.StripeClient) -> list[str]:
    return [str(event.type) for event in (await client.v1.events.list_async({"limit": 100})).data][::-1]


async def test_a_session_is_paid_on_its_page(client: stripe.StripeClient) -> None:
    session = await open_session(
        client,
        line_items=[line(4900, name="Spanish <A1>"), line(1500, name="Workbook", quantity=2)],
        metadata={"cart": "c-1"},
        client_reference_id="u-7",
        payment_intent_data={"metadata": {"order_id": "o-1"}, "description": "Order 1"},
    )
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert session.amount_total == 7900
    async with httpx.AsyncClient(verify=tls_context()) as browser:
        page = (await browser.get(session.url)).text
    assert "€79.00" in page
    assert "Spanish &lt;A1&gt;" in page
    assert "2 × €15.00" in page
    assert 'href="https://shop.example/no"' in page
    paid = await submit(session.url, card_number="4242 4242 4242 4242", name="Lena")
    assert (paid.status_code, paid.headers["location"]) == (303, f"https://shop.example/ok?s={session.id}")
    done = await client.v1.checkout.sessions.retrieve_async(
        session.id, {"expand": ["payment_intent.latest_charge", "line_items"]}
    )
    intent: Any = done.payment_intent
    assert (done.status, done.payment_status, done.url, done.client_reference_id) == ("complete", "paid", None, "u-7")
    assert done.customer_details is not None
    assert (done.customer_details.email, done.customer_details.name) == ("lena@example.com", "Lena")
    assert (intent.status, intent.metadata.to_dict(), intent.description) == (
        "succeeded",
        {"order_id": "o-1"},
        "Order 1",
    )
    assert intent.latest_charge.metadata["order_id"] == "o-1"
    assert [item.description for item in done.line_items.data] == ["Spanish <A1>", "Workbook"]  # type: ignore[union-attr]
    assert await types_of(client) == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    again = await submit(session.url, card_number="4242 4242 4242 4242")
    assert again.headers["location"] == paid.headers["location"]
    assert len((await client.v1.charges.list_async()).data) == 1
    by_intent = await client.v1.checkout.sessions.list_async({"payment_intent": intent.id})
    assert [each.id for each in by_intent.data] == [session.id]


async def test_a_declined_card_can_be_replaced(client: stripe.StripeClient) -> None:
    session = await open_session(client)
    declined = await submit(session.url, card_number="4000000000009995")
    assert declined.status_code == 402
    assert "insufficient funds" in declined.text
    assert 'value="4000000000009995"' in declined.text
    wrong = await submit(session.url, card_number="4242424242424241")
    assert "card number is incorrect" in wrong.text
    late = await submit(session.url, card_number="4242424242424242", expiry="01/20")
    assert "expiration year is invalid" in late.text
    assert (await submit(session.url, card_number="4242424242424242")).status_code == 303
    intents = (await client.v1.payment_intents.list_async()).data
    assert [intent.status for intent in intents] == ["succeeded"]


async def test_the_bank_is_asked_and_refusal_returns_to_the_page(client: stripe.StripeClient) -> None:
    session = await open_session(client)
    asked = await submit(session.url, card_number="4000002500003155")
    assert "/authorize/pi_" in asked.headers["location"]
    refused = await submit(asked.headers["location"], outcome="fail")
    assert refused.headers["location"] == f"/c/pay/{session.id}"
    async with httpx.AsyncClient(verify=tls_context()) as browser:
        assert "failed authentication" in (await browser.get(session.url)).text
    asked = await submit(session.url, card_number="4000002760003184")
    done = await submit(asked.headers["location"], outcome="complete")
    assert done.headers["location"] == f"https://shop.example/ok?s={session.id}"
    after = await client.v1.checkout.sessions.retrieve_async(session.id)
    assert (after.status, after.payment_status) == ("complete", "paid")


@pytest.mark.parametrize(
    ("outcome", "payment_status", "event"),
    [
        ("succeeded", "paid", "checkout.session.async_payment_succeeded"),
        ("failed", "unpaid", "checkout.session.async_payment_failed"),
    ],
)
async def test_a_debit_completes_the_session_before_it_is_paid(
    double: StripeDouble, client: stripe.StripeClient, outcome: str, payment_status: str, event: str
) -> None:
    session = await open_session(client, payment_method_types=["card", "sepa_debit"])
    assert (await submit(session.url, payment_method="sepa_debit", iban="DE89370400440532013000")).status_code == 303
    waiting = await client.v1.checkout.sessions.retrieve_async(session.id)
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    await double.control.settle(str(waiting.payment_intent), outcome)
    assert (await client.v1.checkout.sessions.retrieve_async(session.id)).payment_status == payment_status
    assert (await types_of(client))[-1] == event


async def test_expiry_by_the_api_closes_the_page_and_the_intent(client: stripe.StripeClient) -> None:
    session = await open_session(client)
    await submit(session.url, card_number="4000000000000002")
    intent = (await client.v1.payment_intents.list_async()).data[0]
    with pytest.raises(stripe.InvalidRequestError, match="Expire the Checkout Session"):
        await client.v1.payment_intents.cancel_async(intent.id)
    expired = await client.v1.checkout.sessions.expire_async(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    assert (await client.v1.payment_intents.retrieve_async(intent.id)).status == "canceled"
    late = await submit(session.url, card_number="4242424242424242")
    assert late.status_code == 410
    assert "expired" in late.text
    with pytest.raises(stripe.InvalidRequestError, match=r"Only Checkout Sessions with a status in \[\"open\"\]"):
        await client.v1.checkout.sessions.expire_async(session.id)
    assert (await types_of(client))[-1] == "checkout.session.expired"


async def test_expiry_by_time_and_the_recovery_link(double: StripeDouble, client: stripe.StripeClient) -> None:
    session = await open_session(
        client,
        expires_at=int(time.time()) + 1800,
        after_expiration={"recovery": {"enabled": True}},
        metadata={"cart": "c-2"},
    )
    await double.control.advance_clock(1700)
    assert (await client.v1.checkout.sessions.retrieve_async(session.id)).status == "open"
    await double.control.advance_clock(120)
    expired = await client.v1.checkout.sessions.retrieve_async(session.id)
    assert expired.status == "expired"
    assert (await types_of(client)).count("checkout.session.expired") == 1
    recovery: Any = expired.after_expiration.recovery  # type: ignore[union-attr]
    async with httpx.AsyncClient(verify=tls_context()) as browser:
        link = (await browser.get(recovery.url)).headers["location"]
    assert (await submit(link, card_number="4242424242424242")).status_code == 303
    recovered = (await client.v1.checkout.sessions.list_async({"status": "complete"})).data[0]
    assert (recovered.recovered_from, recovered.amount_total) == (session.id, 4900)
    assert recovered.metadata["cart"] == "c-2"  # type: ignore[index]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"success_url": ""}, "success_url"),
        ({"success_url": "shop.example"}, "success_url"),
        ({"line_items": [{"quantity": 1}]}, "line_items[0][price_data]"),
        ({"line_items": [line(), line(currency="usd")]}, "line_items[1][price_data][currency]"),
        ({"line_items": [line(10)]}, "line_items"),
        (
            {"line_items": [{"price_data": {"currency": "eur", "unit_amount": 500}}]},
            "line_items[0][price_data][product_data]",
        ),
        ({"expires_at": int(time.time()) + 60}, "expires_at"),
        ({"expires_at": int(time.time()) + 90_000}, "expires_at"),
        ({"mode": "subscription"}, "mode"),
        ({"ui_mode": "embedded_page"}, "ui_mode"),
        ({"customer_email": "nobody"}, "customer_email"),
        ({"customer": "cus_1", "customer_email": "a@example.com"}, "customer"),
        ({"payment_method_types": ["cowries"]}, "payment_method_types"),
        ({"unheard_of": "1"}, "unheard_of"),
    ],
)
async def test_wrong_sessions_are_refused(client: stripe.StripeClient, fields: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await open_session(client, **fields)
    assert (refused.value.http_status, refused.value.param) == (400, param)


async def test_a_customer_is_made_when_asked_and_a_known_one_is_shown(client: stripe.StripeClient) -> None:
    guest = await open_session(client, customer_creation="always")
    await submit(guest.url, card_number="4242424242424242", name="Lena")
    made = await client.v1.checkout.sessions.retrieve_async(guest.id, {"expand": ["customer"]})
    assert made.customer.email == "lena@example.com"  # type: ignore[union-attr]
    known = await client.v1.customers.create_async({"email": "omar@example.com", "name": "Omar"})
    session = await open_session(client, customer=known.id)
    async with httpx.AsyncClient(verify=tls_context()) as browser:
        assert 'value="omar@example.com"' in (await browser.get(session.url)).text


async def test_nothing_to_pay_needs_no_card(client: stripe.StripeClient) -> None:
    session = await open_session(client, line_items=[line(0)])
    assert session.payment_status == "no_payment_required"
    assert (await submit(session.url)).status_code == 303
    done = await client.v1.checkout.sessions.retrieve_async(session.id)
    assert (done.status, done.payment_intent) == ("complete", None)


async def test_an_unknown_page_is_not_found(double: StripeDouble) -> None:
    async with httpx.AsyncClient(verify=tls_context()) as browser:
        for path in ("/c/pay/cs_test_none", "/authorize/pi_none", "/c/recover/cs_test_none"):
            assert (await browser.get(double.url + path)).status_code == 404


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (123456, "usd", "$1,234.56"),
        (5000, "jpy", "¥5,000"),
        (12340, "kwd", "KWD\u00a012.340"),
        (-5, "eur", "-€0.05"),
        (0, "gbp", "£0.00"),
    ],
)
def test_amounts_are_written_with_the_currencys_decimals(amount: int, currency: str, written: str) -> None:
    assert format_amount(amount, currency) == written
