"""The Stripe port: ask for a payment, read it, cancel it. The official client is the only way to Stripe.

A payment is always read again from Stripe; nothing is believed because somebody said so (DESIGN §3.4).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import stripe
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from stripe.checkout import Session as CheckoutSession
from stripe.params import PaymentIntentCreateParams
from stripe.params.checkout import SessionCreateParams, SessionCreateParamsLineItem
from temporalio import activity

from activities.database import Sessions
from activities.stripe_errors import as_failure, meaning_of
from models.errors import Reason
from models.identifiers import step_key
from models.messages.orders import OrderPayment, PaymentFacts, PaymentRequest, RequestedPayment
from models.money import Money
from models.tables import Order, OrderLine, Payment, Person, StripeCustomer
from models.tables.columns import now
from models.vocabulary import PaymentMethod, PaymentStatus

# Stripe may forget an idempotency key after 24 h; older requests are looked up before they are made again.
_KEY_IS_SURELY_KNOWN = timedelta(hours=20)


def open_stripe(api_key: str, api_base: str | None) -> stripe.StripeClient:
    """The official client. Retries are Temporal's business, so that an operator sees them."""
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base} if api_base else {},
        http_client=stripe.HTTPXClient(timeout=20, allow_sync_methods=False),
        max_network_retries=0,
    )


_Prepared = TypeVar("_Prepared", stripe.PaymentIntent, CheckoutSession)


@dataclass(frozen=True)
class _Due:
    """An order's payment with all that Stripe must be told."""

    order: Order
    payment: Payment
    payer: Person
    customer_id: str | None


@dataclass
class StripeActivities:
    """Steps of an order that talk to Stripe."""

    client: stripe.StripeClient
    sessions: Sessions
    public_url: str

    @activity.defn
    async def request_payment(self, step: PaymentRequest) -> RequestedPayment:
        """Have Stripe prepare a Checkout Session or PaymentIntent, and keep its link or secret in the record.

        A request that Stripe refuses for good is a result; every other failure is tried again with the same key.
        """
        due = await self._load(step.order_id)
        if due.payment.checkout_session_id or due.payment.payment_intent_id:
            return RequestedPayment(facts=await self._read(due.payment))
        try:
            prepared = await self._prepare(due, step_key(step.workflow_id, "payment"))
        except stripe.StripeError as error:
            if meaning_of(error).retryable:
                raise as_failure(error) from None
            too_small = error.code == "amount_too_small"
            return RequestedPayment(
                refusal=Reason.AMOUNT_TOO_SMALL if too_small else Reason.PAYMENT_REFUSED,
                refusal_detail=f"Stripe refused the payment ({error.code or 'no code'}, request {error.request_id}).",
            )
        await self._keep(due.payment.id, prepared)
        return RequestedPayment(facts=_facts(prepared, due.payment))

    @activity.defn
    async def read_payment(self, step: OrderPayment) -> PaymentFacts:
        """The order's payment as Stripe has it now."""
        return await self._read((await self._load(step.order_id)).payment)

    @activity.defn
    async def cancel_payment(self, step: OrderPayment) -> PaymentFacts:
        """Make sure that nobody can pay any more, and say how the payment really ended: it may have won the race."""
        payment = (await self._load(step.order_id)).payment
        try:
            if payment.checkout_session_id:
                await self.client.v1.checkout.sessions.expire_async(payment.checkout_session_id)
            elif payment.payment_intent_id:
                await self.client.v1.payment_intents.cancel_async(payment.payment_intent_id)
        except stripe.InvalidRequestError:
            # Already paid, expired, cancelled or on its way: what it is now decides, not that we came too late.
            pass
        except stripe.StripeError as error:
            raise as_failure(error, keep_trying=True) from None
        return await self._read(payment)

    async def _load(self, order_id: UUID) -> _Due:
        query = (
            select(Order, Payment, Person, col(StripeCustomer.customer_id))
            .join(Payment, col(Payment.order_id) == col(Order.id))
            .join(Person, col(Person.id) == col(Order.payer_id))
            .join(StripeCustomer, col(StripeCustomer.person_id) == col(Person.id), isouter=True)
            .where(col(Order.id) == order_id)
        )
        async with self.sessions() as session:
            return _Due(*(await session.execute(query)).one())

    async def _read(self, payment: Payment) -> PaymentFacts:
        try:
            if payment.checkout_session_id:
                return _facts(
                    await self.client.v1.checkout.sessions.retrieve_async(
                        payment.checkout_session_id, {"expand": ["payment_intent.latest_charge"]}
                    ),
                    payment,
                )
            if payment.payment_intent_id:
                return _facts(
                    await self.client.v1.payment_intents.retrieve_async(
                        payment.payment_intent_id, {"expand": ["latest_charge"]}
                    ),
                    payment,
                )
        except stripe.StripeError as error:
            raise as_failure(error, keep_trying=True) from None
        return PaymentFacts(status=PaymentStatus.CANCELED, captured=Money(amount=0, currency=payment.currency))

    async def _prepare(self, due: _Due, key: str) -> stripe.PaymentIntent | CheckoutSession:
        """Make the payment exactly once, also where Stripe's memory of the key is of no help.

        A key may be forgotten after 24 h, and a stored 500 is repeated for as long as it is remembered: in both
        cases what exists at Stripe is looked up first, by the order's id.
        """
        if now() - due.payment.created_at > _KEY_IS_SURELY_KNOWN and (found := await self._find(due)):
            return found
        try:
            return await self._create(due, key)
        except stripe.APIError as error:
            if (error.headers or {}).get("idempotent-replayed") != "true":
                raise
            return await self._find(due) or await self._create(due, f"{key}:{activity.info().attempt}")

    async def _find(self, due: _Due) -> stripe.PaymentIntent | CheckoutSession | None:
        if due.customer_id is None:
            return None
        since = int(due.payment.created_at.timestamp()) - 60
        if due.order.payment_method == PaymentMethod.CHECKOUT:
            sessions = await self.client.v1.checkout.sessions.list_async(
                {"customer": due.customer_id, "created": {"gte": since}, "limit": 100}
            )
            return await _of_order(sessions, due.order.id)
        intents = await self.client.v1.payment_intents.list_async(
            {"customer": due.customer_id, "created": {"gte": since}, "limit": 100}
        )
        return await _of_order(intents, due.order.id)

    async def _create(self, due: _Due, key: str) -> stripe.PaymentIntent | CheckoutSession:
        customer_id = due.customer_id or await self._create_customer(due.payer)
        if due.order.payment_method == PaymentMethod.CHECKOUT:
            params = await self._checkout_params(due.order, customer_id)
            return await self.client.v1.checkout.sessions.create_async(params, {"idempotency_key": key})
        return await self.client.v1.payment_intents.create_async(
            _intent_params(due.order, customer_id), {"idempotency_key": key}
        )

    async def _create_customer(self, payer: Person) -> str:
        """One customer per person (TutorHub R27): whoever writes first wins, the other uses what is written."""
        customer = await self.client.v1.customers.create_async(
            {
                "email": payer.email,
                "name": payer.full_name,
                "preferred_locales": [payer.locale],
                "metadata": {"person_id": str(payer.id)},
            },
            # The key holds the version of the person's data: the same key must not come with other data.
            {"idempotency_key": step_key(f"person-{payer.id}", f"customer-{int(payer.updated_at.timestamp())}")},
        )
        wanted = insert(StripeCustomer).values(person_id=payer.id, customer_id=customer.id, created_at=now())
        kept = wanted.on_conflict_do_update(
            index_elements=["person_id"], set_={"customer_id": StripeCustomer.customer_id}
        ).returning(col(StripeCustomer.customer_id))
        async with self.sessions.begin() as session:
            return (await session.execute(kept)).scalar_one()

    async def _checkout_params(self, order: Order, customer_id: str) -> SessionCreateParams:
        async with self.sessions() as session:
            lines = (
                await session.execute(
                    select(OrderLine).where(col(OrderLine.order_id) == order.id).order_by(col(OrderLine.position))
                )
            ).scalars()
        items: list[SessionCreateParamsLineItem] = [
            {
                "quantity": 1,
                "price_data": {
                    "currency": order.currency.lower(),
                    "unit_amount": line.total_amount,
                    "product_data": {"name": line.title},
                },
            }
            for line in lines
        ]
        return {
            "mode": "payment",
            "customer": customer_id,
            "client_reference_id": str(order.id),
            "allowed_payment_method_types": ["card"],
            "line_items": items,
            "success_url": f"{self.public_url}/checkout/return?order={order.id}&session_id={{CHECKOUT_SESSION_ID}}",
            "cancel_url": f"{self.public_url}/checkout/cancelled",
            "metadata": {"order_id": str(order.id)},
            "payment_intent_data": {
                "description": f"Order {order.number}",
                "metadata": {"order_id": str(order.id)},
            },
        }

    async def _keep(self, payment_id: UUID, prepared: stripe.PaymentIntent | CheckoutSession) -> None:
        if isinstance(prepared, CheckoutSession):
            known = {"checkout_session_id": prepared.id, "checkout_url": prepared.url}
        else:
            known = {"payment_intent_id": prepared.id, "client_secret": prepared.client_secret}
        async with self.sessions.begin() as session:
            await session.execute(
                update(Payment).where(col(Payment.id) == payment_id).values(**known, updated_at=now())
            )


