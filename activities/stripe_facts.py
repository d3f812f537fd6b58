"""Stripe's objects in our words: how a payment stands, what came in, how often it was declined."""

from dataclasses import dataclass
from datetime import UTC, datetime

import stripe
from stripe.checkout import Session as CheckoutSession

from models.messages.orders import PaymentFacts
from models.money import Money
from models.tables.columns import now
from models.vocabulary import PaymentStatus
from rules.payment import declines_that_count

Told = stripe.PaymentIntent | CheckoutSession

_UNPAID = (PaymentStatus.REQUIRES_PAYMENT_METHOD, PaymentStatus.REQUIRES_CONFIRMATION)


@dataclass(frozen=True)
class Declines:
    """The declined attempts of a payment: how many count now, and the latest with Stripe's word for why."""

    recent: int = 0
    latest_at: datetime | None = None
    code: str | None = None


def intent_of(told: Told) -> stripe.PaymentIntent | None:
    """The PaymentIntent; none for a session that nobody has tried to pay yet."""
    intent = told if isinstance(told, stripe.PaymentIntent) else told.payment_intent
    return intent if isinstance(intent, stripe.PaymentIntent) else None


def facts_of(told: Told, currency: str, declines: Declines | None = None) -> PaymentFacts:
    """How the payment stands. `currency` is that of the order, for a payment in which nothing came in yet."""
    intent = intent_of(told)
    if intent is None:
        gone = isinstance(told, CheckoutSession) and told.status == "expired"
        return PaymentFacts(
            status=PaymentStatus.CANCELED if gone else PaymentStatus.REQUIRES_PAYMENT_METHOD,
            captured=Money(amount=0, currency=currency),
        )
    charge = intent.latest_charge
    status = PaymentStatus(intent.status)
    if isinstance(told, CheckoutSession) and told.status == "complete" and status in _UNPAID:
        # The bank has refused after the page was closed: nobody can pay through this session any more.
        status = PaymentStatus.CANCELED
    elif isinstance(told, CheckoutSession) and told.status == "complete" and status is PaymentStatus.REQUIRES_ACTION:
        # A voucher or a transfer: the payer has left the page with what is needed, and nobody can call it back.
        status = PaymentStatus.PROCESSING
    return PaymentFacts(
        status=status,
        captured=Money(amount=intent.amount_received, currency=intent.currency.upper()),
        payment_intent_id=intent.id,
        refunded_amount=charge.amount_refunded if isinstance(charge, stripe.Charge) else 0,
        charge_id=charge.id if isinstance(charge, stripe.Charge) else charge,
        declines=declines.recent if declines else 0,
    )


async def read_declines(client: stripe.StripeClient, told: Told) -> Declines:
    """The declines of a payment that waits for another try; asks Stripe only if there was one."""
    intent = intent_of(told)
    if intent is None or intent.last_payment_error is None:
        return Declines()
    charges = await client.v1.charges.list_async({"payment_intent": intent.id, "limit": 100})
    declined = [datetime.fromtimestamp(charge.created, UTC) for charge in charges.data if charge.status == "failed"]
    error = intent.last_payment_error
    if getattr(error, "charge", None) is None:
        # The bank refused to confirm the payer: an attempt that leaves no charge behind.
        declined.append(now())
    return Declines(
        recent=declines_that_count(declined, now()),
        latest_at=max(declined),
        code=str(getattr(error, "decline_code", None) or error.code or "unknown")[:64],
    )
