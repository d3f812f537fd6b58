"""Webhooks: signed as Stripe signs them, retried, kept over a restart, and disturbed on request."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import stripe

from sandbox.stripe_double import DeliverySettings, StripeDouble

SECRET = "whsec_test"
FAST = DeliverySettings(retry_seconds=0.02)


class Inbox:
    """A small web server that keeps every webhook it is sent and answers what it is told to."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.received: list[tuple[str, bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = await reader.readexactly(int(fields["content-length"]))
        status = self.answers.pop(0) if self.answers else 200
        if status:
            self.received.append((fields["stripe-signature"], body))
            writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()

    def events(self) -> list[stripe.Event]:
        """The events in the order they came, each with its signature verified."""
        return [stripe.Webhook.construct_event(body, signature, SECRET) for signature, body in self.received]

    def types(self) -> list[str]:
        return [event.type for event in self.events()]


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    box = Inbox()
    server = await asyncio.start_server(box.serve, "127.0.0.1", 0)
    box.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield box
    server.close()
    await server.wait_closed()


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[StripeDouble]:
    async with StripeDouble.serve(deliveries=FAST) as double:
        yield double


@pytest.fixture
async def double(running: StripeDouble, inbox: Inbox) -> StripeDouble:
    await running.control.set_webhook(None)
    await running.control.reset()
    await running.control.set_webhook(inbox.url, SECRET)
    return running


@pytest.fixture
async def client(double: StripeDouble) -> AsyncIterator[stripe.StripeClient]:
    async with connected(double) as made:
        yield made


@asynccontextmanager
async def connected(double: StripeDouble) -> AsyncIterator[stripe.StripeClient]:
    http = stripe.HTTPXClient()
    yield stripe.StripeClient(double.api_key, base_addresses={"api": double.url}, http_client=http)
    await http.close_async()  # type: ignore[no-untyped-call]


async def pay(client: stripe.StripeClient) -> None:
    params: Any = {"amount": 2000, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
    await client.v1.payment_intents.create_async(params)


PAID = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


async def test_every_event_arrives_signed(double: StripeDouble, client: stripe.StripeClient, inbox: Inbox) -> None:
    await pay(client)
    assert await double.control.webhooks_settled() == {"pending": 0, "delivered": 3, "failed": 0}
    assert sorted(inbox.types()) == sorted(PAID)
    event = inbox.events()[0]
    assert event.pending_webhooks == 1
    assert (await client.v1.events.retrieve_async(event.id)).pending_webhooks == 0
    signature, body = inbox.received[0]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + b" ", signature, SECRET)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, signature, "whsec_other")


async def test_what_is_not_acknowledged_is_sent_again(
    double: StripeDouble, client: stripe.StripeClient, inbox: Inbox
) -> None:
    inbox.answers = [500, 0, 302]
    customer = await client.v1.customers.create_async({})
    await double.control.webhooks_settled()
    assert [event.data.object["id"] for event in inbox.events()] == [customer.id] * 3
    (delivery,) = await double.control.deliveries()
    assert (delivery.status, delivery.attempts, delivery.answer) == ("delivered", 4, 200)


async def test_after_three_days_it_is_given_up(double: StripeDouble, client: stripe.StripeClient, inbox: Inbox) -> None:
    await double.control.pause_webhooks()
    await client.v1.customers.create_async({})
    await double.control.advance_clock(3 * 86_400)
    inbox.answers = [503]
    await double.control.resume_webhooks()
    assert await double.control.webhooks_settled() == {"pending": 0, "delivered": 0, "failed": 1}
    failed: Any = {"delivery_success": False}
    assert [event.type for event in (await client.v1.events.list_async(failed)).data] == ["customer.created"]
    assert (await client.v1.events.list_async({"delivery_success": True})).data == []
    event = (await client.v1.events.list_async()).data[0]
    assert await double.control.redeliver(event.id) == 1
    await double.control.webhooks_settled()
    assert inbox.types() == ["customer.created"] * 2