async def _of_order(made: stripe.ListObject[_Prepared], order_id: UUID) -> _Prepared | None:
    async for candidate in made.auto_paging_iter():
        metadata = candidate.metadata
        if metadata is not None and metadata.to_dict().get("order_id") == str(order_id):
            return candidate
    return None


def _intent_params(order: Order, customer_id: str) -> PaymentIntentCreateParams:
    return {
        "amount": order.total_amount,
        "currency": order.currency.lower(),
        "customer": customer_id,
        "allowed_payment_method_types": ["card"],
        "description": f"Order {order.number}",
        "metadata": {"order_id": str(order.id)},
    }


def _facts(told: stripe.PaymentIntent | CheckoutSession, payment: Payment) -> PaymentFacts:
    """Stripe's object in our words. A session without a PaymentIntent is one that nobody has tried to pay yet."""
    intent = told if isinstance(told, stripe.PaymentIntent) else told.payment_intent
    if not isinstance(intent, stripe.PaymentIntent):
        gone = isinstance(told, CheckoutSession) and told.status == "expired"
        return PaymentFacts(
            status=PaymentStatus.CANCELED if gone else PaymentStatus.REQUIRES_PAYMENT_METHOD,
            captured=Money(amount=0, currency=payment.currency),
        )
    charge = intent.latest_charge
    return PaymentFacts(
        status=PaymentStatus(intent.status),
        captured=Money(amount=intent.amount_received, currency=intent.currency.upper()),
        payment_intent_id=intent.id,
        refunded_amount=charge.amount_refunded if isinstance(charge, stripe.Charge) else 0,
        charge_id=charge.id if isinstance(charge, stripe.Charge) else charge,
    )
