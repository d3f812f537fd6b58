"""PaymentIntents: every way a payment goes, through the official client."""

from typing import Any

import httpx
import pytest
import stripe

from sandbox.stripe_double import StripeDouble


async def event_types(client: stripe.StripeClient) -> list[str]:
    """The types of all events so far, oldest first."""
    return [str(event.type) for event in (await client.v1.events.list_async({"limit": 100})).data][::-1]


async def pay(client: stripe.StripeClient, method: str, **fields: Any) -> stripe.PaymentIntent:
    params: Any = {"amount": 2000, "currency": "eur", "payment_method": method, "confirm": True} | fields
    return await client.v1.payment_intents.create_async(params)


async def test_a_card_payment_leaves_a_charge_a_fee_and_its_events(client: stripe.StripeClient) -> None:
    customer = await client.v1.customers.create_async({"email": "lena@example.com"})
    intent = await pay(
        client,
        "pm_card_visa",
        customer=customer.id,
        description="Spanish A1",
        metadata={"order_id": "o-1"},
        expand=["latest_charge.balance_transaction", "customer"],
    )
    assert (intent.status, intent.amount_received) == ("succeeded", 2000)
    charge: Any = intent.latest_charge
    assert charge.metadata["order_id"] == "o-1"
    assert (charge.description, charge.captured, charge.paid) == ("Spanish A1", True, True)
    transaction = charge.balance_transaction
    assert (transaction.amount, transaction.fee, transaction.net, transaction.source) == (2000, 55, 1945, charge.id)
    assert isinstance(intent.customer, stripe.Customer)
    assert await event_types(client) == [
        "customer.created",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]
    listed = await client.v1.charges.list_async({"payment_intent": intent.id, "expand": ["data.payment_intent"]})
    assert [each.id for each in listed.data] == [charge.id]
    assert listed.data[0].payment_intent.id == intent.id  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
    ],
)
async def test_a_declined_card_answers_402_and_keeps_the_attempt(
    client: stripe.StripeClient, method: str, code: str, decline_code: str | None
) -> None:
    with pytest.raises(stripe.CardError) as declined:
        await pay(client, method, metadata={"order_id": "o-2"})
    body: Any = declined.value.json_body
    assert (declined.value.http_status, declined.value.code) == (402, code)
    assert body["error"].get("decline_code") == decline_code
    intent = await client.v1.payment_intents.retrieve_async(body["error"]["payment_intent"]["id"])
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.code == code
    charge = await client.v1.charges.retrieve_async(str(intent.latest_charge))
    assert (charge.status, charge.failure_code, charge.balance_transaction) == ("failed", code, None)
    assert charge.metadata["order_id"] == "o-2"
    assert (await event_types(client))[-2:] == ["charge.failed", "payment_intent.payment_failed"]
    retried = await client.v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_mastercard"})
    assert (retried.status, retried.last_payment_error) == ("succeeded", None)


@pytest.mark.parametrize(("outcome", "status"), [("complete", "succeeded"), ("fail", "requires_payment_method")])
async def test_authentication_is_finished_on_the_banks_page(
    client: stripe.StripeClient, outcome: str, status: str
) -> None:
    intent = await pay(client, "pm_card_authenticationRequired", return_url="https://shop.example/back?o=1")
    assert intent.status == "requires_action"
    assert intent.next_action is not None
    redirect: Any = intent.next_action.redirect_to_url
    async with httpx.AsyncClient() as browser:
        page = await browser.get(redirect.url)
        assert "Your bank asks you to confirm" in page.text
        back = await browser.post(redirect.url, data={"outcome": outcome})
        again = await browser.post(redirect.url, data={"outcome": outcome})
    assert back.status_code == 303
    assert back.headers["location"].startswith(f"https://shop.example/back?o=1&payment_intent={intent.id}&")
    assert again.status_code in (200, 303)
    after = await client.v1.payment_intents.retrieve_async(intent.id)
    assert (after.status, after.next_action) == (status, None)
    assert len((await client.v1.charges.list_async({"payment_intent": intent.id})).data) == (outcome == "complete")