async def test_deliveries_are_held_and_released_in_a_chosen_order(
    double: StripeDouble, client: stripe.StripeClient, inbox: Inbox
) -> None:
    await double.control.pause_webhooks()
    await pay(client)
    ids = [event.id for event in (await client.v1.events.list_async()).data]
    released = await double.control.release_webhooks([ids[0], ids[2]])
    assert [report.status for report in released] == ["delivered", "delivered"]
    assert inbox.types() == ["payment_intent.succeeded", "payment_intent.created"]
    assert await double.control.delivery_counts() == {"pending": 1, "delivered": 2, "failed": 0}
    await double.control.resume_webhooks()
    await double.control.webhooks_settled()
    assert inbox.types()[-1] == "charge.succeeded"


async def test_deliveries_are_duplicated(double: StripeDouble, client: stripe.StripeClient, inbox: Inbox) -> None:
    await double.control.configure_deliveries(copies=3)
    await client.v1.customers.create_async({})
    await double.control.webhooks_settled()
    assert len({event.id for event in inbox.events()}) == 1
    assert len(inbox.received) == 3


async def test_deliveries_are_shuffled_the_same_way_for_the_same_seed(
    double: StripeDouble, client: stripe.StripeClient, inbox: Inbox
) -> None:
    orders = []
    for _ in range(2):
        inbox.received.clear()
        await double.control.configure_deliveries(paused=True, shuffle_seed=4, window_seconds=0, concurrency=1)
        for number in range(6):
            await client.v1.customers.create_async({"name": str(number)})
        await double.control.resume_webhooks()
        await double.control.webhooks_settled()
        orders.append([event.data.object["name"] for event in inbox.events()])
    assert orders[0] == orders[1] != sorted(orders[0])
    assert sorted(orders[0]) == [str(number) for number in range(6)]


async def test_dropped_deliveries_come_later_or_never(
    double: StripeDouble, client: stripe.StripeClient, inbox: Inbox
) -> None:
    await double.control.configure_deliveries(drop_fraction=0.5, drop_seed=1)
    for _ in range(8):
        await client.v1.customers.create_async({})
    assert (await double.control.webhooks_settled())["delivered"] == 8
    assert sum(report.attempts for report in await double.control.deliveries()) > 8
    await double.control.configure_deliveries(drop_fraction=1, drop_for_good=True)
    await client.v1.customers.create_async({})
    assert (await double.control.webhooks_settled())["failed"] == 1
    assert len(inbox.received) == 8


async def test_endpoints_choose_their_events_and_have_their_own_secret(
    double: StripeDouble, client: stripe.StripeClient, inbox: Inbox
) -> None:
    await double.control.set_webhook(None)
    endpoint = await client.v1.webhook_endpoints.create_async(
        {"url": inbox.url, "enabled_events": ["customer.created"], "metadata": {"of": "tests"}}
    )
    assert str(endpoint.secret).startswith("whsec_")
    assert "secret" not in await client.v1.webhook_endpoints.retrieve_async(endpoint.id)
    await pay(client)
    await client.v1.customers.create_async({})
    await double.control.webhooks_settled()
    signature, body = inbox.received[0]
    assert stripe.Webhook.construct_event(body, signature, endpoint.secret).type == "customer.created"
    await client.v1.webhook_endpoints.update_async(endpoint.id, {"disabled": True})
    await client.v1.customers.create_async({})
    await client.v1.webhook_endpoints.delete_async(endpoint.id)
    await client.v1.customers.create_async({})
    assert len(inbox.received) == 1
    assert (await client.v1.webhook_endpoints.list_async()).data == []


async def test_undelivered_events_survive_a_restart(inbox: Inbox, tmp_path: Path) -> None:
    data = str(tmp_path / "stripe.db")
    nowhere = inbox.url.replace("/hook", "")
    async with StripeDouble.serve(data=data, webhook_url=nowhere, webhook_secret=SECRET, deliveries=FAST) as double:
        await double.control.pause_webhooks()
        async with connected(double) as client:
            await pay(client)
    async with StripeDouble.serve(data=data, webhook_url=inbox.url, webhook_secret=SECRET, deliveries=FAST) as double:
        await double.control.webhooks_settled()
        async with connected(double) as client:
            assert len((await client.v1.webhook_endpoints.list_async()).data) == 1
    await until(lambda: len(inbox.received) == 3)
    assert sorted(inbox.types()) == sorted(PAID)
