"""Idempotency keys as Stripe keeps them, and the faults that make them necessary."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import stripe

from sandbox.stripe_double import StripeDouble

PARAMS: Any = {"amount": 2000, "currency": "eur", "metadata": {"order_id": "o-1"}}


@pytest.fixture
async def raw(double: StripeDouble) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {double.api_key}"}
    async with httpx.AsyncClient(base_url=double.url, headers=headers) as client:
        yield client


async def post(raw: httpx.AsyncClient, key: str, path: str = "/v1/payment_intents", **form: str) -> httpx.Response:
    return await raw.post(path, data={"amount": "2000", "currency": "eur"} | form, headers={"idempotency-key": key})


async def test_the_same_key_replays_status_and_body(raw: httpx.AsyncClient) -> None:
    first = await post(raw, "k-1")
    second = await post(raw, "k-1")
    assert second.content == first.content
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["original-request"] == first.headers["request-id"] != second.headers["request-id"]
    assert len((await raw.get("/v1/payment_intents")).json()["data"]) == 1


async def test_a_declined_card_is_replayed_and_not_charged_again(client: stripe.StripeClient) -> None:
    params = PARAMS | {"payment_method": "pm_card_chargeDeclined", "confirm": True}
    failures = []
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            await client.v1.payment_intents.create_async(params, {"idempotency_key": "k-2"})
        failures.append(declined.value)
    assert failures[0].json_body == failures[1].json_body
    assert failures[1].headers["idempotent-replayed"] == "true"  # type: ignore[index]
    assert failures[0].headers["stripe-should-retry"] == "false"  # type: ignore[index]
    assert len((await client.v1.charges.list_async()).data) == 1


async def test_other_parameters_or_another_path_are_an_error(
    client: stripe.StripeClient, raw: httpx.AsyncClient
) -> None:
    intent = (await post(raw, "k-3")).json()
    for answer in (
        await post(raw, "k-3", amount="2001"),
        await post(raw, "k-3", path=f"/v1/payment_intents/{intent['id']}"),
    ):
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "idempotency_error")
    with pytest.raises(stripe.IdempotencyError):
        await client.v1.payment_intents.create_async({"amount": 7777, "currency": "eur"}, {"idempotency_key": "k-3"})


async def test_a_validation_error_is_not_kept_and_a_late_one_is(raw: httpx.AsyncClient) -> None:
    assert (await post(raw, "k-4", currency="")).status_code == 400
    assert (await post(raw, "k-4")).status_code == 200
    intent = (await post(raw, "k-5", payment_method="pm_card_visa", confirm="true")).json()
    path = f"/v1/payment_intents/{intent['id']}/cancel"
    refused = [await raw.post(path, headers={"idempotency-key": "k-6"}) for _ in range(2)]
    assert [answer.status_code for answer in refused] == [400, 400]
    assert refused[1].headers["idempotent-replayed"] == "true"
    assert refused[0].content == refused[1].content


async def test_a_key_in_use_is_refused_with_409(double: StripeDouble, raw: httpx.AsyncClient) -> None:
    await double.control.add_fault("delay_after", path="/v1/payment_intents", seconds=30)
    slow = asyncio.create_task(post(raw, "k-7"))
    deadline = asyncio.get_running_loop().time() + 10
    while not (await raw.get("/v1/events")).json()["data"]:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
    busy = await post(raw, "k-7")
    assert (busy.status_code, busy.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert busy.json()["error"]["type"] == "idempotency_error"
    assert busy.headers["stripe-should-retry"] == "true"
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)


async def test_a_key_older_than_a_day_is_a_new_request(double: StripeDouble, raw: httpx.AsyncClient) -> None:
    first = (await post(raw, "k-8")).json()["id"]
    await double.control.advance_clock(23 * 3600)
    assert (await post(raw, "k-8")).json()["id"] == first
    await double.control.advance_clock(3601)
    assert (await post(raw, "k-8")).json()["id"] != first


async def test_too_long_a_key_is_refused(raw: httpx.AsyncClient) -> None:
    assert (await post(raw, "k" * 256)).status_code == 400


@pytest.mark.parametrize("kind", ["drop", "drop_after", "error", "error_after"])
async def test_the_clients_own_retry_pays_once_whatever_gets_lost(
    double: StripeDouble, client: stripe.StripeClient, kind: str
) -> None:
    fault = await double.control.add_fault(kind, method="POST", path="/v1/payment_intents")
    intent = await client.v1.payment_intents.create_async(
        PARAMS | {"payment_method": "pm_card_visa", "confirm": True}, {"max_network_retries": 2}
    )
    assert intent.status == "succeeded"
    order = await double.control.order("o-1")
    assert (order.payment_intents, order.charges_succeeded) == (1, 1)
    assert [each.hits for each in await double.control.faults() if each.id == fault.id] == [1]
    counts = await double.control.requests("/v1/payment_intents")
    assert counts.by_route == {"POST /v1/payment_intents": 2}
    assert counts.replayed == (1 if kind.endswith("_after") else 0)


async def test_without_retries_the_caller_sees_the_loss(double: StripeDouble, transport: stripe.HTTPXClient) -> None:
    client = stripe.StripeClient(
        double.api_key, base_addresses={"api": double.url}, http_client=transport, max_network_retries=0
    )
    await double.control.add_fault("drop_after", path="/v1/payment_intents")
    with pytest.raises(stripe.APIConnectionError):
        await client.v1.payment_intents.create_async(PARAMS)
    assert (await double.control.order("o-1")).payment_intents == 1
    await double.control.add_fault("error", path="/v1/", status=429)
    with pytest.raises(stripe.RateLimitError):
        await client.v1.payment_intents.create_async(PARAMS)


async def test_a_recorded_500_is_replayed_as_stripe_does(double: StripeDouble, raw: httpx.AsyncClient) -> None:
    await double.control.add_fault("error", path="/v1/payment_intents", recorded=True)
    assert (await post(raw, "k-9")).status_code == 500
    replayed = await post(raw, "k-9")
    assert (replayed.status_code, replayed.headers["idempotent-replayed"]) == (500, "true")
    assert (await post(raw, "k-10")).status_code == 200


async def test_faults_skip_count_and_are_cleared(double: StripeDouble, raw: httpx.AsyncClient) -> None:
    await double.control.add_fault("error", method="GET", path="/v1/customers", status=503, times=2, skip=1)
    statuses = [(await raw.get("/v1/customers")).status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    await double.control.add_fault("error", times=None)
    assert (await raw.get("/v1/events")).status_code == 500
    await double.control.clear_faults()
    assert (await raw.get("/v1/events")).status_code == 200
