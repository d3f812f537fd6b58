"""The steps about money at Stripe that no running order waits for: whose it is, and giving it back."""

from dataclasses import dataclass
from uuid import UUID

import stripe
from pydantic import ValidationError
from sqlalchemy import select
from sqlmodel import col
from temporalio import activity

from activities.database import Sessions
from activities.stripe_errors import as_failure, meaning_of
from models.identifiers import step_key
from models.messages.payments import FoundPayment, PaidBack, PayBack, PaymentOwner, UnmatchedPayment
from models.money import Money
from models.tables import Order, Payment
from models.vocabulary import OrderStatus, PaymentStatus, RefundStatus

_GIVEN_UP = (OrderStatus.CANCELLED, OrderStatus.FAILED)


@dataclass
class UnmatchedPaymentActivities:
    """Steps of `UnmatchedPaymentWorkflow`."""

    client: stripe.StripeClient
    sessions: Sessions

    @activity.defn
    async def find_payment(self, step: UnmatchedPayment) -> FoundPayment:
        """Read the payment from Stripe and look up whose it is.

        What cannot be read will never be: it is told as `unreadable`, for a person to see.
        """
        try:
            intent = await self.client.v1.payment_intents.retrieve_async(
                step.payment_intent_id, {"expand": ["latest_charge"]}
            )
        except stripe.InvalidRequestError as error:
            if error.code != "resource_missing":
                raise as_failure(error, keep_trying=True) from None
            return FoundPayment(owner=PaymentOwner.UNREADABLE, as_stripe_says="a payment that Stripe does not know")
        except stripe.StripeError as error:
            raise as_failure(error, keep_trying=True) from None
        try:
            captured = Money(amount=intent.amount_received, currency=intent.currency.upper())
        except ValidationError:
            told = f"{intent.amount_received} minor units of {intent.currency.upper()}"
            return FoundPayment(owner=PaymentOwner.UNREADABLE, as_stripe_says=told[:100])
        charge = intent.latest_charge
        owner, payer_id = await self._owner(step)
        return FoundPayment(
            owner=owner,
            payer_id=payer_id,
            captured=captured,
            refunded_amount=charge.amount_refunded if isinstance(charge, stripe.Charge) else 0,
        )

    @activity.defn
    async def pay_back(self, step: PayBack) -> PaidBack:
        """Pay back what is left of the payment. A definite no of Stripe is reported as `failed`."""
        name = "refund" if step.attempt == 1 else f"refund-{step.attempt}"
        try:
            refund = await self.client.v1.refunds.create_async(
                {"payment_intent": step.payment_intent_id},
                {"idempotency_key": step_key(step.workflow_id, name)},
            )
        except stripe.StripeError as error:
            if meaning_of(error).retryable:
                raise as_failure(error) from None
            return PaidBack(status=RefundStatus.FAILED)
        return PaidBack(status=RefundStatus(refund.status or RefundStatus.PENDING))

    async def _owner(self, step: UnmatchedPayment) -> tuple[PaymentOwner, UUID | None]:
        query = (
            select(Order, Payment)
            .join(Payment, col(Payment.order_id) == col(Order.id), isouter=True)
            .where(
                (col(Payment.payment_intent_id) == step.payment_intent_id)
                | (col(Order.id) == (step.order_id or UUID(int=0)))
            )
        )
        async with self.sessions() as session:
            found = (await session.execute(query)).first()
        if found is None:
            return PaymentOwner.NOBODY, None
        order, payment = found
        # What a checkout page makes is not known by its id before the order is complete.
        if payment is None or payment.payment_intent_id not in (None, step.payment_intent_id):
            return PaymentOwner.SECOND, order.payer_id
        if order.status in _GIVEN_UP and payment.status != PaymentStatus.SUCCEEDED:
            return PaymentOwner.LATE, order.payer_id
        is_known = payment.status == PaymentStatus.SUCCEEDED
        return PaymentOwner.ORDER if is_known else PaymentOwner.STUCK, order.payer_id
