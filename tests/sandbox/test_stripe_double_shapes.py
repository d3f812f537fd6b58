"""Every object the double returns has every field of Stripe's published sample, with the same JSON type."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
import stripe

from sandbox.stripe_double import StripeDouble
from sandbox.stripe_double.shapes import ABSENT, SAMPLES

# Objects Stripe fills with free or optional content: their inside differs from sample to sample.
OPEN = {"event.data.object", "refund.destination_details.card", "checkout.session.after_expiration"}
# Null although the sample shows a value and a new object has one: fields a later state or another way of paying unsets.
NULLABLE = {"charge.payment_method", "payment_method.billing_details.email", "payment_method.billing_details.phone"} | {
    f"payment_method.billing_details.address.{name}" for name in ("city", "country", "line1", "postal_code", "state")
}
NULLABLE |= {"customer.address", "dispute.payment_intent", "payment_intent.client_secret"}


@pytest.fixture
async def double() -> AsyncIterator[StripeDouble]:
    async with StripeDouble.serve() as running:
        yield running


def json_type(value: Any) -> str:
    # The client reads ``unit_amount_decimal``, a string on the wire, as a Decimal.
    names = {bool: "boolean", int: "number", float: "number", str: "string", Decimal: "string", dict: "object"}
    return names.get(type(value), "array")


def differences(path: str, sample: Any, found: Any) -> list[str]:
    """Where an object departs from its sample."""
    kind = next(name for name in sorted(ABSENT, key=len, reverse=True) if path.startswith(name))
    nullable = NULLABLE | {f"{kind}.{field}" for field in ABSENT[kind]}
    if sample is None or (found is None and path in nullable):
        return []
    if found is None or json_type(found) != json_type(sample):
        return [f"{path}: {found!r} is not a JSON {json_type(sample)}"]
    if not isinstance(sample, dict) or path in OPEN or path.endswith((".metadata", ".last_payment_error")):
        return []
    gaps = [f"{path}.{name} is missing" for name in sample if name not in found]
    return gaps + [
        gap for name in sample if name in found for gap in differences(f"{path}.{name}", sample[name], found[name])
    ]


async def test_every_object_has_the_published_shape(double: StripeDouble) -> None:
    http = stripe.HTTPXClient()
    client = stripe.StripeClient(double.api_key, base_addresses={"api": double.url}, http_client=http)
    v1 = client.v1
    endpoint = await v1.webhook_endpoints.create_async({"url": "http://127.0.0.1:9/", "enabled_events": ["*"]})
    customer = await v1.customers.create_async({"email": "lena@example.com", "address": {"city": "Graz"}})
    method = await v1.payment_methods.attach_async("pm_card_visa", {"customer": customer.id})
    intent = await v1.payment_intents.create_async({"amount": 2000, "currency": "eur", "customer": customer.id})
    paid = await v1.payment_intents.confirm_async(intent.id, {"payment_method": method.id, "expand": ["latest_charge"]})
    charge: Any = paid.latest_charge
    refund = await v1.refunds.create_async({"charge": charge.id, "amount": 500})
    line: Any = {"price_data": {"currency": "eur", "unit_amount": 900, "product_data": {"name": "Course"}}}
    session = await v1.checkout.sessions.create_async(
        {"mode": "payment", "success_url": "https://shop.example/ok", "line_items": [line]}
    )
    items = await v1.checkout.sessions.line_items.list_async(session.id)
    async with httpx.AsyncClient() as browser:
        await browser.post(str(session.url), data={"card_number": "4000000000000259", "email": "a@example.com"})
    completed = await v1.checkout.sessions.retrieve_async(session.id)
    events = await v1.events.list_async({"limit": 100})
    dispute = (await v1.disputes.list_async()).data[0]
    transactions = await v1.balance_transactions.list_async()
    deleted_endpoint = await v1.webhook_endpoints.delete_async(endpoint.id)
    deleted_customer = await v1.customers.delete_async((await v1.customers.create_async({})).id)
    await http.close_async()  # type: ignore[no-untyped-call]

    returned: list[tuple[str, Any]] = [
        ("webhook_endpoint", endpoint),
        ("customer", customer),
        ("payment_method", method),
        ("payment_intent", intent),
        ("payment_intent", paid),
        ("charge", charge),
        ("refund", refund),
        ("checkout.session", session),
        ("checkout.session", completed),
        ("item", items.data[0]),
        ("dispute", dispute),
        ("deleted_webhook_endpoint", deleted_endpoint),
        ("deleted_customer", deleted_customer),
        *(("event", event) for event in events.data),
        *(("balance_transaction", transaction) for transaction in transactions.data),
    ]
    assert {kind for kind, _ in returned} == set(ABSENT)
    assert len(events.data) > 8
    for kind, found in returned:
        assert differences(kind, SAMPLES[kind], found.to_dict(recursive=True)) == [], kind


def test_the_comparison_notices_a_missing_field_and_a_wrong_type() -> None:
    refund = dict(SAMPLES["refund"], amount="100")
    del refund["charge"]
    assert sorted(differences("refund", SAMPLES["refund"], refund)) == [
        "refund.amount: '100' is not a JSON number",
        "refund.charge is missing",
    ]
