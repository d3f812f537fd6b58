"""The Stripe port: ask for a payment, read it, cancel it. The official client is the only way to Stripe.

A payment is always read again from Stripe; nothing is believed because somebody said so (DESIGN §3.4).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import stripe
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from stripe.checkout import Session as CheckoutSession
from stripe.params import PaymentIntentCreateParams
from stripe.params.checkout import SessionCreateParams, SessionCreateParamsLineItem
from temporalio import activity

from activities.database import Sessions
from activities.stripe_errors import as_failure, meaning_of
from activities.stripe_facts import Told, facts_of, intent_of, read_declines
from models.errors import Reason
from models.identifiers import step_key
from models.messages.orders import OrderPayment, PaymentFacts, PaymentRequest, RequestedPayment
from models.money import Money
from models.tables import Order, OrderLine, Payment, Person, StripeCustomer
from models.tables.columns import now
from models.vocabulary import PaymentMethod, PaymentStatus

# Stripe may forget an idempotency key after 24 h; older requests are looked up before they are made again.
KEY_IS_SURELY_KNOWN = timedelta(hours=20)


def open_stripe(api_key: str, api_base: str | None) -> stripe.StripeClient:
    """The official client. Retries are Temporal's business, so that an operator sees them."""
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base} if api_base else {},
        http_client=stripe.HTTPXClient(timeout=20, allow_sync_methods=False),
        max_network_retries=0,
    )


