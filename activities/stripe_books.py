"""What the account at Stripe has: payments, refunds, disputes, its balance and payouts, read by lists, page by page."""

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

import stripe

from activities.adopted_refunds import intent_of, our_id
from activities.stripe_errors import as_failure
from models.vocabulary import PaymentStatus, RefundStatus
from rules.reconciliation import PaymentAtStripe, RefundAtStripe

_PAGE = 100

ItemT = TypeVar("ItemT", bound=stripe.StripeObject)


@dataclass(frozen=True)
class StripeBooks:
    """Every method raises a retryable `ApplicationError` while Stripe cannot be read. Spans are closed (UTC)."""

    client: stripe.StripeClient

    async def payments(self, since: datetime, until: datetime) -> list[stripe.PaymentIntent]:
        """The PaymentIntents that were made then, each with its latest charge."""
        return await _all(
            self.client.v1.payment_intents.list_async(
                {"created": _span(since, until), "limit": _PAGE, "expand": ["data.latest_charge"]}
            )
        )

    async def payment(self, payment_intent_id: str) -> stripe.PaymentIntent | None:
        """The PaymentIntent with its latest charge; none if Stripe does not know it."""
        return await _known(
            self.client.v1.payment_intents.retrieve_async(payment_intent_id, {"expand": ["latest_charge"]})
        )

    async def refunds(self, since: datetime, until: datetime) -> list[stripe.Refund]:
        """The refunds that were made then."""
        return await _all(self.client.v1.refunds.list_async({"created": _span(since, until), "limit": _PAGE}))

    async def refund(self, stripe_refund_id: str) -> stripe.Refund | None:
        """The refund; none if Stripe does not know it."""
        return await _known(self.client.v1.refunds.retrieve_async(stripe_refund_id))

    async def disputes(self, since: datetime, until: datetime) -> list[stripe.Dispute]:
        """The disputes that were opened then, each with its payment."""
        return await _all(
            self.client.v1.disputes.list_async(
                {"created": _span(since, until), "limit": _PAGE, "expand": ["data.payment_intent"]}
            )
        )

    async def dispute(self, stripe_dispute_id: str) -> stripe.Dispute | None:
        """The dispute with its payment; none if Stripe does not know it."""
        return await _known(self.client.v1.disputes.retrieve_async(stripe_dispute_id, {"expand": ["payment_intent"]}))

    async def events(self, since: datetime, until: datetime, types: list[str]) -> list[stripe.Event]:
        """The events of these types (twenty at most) that happened then, oldest first."""
        newest_first = await _all(
            self.client.v1.events.list_async({"created": _span(since, until), "types": types, "limit": _PAGE})
        )
        return newest_first[::-1]

    async def event(self, event_id: str) -> stripe.Event | None:
        """One event; none if Stripe has forgotten it."""
        return await _known(self.client.v1.events.retrieve_async(event_id))

    async def balance(self, since: datetime) -> AsyncIterator[list[stripe.BalanceTransaction]]:
        """The lines of the balance since then, page by page, each with its charge, refund or dispute."""
        listed = self.client.v1.balance_transactions.list_async(
            {"created": {"gte": int(since.timestamp())}, "limit": _PAGE, "expand": ["data.source"]}
        )
        async for page in _pages(listed):
            yield page

    async def balance_line(self, stripe_id: str) -> stripe.BalanceTransaction | None:
        """One line of the balance with what it is of; none if Stripe does not know it."""
        return await _known(self.client.v1.balance_transactions.retrieve_async(stripe_id, {"expand": ["source"]}))

    async def payouts(self, since: datetime) -> list[stripe.Payout]:
        """The payouts that were made since then."""
        return await _all(
            self.client.v1.payouts.list_async({"created": {"gte": int(since.timestamp())}, "limit": _PAGE})
        )

    async def payout(self, payout_id: str) -> stripe.Payout | None:
        """The payout; none if Stripe does not know it."""
        return await _known(self.client.v1.payouts.retrieve_async(payout_id))

    async def payout_lines(self, payout_id: str) -> list[stripe.BalanceTransaction]:
        """The lines that went into a payout, its own among them. Stripe tells them of automatic payouts alone."""
        return await _all(
            self.client.v1.balance_transactions.list_async(
                {"payout": payout_id, "limit": _PAGE, "expand": ["data.source"]}
            )
        )


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


def _span(since: datetime, until: datetime) -> "stripe.params.PaymentIntentListParamsCreated":
    return {"gte": int(since.timestamp()), "lte": int(until.timestamp())}


async def _all(listed: Awaitable[stripe.ListObject[ItemT]]) -> list[ItemT]:
    return [item async for page in _pages(listed) for item in page]


async def _pages(listed: Awaitable[stripe.ListObject[ItemT]]) -> AsyncIterator[list[ItemT]]:
    try:
        page = await listed
        while page.data:
            yield list(page.data)
            if not page.has_more:
                return
            page = await page.next_page_async()
    except stripe.StripeError as error:
        raise as_failure(error, keep_trying=True) from None


async def _known(retrieved: Awaitable[ItemT]) -> ItemT | None:
    try:
        return await retrieved
    except stripe.StripeError as error:
        if error.code != "resource_missing":
            raise as_failure(error, keep_trying=True) from None
        return None