async def test_authentication_while_the_customer_is_away_is_a_decline(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.CardError) as declined:
        await pay(client, "pm_card_authenticationRequired", off_session=True)
    assert declined.value.code == "authentication_required"


@pytest.mark.parametrize(
    ("outcome", "method", "status", "event"),
    [
        ("succeeded", "pm_usBankAccount", "succeeded", "payment_intent.succeeded"),
        ("failed", "pm_sepaDebit", "requires_payment_method", "payment_intent.payment_failed"),
        (None, "pm_sepaDebit", "succeeded", "payment_intent.succeeded"),
        (None, "pm_usBankAccount_insufficientFunds", "requires_payment_method", "payment_intent.payment_failed"),
    ],
)
async def test_a_bank_debit_is_processing_until_the_bank_answers(
    double: StripeDouble, client: stripe.StripeClient, outcome: str | None, method: str, status: str, event: str
) -> None:
    intent = await pay(client, method, currency="usd" if "usBank" in method else "eur")
    assert intent.status == "processing"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.payment_intents.cancel_async(intent.id)
    assert refused.value.code == "payment_intent_unexpected_state"
    assert (await double.control.settle(intent.id, outcome))["status"] == status
    assert (await event_types(client))[-1] == event
    charge = (await client.v1.charges.list_async({"payment_intent": intent.id})).data[0]
    assert charge.status == ("succeeded" if status == "succeeded" else "failed")


async def test_cancellation_only_in_the_states_stripe_allows(client: stripe.StripeClient) -> None:
    waiting = await client.v1.payment_intents.create_async({"amount": 500, "currency": "usd"})
    canceled = await client.v1.payment_intents.cancel_async(waiting.id, {"cancellation_reason": "abandoned"})
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    assert canceled.canceled_at is not None
    paid = await pay(client, "pm_card_visa")
    for intent in (canceled, paid):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.payment_intents.cancel_async(intent.id)
        body: Any = refused.value.json_body
        assert refused.value.code == "payment_intent_unexpected_state"
        assert body["error"]["payment_intent"]["status"] == intent.status
    with pytest.raises(stripe.InvalidRequestError, match="already succeeded"):
        await client.v1.payment_intents.confirm_async(paid.id)


async def test_manual_capture_takes_the_money_later(client: stripe.StripeClient) -> None:
    intent = await pay(client, "pm_card_visa", capture_method="manual")
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 2000, 0)
    captured = await client.v1.payment_intents.capture_async(intent.id, {"amount_to_capture": 1500})
    assert (captured.status, captured.amount_received) == ("succeeded", 1500)
    released = await pay(client, "pm_card_visa", capture_method="manual")
    assert (await client.v1.payment_intents.cancel_async(released.id)).status == "canceled"


async def test_a_browser_confirms_with_its_client_secret_and_can_do_nothing_else(
    double: StripeDouble, client: stripe.StripeClient
) -> None:
    intent = await client.v1.payment_intents.create_async({"amount": 700, "currency": "eur"})
    url = f"{double.url}/v1/payment_intents/{intent.id}"
    headers = {"authorization": f"Bearer {double.publishable_key}"}
    async with httpx.AsyncClient(headers=headers) as browser:
        assert (await browser.get(url)).status_code == 401
        assert (await browser.get(url, params={"client_secret": "wrong"})).status_code == 400
        assert (await browser.get(f"{double.url}/v1/payment_intents")).json()["error"]["code"] == "secret_key_required"
        card = {"type": "card", "card[number]": "4242 4242 4242 4242", "card[exp_month]": "4", "card[exp_year]": "40"}
        method = (await browser.post(f"{double.url}/v1/payment_methods", data=card)).json()
        form = {"client_secret": str(intent.client_secret), "payment_method": method["id"]}
        answer = await browser.post(f"{url}/confirm", data=form)
    assert answer.json()["status"] == "succeeded"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "number" not in method["card"]


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"currency": "eur"}, "parameter_missing", "amount"),
        ({"amount": 100}, "parameter_missing", "currency"),
        ({"amount": 0, "currency": "eur"}, "parameter_invalid_integer", "amount"),
        ({"amount": "ten", "currency": "eur"}, "parameter_invalid_integer", "amount"),
        ({"amount": 49, "currency": "eur"}, "amount_too_small", "amount"),
        ({"amount": 100_000_000, "currency": "eur"}, "amount_too_large", "amount"),
        ({"amount": 1005, "currency": "kwd"}, None, "amount"),
        ({"amount": 100, "currency": "xyz"}, None, "currency"),
        ({"amount": 100, "currency": "eur", "colour": "red"}, "parameter_unknown", "colour"),
        ({"amount": 100, "currency": "eur", "customer": "cus_nobody"}, "resource_missing", "customer"),
        ({"amount": 100, "currency": "eur", "payment_method": "pm_nothing"}, "resource_missing", "payment_method"),
        ({"amount": 100, "currency": "eur", "off_session": True}, None, "off_session"),
        ({"amount": 100, "currency": "eur", "metadata": {"k" * 41: "v"}}, None, "metadata"),
    ],
)
async def test_wrong_parameters_are_refused_by_name(
    client: stripe.StripeClient, params: Any, code: str | None, param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.payment_intents.create_async(params)
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, param)
    assert (await client.v1.payment_intents.list_async()).data == []


