"""The API around the resources: keys, routes, forms, customers, lists, expansion, events."""

from typing import Any

import httpx
import pytest
import stripe

from sandbox.stripe_double import StripeDouble
from sandbox.stripe_double.errors import StripeError
from sandbox.stripe_double.forms import parse_form


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer sk_test_wrong_key_entirely"}, 401),
        ({"authorization": "Basic !!!"}, 401),
        ({"authorization": "Bearer sk_test_sandbox"}, 200),
        ({"authorization": "Basic c2tfdGVzdF9zYW5kYm94Og=="}, 200),
    ],
)
async def test_only_the_right_key_is_let_in(double: StripeDouble, headers: dict[str, str], status: int) -> None:
    async with httpx.AsyncClient() as raw:
        answer = await raw.get(f"{double.url}/v1/customers", headers=headers)
    assert answer.status_code == status
    assert answer.headers["request-id"].startswith("req_")
    if status == 401:
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert "wrong_key" not in answer.text


async def test_the_official_client_reports_a_wrong_key(double: StripeDouble) -> None:
    http = stripe.HTTPXClient()
    stranger = stripe.StripeClient("sk_test_other", base_addresses={"api": double.url}, http_client=http)
    with pytest.raises(stripe.AuthenticationError):
        await stranger.v1.customers.list_async()
    await http.close_async()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/unicorns", "/v1/customers/cus_1/unicorns", "/v2/core/accounts"])
