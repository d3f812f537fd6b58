"""What the account at Stripe has: payments, refunds, disputes, its balance and payouts, read by lists, page by page."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import stripe

from activities.adopted_refunds import intent_of, our_id
from activities.stripe_errors import Audience, as_failure, meaning_of
from models.vocabulary import PaymentStatus, RefundStatus
from rules.reconciliation import PaymentAtStripe, RefundAtStripe

_PAGE = 100
_WINDOW = timedelta(hours=6)
# Far below what Stripe allows (25 requests a second in test mode): the orders' own jobs ask, too.
_AT_ONCE = 8
# A page that was not to be had is asked for again after so many seconds: the thousands before it are not read anew.
_PAUSES = (0.5, 2, 8)

ItemT = TypeVar("ItemT", bound=stripe.StripeObject)
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class StripeBooks:
    """Every method raises a retryable `ApplicationError` while Stripe cannot be read. Spans are closed (UTC)."""

    client: stripe.StripeClient

    async def payments(self, since: datetime, until: datetime) -> AsyncIterator[list[stripe.PaymentIntent]]:
        """The PaymentIntents that were made then, each with its latest charge."""
        listed = self.client.v1.payment_intents.list_async
        async for page in _pages(
            lambda: listed({"created": _span(since, until), "limit": _PAGE, "expand": ["data.latest_charge"]})
        ):
            yield page

    async def payment(self, payment_intent_id: str) -> stripe.PaymentIntent | None:
        """The PaymentIntent with its latest charge; none if Stripe does not know it."""
        retrieve = self.client.v1.payment_intents.retrieve_async
        return await _known(lambda: retrieve(payment_intent_id, {"expand": ["latest_charge"]}))

    async def refunds(self, since: datetime, until: datetime) -> AsyncIterator[list[stripe.Refund]]:
        """The refunds that were made then."""
        listed = self.client.v1.refunds.list_async
        async for page in _pages(lambda: listed({"created": _span(since, until), "limit": _PAGE})):
            yield page

    async def refund(self, stripe_refund_id: str) -> stripe.Refund | None:
        """The refund; none if Stripe does not know it."""
        return await _known(lambda: self.client.v1.refunds.retrieve_async(stripe_refund_id))

    async def disputes(self, since: datetime, until: datetime) -> list[stripe.Dispute]:
        """The disputes that were opened then, each with its payment."""
        listed = self.client.v1.disputes.list_async
        return await _all(
            lambda: listed({"created": _span(since, until), "limit": _PAGE, "expand": ["data.payment_intent"]})
        )

    async def dispute(self, stripe_dispute_id: str) -> stripe.Dispute | None:
        """The dispute with its payment; none if Stripe does not know it."""
        retrieve = self.client.v1.disputes.retrieve_async
        return await _known(lambda: retrieve(stripe_dispute_id, {"expand": ["payment_intent"]}))

    async def events(self, since: datetime, until: datetime, types: list[str]) -> AsyncIterator[list[stripe.Event]]:
        """The events of these types (twenty at most) that happened then, newest first."""
        listed = self.client.v1.events.list_async
        async for page in _pages(lambda: listed({"created": _span(since, until), "types": types, "limit": _PAGE})):
            yield page

    async def event(self, event_id: str) -> stripe.Event | None:
        """One event; none if Stripe has forgotten it."""
        return await _known(lambda: self.client.v1.events.retrieve_async(event_id))

    async def balance(self, since: datetime, until: datetime | None) -> AsyncIterator[list[stripe.BalanceTransaction]]:
        """The lines of the balance of that time, or since then, each with its charge, refund or dispute."""
        listed = self.client.v1.balance_transactions.list_async
        async for page in _pages(
            lambda: listed({"created": _span(since, until), "limit": _PAGE, "expand": ["data.source"]})
        ):
            yield page

    async def balance_line(self, stripe_id: str) -> stripe.BalanceTransaction | None:
        """One line of the balance with what it is of; none if Stripe does not know it."""
        retrieve = self.client.v1.balance_transactions.retrieve_async
        return await _known(lambda: retrieve(stripe_id, {"expand": ["source"]}))

    async def payouts(self, since: datetime) -> list[stripe.Payout]:
        """The payouts that were made since then."""
        listed = self.client.v1.payouts.list_async
        return await _all(lambda: listed({"created": _span(since, None), "limit": _PAGE}))

    async def payout(self, payout_id: str) -> stripe.Payout | None:
        """The payout; none if Stripe does not know it."""
        return await _known(lambda: self.client.v1.payouts.retrieve_async(payout_id))

    async def payout_lines(self, payout_id: str) -> AsyncIterator[list[stripe.BalanceTransaction]]:
        """The lines that went into a payout, its own among them. Stripe tells them of automatic payouts alone."""
        listed = self.client.v1.balance_transactions.list_async
        async for page in _pages(lambda: listed({"payout": payout_id, "limit": _PAGE, "expand": ["data.source"]})):
            yield page


def windows(since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """The span in shorter ones (closed, to the second), which can be read side by side: pages follow one another."""
    count = max(1, -(-(until - since) // _WINDOW))
    starts = [since + number * _WINDOW for number in range(count)]
    return list(zip(starts, [*(start - timedelta(seconds=1) for start in starts[1:]), until], strict=True))


async def side_by_side(reads: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Do all of it, a few at a time; the first that fails stops the others."""
    few = asyncio.Semaphore(_AT_ONCE)

    async def read(one: Callable[[], Awaitable[None]]) -> None:
        async with few:
            await one()

    tasks = [asyncio.ensure_future(read(one)) for one in reads]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def paid_at(intent: stripe.PaymentIntent) -> datetime | None:
    """When its latest charge was made (UTC); none if there was none."""
    charge = intent.latest_charge
    return datetime.fromtimestamp(charge.created, UTC) if isinstance(charge, stripe.Charge) else None