_ENDS = (PaymentStatus.SUCCEEDED, PaymentStatus.CANCELED)

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
    """Steps of an order that talk to Stripe.

    `payment_method_types` are Stripe's words for what payers may pay with; empty leaves it to Stripe's Dashboard.
    """

    client: stripe.StripeClient
    sessions: Sessions
    public_url: str
    payment_method_types: tuple[str, ...] = ()

    @activity.defn
    async def request_payment(self, step: PaymentRequest) -> RequestedPayment:
        """Have Stripe prepare a Checkout Session or PaymentIntent, and keep its link or secret in the record.

        A request that Stripe refuses for good is a result; every other failure is tried again with the same key. A
        later attempt makes another object in place of one that was given up.
        """
        due = await self._load(step.order_id)
        if due.payment.attempt >= step.attempt and (due.payment.checkout_session_id or due.payment.payment_intent_id):
            return RequestedPayment(facts=await self._read(due.payment))
        name = "payment" if step.attempt == 1 else f"payment-{step.attempt}"
        try:
            prepared = await self._prepare(due, step.attempt, step_key(step.workflow_id, name))
        except stripe.StripeError as error:
            if meaning_of(error).retryable:
                raise as_failure(error) from None
            too_small = error.code == "amount_too_small"
            return RequestedPayment(
                refusal=Reason.AMOUNT_TOO_SMALL if too_small else Reason.PAYMENT_REFUSED,
                refusal_detail=f"Stripe refused the payment ({error.code or 'no code'}, request {error.request_id}).",
            )
        await self._keep(due.payment.id, prepared, step.attempt)
        return RequestedPayment(facts=facts_of(prepared, due.payment.currency))

    @activity.defn
    async def read_payment(self, step: OrderPayment) -> PaymentFacts:
        """The order's payment as Stripe has it now; how it stands is kept in the record, too, for the API."""
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
            told = await self._retrieve(payment)
            if told is None:
                return PaymentFacts(status=PaymentStatus.CANCELED, captured=Money(amount=0, currency=payment.currency))
            declines = await read_declines(self.client, told)
        except stripe.StripeError as error:
            raise as_failure(error, keep_trying=True) from None
        facts = facts_of(told, payment.currency, declines)
        await self._mirror(payment, facts, declines.latest_at, declines.code)
        return facts

    async def _retrieve(self, payment: Payment) -> Told | None:
        if payment.checkout_session_id:
            return await self.client.v1.checkout.sessions.retrieve_async(
                payment.checkout_session_id, {"expand": ["payment_intent.latest_charge"]}
            )
        if payment.payment_intent_id:
            return await self.client.v1.payment_intents.retrieve_async(
                payment.payment_intent_id, {"expand": ["latest_charge"]}
            )
        return None

    async def _mirror(
        self, payment: Payment, facts: PaymentFacts, declined_at: datetime | None, code: str | None
    ) -> None:
        """Keep how an unfinished payment stands. How it ends is written with what follows from it."""
        status = payment.status if facts.status in _ENDS else facts.status
        if (status, declined_at or payment.declined_at) == (payment.status, payment.declined_at):
            return
        changes = {"status": status, "updated_at": now()}
        if declined_at is not None:
            changes |= {"declined_at": declined_at, "decline_code": code}
        async with self.sessions.begin() as session:
            await session.execute(
                update(Payment).where(col(Payment.id) == payment.id, col(Payment.status).not_in(_ENDS)).values(changes)
            )

    async def _prepare(self, due: _Due, attempt: int, key: str) -> Told:
        """Make the payment exactly once, also where Stripe's memory of the key is of no help.

        A key may be forgotten after 24 h, and a stored 500 is repeated for as long as it is remembered: in both
        cases what exists at Stripe is looked up first, by the order's id.
        """
        if now() - due.payment.created_at > KEY_IS_SURELY_KNOWN and (found := await self._find(due, attempt)):
            return found
        try:
            return await self._create(due, attempt, key)
        except stripe.APIError as error:
            if (error.headers or {}).get("idempotent-replayed") != "true":
                raise
            return await self._find(due, attempt) or await self._create(
                due, attempt, f"{key}:{activity.info().attempt}"
            )

    async def _find(self, due: _Due, attempt: int) -> Told | None:
        if due.customer_id is None:
            return None
        since = int(due.payment.created_at.timestamp()) - 60
        if due.order.payment_method == PaymentMethod.CHECKOUT:
            sessions = await self.client.v1.checkout.sessions.list_async(
                {"customer": due.customer_id, "created": {"gte": since}, "limit": 100}
            )
            return await _of_order(sessions, due.order.id, attempt)
        intents = await self.client.v1.payment_intents.list_async(
            {"customer": due.customer_id, "created": {"gte": since}, "limit": 100}
        )
        return await _of_order(intents, due.order.id, attempt)

    async def _create(self, due: _Due, attempt: int, key: str) -> Told:
        customer_id = due.customer_id or await self._create_customer(due.payer)
        try:
            return await self._create_for(customer_id, due, attempt, key)
        except stripe.InvalidRequestError as error:
            if (error.code, error.param) != ("resource_missing", "customer"):
                raise
            # Erased at Stripe, for instance because the person asked for it: they may buy again, as somebody new.
            renewed = await self._create_customer(due.payer, gone=customer_id)
            return await self._create_for(renewed, due, attempt, f"{key}:{renewed}")

    async def _create_for(self, customer_id: str, due: _Due, attempt: int, key: str) -> Told:
        if due.order.payment_method == PaymentMethod.CHECKOUT:
            session = await self._checkout_params(due.order, customer_id, attempt)
            return await self.client.v1.checkout.sessions.create_async(session, {"idempotency_key": key})
        intent = self._intent_params(due.order, customer_id, attempt)
        return await self.client.v1.payment_intents.create_async(intent, {"idempotency_key": key})

    async def _create_customer(self, payer: Person, gone: str | None = None) -> str:
        """One customer per person (TutorHub R27): whoever writes first wins, the other uses what is written.

        `gone` is the customer that Stripe does not have any more; it is replaced.
        """
        version = f"customer-{int(payer.updated_at.timestamp())}{f'-after-{gone}' if gone else ''}"
        customer = await self.client.v1.customers.create_async(
            {
                "email": payer.email,
                "name": payer.full_name,
                "preferred_locales": [payer.locale],
                "metadata": {"person_id": str(payer.id)},
            },
            # The key holds the version of the person's data: the same key must not come with other data.
            {"idempotency_key": step_key(f"person-{payer.id}", version)},
        )
        wanted = insert(StripeCustomer).values(person_id=payer.id, customer_id=customer.id, created_at=now())
        kept = wanted.on_conflict_do_update(
            index_elements=["person_id"], set_={"customer_id": StripeCustomer.customer_id}
        ).returning(col(StripeCustomer.customer_id))
        async with self.sessions.begin() as session:
            if gone:
                await session.execute(delete(StripeCustomer).where(col(StripeCustomer.customer_id) == gone))
            return (await session.execute(kept)).scalar_one()

    async def _checkout_params(self, order: Order, customer_id: str, attempt: int) -> SessionCreateParams:
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
            if line.total_amount
        ]
        params: SessionCreateParams = {
            "mode": "payment",
            "customer": customer_id,
            "client_reference_id": str(order.id),
            "line_items": items,
            "success_url": f"{self.public_url}/checkout/return?order={order.id}&session_id={{CHECKOUT_SESSION_ID}}",
            "cancel_url": f"{self.public_url}/checkout/cancelled",
            "metadata": _metadata(order, attempt),
            "payment_intent_data": {"description": f"Order {order.number}", "metadata": _metadata(order, attempt)},
        }
        if self.payment_method_types:
            params["allowed_payment_method_types"] = list(self.payment_method_types)
        return params

    def _intent_params(self, order: Order, customer_id: str, attempt: int) -> PaymentIntentCreateParams:
        params: PaymentIntentCreateParams = {
            "amount": order.total_amount,
            "currency": order.currency.lower(),
            "customer": customer_id,
            "description": f"Order {order.number}",
            "metadata": _metadata(order, attempt),
        }
        if self.payment_method_types:
            params["allowed_payment_method_types"] = list(self.payment_method_types)
        return params

    async def _keep(self, payment_id: UUID, prepared: Told, attempt: int) -> None:
        is_session = isinstance(prepared, CheckoutSession)
        intent = intent_of(prepared)
        known = {
            "attempt": attempt,
            "status": PaymentStatus.REQUIRES_PAYMENT_METHOD if intent is None else PaymentStatus(intent.status),
            "checkout_session_id": prepared.id if is_session else None,
            "checkout_url": prepared.url if isinstance(prepared, CheckoutSession) else None,
            "payment_intent_id": None if intent is None else intent.id,
            "client_secret": None if is_session or intent is None else intent.client_secret,
            "resting_until": None,
            "updated_at": now(),
        }
        async with self.sessions.begin() as session:
            await session.execute(update(Payment).where(col(Payment.id) == payment_id).values(known))


async def _of_order(made: stripe.ListObject[_Prepared], order_id: UUID, attempt: int) -> _Prepared | None:
    async for candidate in made.auto_paging_iter():
        told = {} if candidate.metadata is None else candidate.metadata.to_dict()
        if told.get("order_id") == str(order_id) and told.get("attempt", "1") == str(attempt):
            return candidate
    return None


def _metadata(order: Order, attempt: int) -> dict[str, str]:
    return {"order_id": str(order.id), "attempt": str(attempt)}