async def test_an_unknown_route_is_stripes_404(double: StripeDouble, path: str) -> None:
    async with httpx.AsyncClient() as raw:
        answer = await raw.get(double.url + path, headers={"authorization": f"Bearer {double.api_key}"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")
    assert f"GET: {path}" in answer.json()["error"]["message"]


async def test_a_json_body_is_refused(double: StripeDouble) -> None:
    async with httpx.AsyncClient() as raw:
        headers = {"authorization": f"Bearer {double.api_key}"}
        answer = await raw.post(f"{double.url}/v1/customers", json={"email": "a@example.com"}, headers=headers)
    assert answer.status_code == 400


async def test_unknown_identifiers_are_missing_resources(client: stripe.StripeClient) -> None:
    v1 = client.v1
    for call in (
        v1.customers.retrieve_async("cus_none"),
        v1.payment_intents.retrieve_async("pi_none"),
        v1.charges.retrieve_async("ch_none"),
        v1.refunds.retrieve_async("re_none"),
        v1.checkout.sessions.retrieve_async("cs_test_none"),
        v1.events.retrieve_async("evt_none"),
        v1.payment_methods.retrieve_async("pm_none"),
        v1.webhook_endpoints.delete_async("we_none"),
    ):
        with pytest.raises(stripe.InvalidRequestError) as missing:
            await call
        assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")


async def test_customers_change_are_found_by_email_and_leave_a_tombstone(client: stripe.StripeClient) -> None:
    made = await client.v1.customers.create_async({"email": "lena@example.com", "metadata": {"a": "1", "b": "2"}})
    await client.v1.customers.create_async({"email": "other@example.com"})
    changed = await client.v1.customers.update_async(
        made.id, {"name": "Lena", "metadata": {"a": "", "c": "3"}, "address": {"city": "Graz", "country": "AT"}}
    )
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}
    assert changed.address is not None
    assert (changed.address.city, changed.address.line1) == ("Graz", None)
    found = await client.v1.customers.list_async({"email": "lena@example.com"})
    assert [each.id for each in found.data] == [made.id]
    event = (await client.v1.events.list_async({"type": "customer.updated"})).data[0]
    assert event.data.previous_attributes is not None
    assert event.data.previous_attributes["name"] is None
    assert (await client.v1.customers.delete_async(made.id)).deleted
    assert (await client.v1.customers.retrieve_async(made.id)).deleted
    assert (await client.v1.customers.list_async({"email": "lena@example.com"})).data == []
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.customers.update_async(made.id, {"name": "Ghost"})


async def test_lists_are_paged_both_ways(client: stripe.StripeClient) -> None:
    made = [(await client.v1.customers.create_async({"name": str(number)})).id for number in range(12)][::-1]
    first = await client.v1.customers.list_async()
    assert ([each.id for each in first.data], first.has_more) == (made[:10], True)
    second = await client.v1.customers.list_async({"starting_after": made[9]})
    assert ([each.id for each in second.data], second.has_more) == (made[10:], False)
    back = await client.v1.customers.list_async({"ending_before": made[6], "limit": 3})
    assert ([each.id for each in back.data], back.has_more) == (made[3:6], True)
    everything = [each.id async for each in (await client.v1.customers.list_async({"limit": 5})).auto_paging_iter()]
    assert everything == made
    for wrong in ({"limit": 0}, {"limit": 101}, {"starting_after": "cus_none"}):
        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.customers.list_async(wrong)  # type: ignore[arg-type]


async def test_lists_are_filtered_by_creation_time(double: StripeDouble, client: stripe.StripeClient) -> None:
    old = await client.v1.payment_intents.create_async({"amount": 500, "currency": "eur"})
    await double.control.advance_clock(1000)
    new = await client.v1.payment_intents.create_async({"amount": 500, "currency": "eur"})
    since: Any = {"created": {"gte": new.created}}
    assert [each.id for each in (await client.v1.payment_intents.list_async(since)).data] == [new.id]
    until: Any = {"created": {"lt": new.created}}
    assert [each.id for each in (await client.v1.payment_intents.list_async(until)).data] == [old.id]


async def test_only_expandable_fields_are_expanded(client: stripe.StripeClient) -> None:
    params: Any = {"amount": 500, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
    intent = await client.v1.payment_intents.create_async(params)
    listed: Any = await client.v1.payment_intents.list_async({"expand": ["data.latest_charge.balance_transaction"]})
    assert listed.data[0].latest_charge.balance_transaction.net == 467
    for path in ("status", "nonsense", "latest_charge.nonsense", "a.b.c.d.e"):
        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.payment_intents.retrieve_async(intent.id, {"expand": [path]})


async def test_events_tell_the_request_and_are_kept_thirty_days(
    double: StripeDouble, client: stripe.StripeClient
) -> None:
    customer = await client.v1.customers.create_async({}, {"idempotency_key": "k-1"})
    await client.v1.payment_intents.create_async({"amount": 500, "currency": "eur"})
    found = (await client.v1.events.list_async({"types": ["customer.created", "customer.deleted"]})).data
    assert [event.data.object["id"] for event in found] == [customer.id]
    event = await client.v1.events.retrieve_async(found[0].id)
    assert (event.livemode, event.pending_webhooks, event.api_version) == (False, 0, stripe.api_version)
    assert event.request is not None
    assert event.request.idempotency_key == "k-1"
    assert str(event.request.id).startswith("req_")
    await double.control.advance_clock(30 * 86_400 + 60)
    assert (await client.v1.events.list_async()).data == []


async def test_requests_are_counted_by_endpoint(double: StripeDouble, client: stripe.StripeClient) -> None:
    customer = await client.v1.customers.create_async({})
    await client.v1.customers.retrieve_async(customer.id)
    counts = await double.control.requests()
    assert counts.by_route == {"POST /v1/customers": 1, "GET /v1/customers/{customer}": 1}
    assert counts.entries[-1].path == f"/v1/customers/{customer.id}"
    await double.control.clear_requests()
    assert (await double.control.requests()).total == 0


def test_nested_forms_become_dictionaries() -> None:
    encoded = "a=1&metadata[order_id]=x&metadata[0]=y&expand[]=p&expand[]=q&items[1][n]=b&items[0][n]=a&empty="
    assert parse_form(encoded) == {
        "a": "1",
        "metadata": {"order_id": "x", "0": "y"},
        "expand": ["p", "q"],
        "items": {"1": {"n": "b"}, "0": {"n": "a"}},
        "empty": "",
    }
    with pytest.raises(StripeError):
        parse_form("a=1&a[b]=2")