def payment_facts(intent: stripe.PaymentIntent) -> PaymentAtStripe:
    """A PaymentIntent in our words."""
    charge = intent.latest_charge
    # What we have no word for is not paid yet.
    status = PaymentStatus(intent.status) if intent.status in set(PaymentStatus) else PaymentStatus.PROCESSING
    return PaymentAtStripe(
        payment_intent_id=intent.id,
        status=status,
        received=intent.amount_received,
        refunded=charge.amount_refunded if isinstance(charge, stripe.Charge) else 0,
        currency=intent.currency.upper(),
        order_id=named_order(intent),
    )


def charged_payment(charge: stripe.Charge) -> PaymentAtStripe | None:
    """The payment that a line of the balance brought in; none if it belongs to no PaymentIntent."""
    intent = charge.payment_intent
    if intent is None or charge.status != "succeeded":
        return None
    return PaymentAtStripe(
        payment_intent_id=intent if isinstance(intent, str) else intent.id,
        status=PaymentStatus.SUCCEEDED,
        received=charge.amount_captured,
        refunded=charge.amount_refunded,
        currency=charge.currency.upper(),
        order_id=named_order(charge),
    )


def refund_facts(made: stripe.Refund) -> RefundAtStripe:
    """A refund in our words."""
    return RefundAtStripe(
        stripe_refund_id=made.id,
        payment_intent_id=intent_of(made),
        status=RefundStatus(made.status or RefundStatus.PENDING),
        amount=made.amount,
        currency=made.currency.upper(),
        refund_id=our_id(made),
    )


def named_order(made: stripe.PaymentIntent | stripe.Charge | stripe.Refund) -> UUID | None:
    """The order whose id we gave to it; it may be of somebody else, or gone."""
    told = {} if made.metadata is None else made.metadata.to_dict()
    try:
        return UUID(str(told.get("order_id", "")))
    except ValueError:
        return None


def _span(since: datetime, until: datetime | None) -> "stripe.params.PaymentIntentListParamsCreated":
    begun = int(since.timestamp())
    return {"gte": begun} if until is None else {"gte": begun, "lte": int(until.timestamp())}


async def _all(ask: Callable[[], Awaitable[stripe.ListObject[ItemT]]]) -> list[ItemT]:
    return [item async for page in _pages(ask) for item in page]


async def _pages(ask: Callable[[], Awaitable[stripe.ListObject[ItemT]]]) -> AsyncIterator[list[ItemT]]:
    page = await _asked(ask)
    while page.data:
        yield list(page.data)
        if not page.has_more:
            return
        page = await _asked(page.next_page_async)


async def _known(ask: Callable[[], Awaitable[ItemT]]) -> ItemT | None:
    try:
        return await _asked(ask)
    except _UnknownError:
        return None


class _UnknownError(Exception):
    """Stripe does not know what was asked for."""


async def _asked(ask: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
    pauses = iter(_PAUSES)
    while True:
        try:
            return await ask()
        except stripe.StripeError as error:
            if error.code == "resource_missing":
                raise _UnknownError from None
            pause = next(pauses, None) if meaning_of(error).audience is Audience.NOBODY else None
            if pause is None:
                raise as_failure(error, keep_trying=True) from None
        await asyncio.sleep(pause)