async def test_payment_methods_belong_to_one_customer(client: stripe.StripeClient) -> None:
    one = await client.v1.customers.create_async({"name": "One"})
    other = await client.v1.customers.create_async({"name": "Other"})
    method = await client.v1.payment_methods.create_async({"type": "card", "card": {"token": "tok_visa"}})
    await client.v1.payment_methods.attach_async(method.id, {"customer": one.id})
    with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
        await client.v1.payment_methods.attach_async(method.id, {"customer": other.id})
    with pytest.raises(stripe.InvalidRequestError, match="another customer"):
        await pay(client, method.id, customer=other.id)
    with pytest.raises(stripe.CardError):
        await client.v1.payment_methods.attach_async("pm_card_chargeDeclined", {"customer": one.id})
    later = await client.v1.payment_methods.attach_async("pm_card_chargeCustomerFail", {"customer": one.id})
    with pytest.raises(stripe.CardError):
        await pay(client, later.id, customer=one.id)
    listed = await client.v1.payment_methods.list_async({"customer": one.id})
    assert {each.id for each in listed.data} == {method.id, later.id}
    assert (await client.v1.payment_methods.detach_async(method.id)).customer is None


async def test_orders_with_money_are_counted(double: StripeDouble, client: stripe.StripeClient) -> None:
    await pay(client, "pm_card_visa", metadata={"order_id": "o-9"})
    second = await pay(client, "pm_card_visa", metadata={"order_id": "o-9"})
    await client.v1.refunds.create_async({"payment_intent": second.id, "amount": 300, "metadata": {"order_id": "o-9"}})
    order = await double.control.order("o-9")
    assert (order.payment_intents_succeeded, order.charges_succeeded, order.charged) == (2, 2, 4000)
    assert (order.refunds, order.refunded) == (1, 300)
    assert (await double.control.order("o-10")).charges_succeeded == 0
    told = await double.control.objects("payment_intent")
    assert {intent["metadata"]["order_id"] for intent in told} == {"o-9"}
    assert sum(intent["amount_received"] for intent in told) == order.charged


async def test_what_is_available_is_paid_out_once_with_its_lines(
    double: StripeDouble, client: stripe.StripeClient
) -> None:
    for amount in (2000, 3000):
        await client.v1.payment_intents.create_async(
            {"amount": amount, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
        )
    assert await double.control.pay_out() == [], "it takes two days until the money is available"
    await double.control.advance_clock(3 * 86_400)
    [payout] = await double.control.pay_out()
    assert payout["amount"] == 5000 - 55 - 70
    lines = await client.v1.balance_transactions.list_async({"payout": payout["id"], "limit": 2})
    found = [line async for line in lines.auto_paging_iter()]
    assert [(line.type, line.net) for line in found] == [("payout", -4875), ("charge", 2930), ("charge", 1945)]
    assert sum(line.net for line in found) == 0
    assert [each.id for each in (await client.v1.payouts.list_async({"created": {"gte": 0}})).data] == [payout["id"]]
    assert await double.control.pay_out() == []
