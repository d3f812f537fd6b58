"""A running Stripe double, and the official client that talks to it."""

from collections.abc import AsyncIterator

import pytest
import stripe

from sandbox.stripe_double import StripeDouble


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[StripeDouble]:
    async with StripeDouble.serve() as double:
        yield double


@pytest.fixture
async def double(running: StripeDouble) -> StripeDouble:
    await running.control.reset()
    return running


@pytest.fixture(scope="module")
async def transport() -> AsyncIterator[stripe.HTTPXClient]:
    http = stripe.HTTPXClient()
    yield http
    await http.close_async()  # type: ignore[no-untyped-call]


@pytest.fixture
def client(double: StripeDouble, transport: stripe.HTTPXClient) -> stripe.StripeClient:
    return stripe.StripeClient(double.api_key, base_addresses={"api": double.url}, http_client=transport)
