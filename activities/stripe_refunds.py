"""Refunds at Stripe: asked for once each, looked up, read, cancelled. The port that refund steps share."""

from dataclasses import dataclass
from datetime import datetime

import stripe
from temporalio import activity

from activities.adopted_refunds import our_id
from activities.refund_record import REFUNDED_ELSEWHERE, Told
from activities.stripe import KEY_IS_SURELY_KNOWN
from activities.stripe_errors import as_failure, meaning_of
from models.identifiers import step_key
from models.tables import Refund
from models.tables.columns import now
from models.vocabulary import RefundStatus


class LessIsLeftError(Exception):
    """Less than that is left of the charge: somebody has paid back money of it elsewhere."""


@dataclass
class StripeRefunds:
    """The refunds of the account, by the official client."""

    client: stripe.StripeClient

    async def ask(self, refund: Refund, attempt: str) -> Told:
        """Have the money paid back, exactly once per attempt, and say how it stands; a definite no is `failed`.

        Raises `LessIsLeftError`, and what may pass as a retryable `ApplicationError`.
        """
        is_old = now() - refund.created_at > KEY_IS_SURELY_KNOWN
        made = await self._find(refund, attempt) if is_old else None
        try:
            made = made or await self._create(refund, attempt)
        except stripe.StripeError as error:
            if meaning_of(error).retryable:
                raise as_failure(error) from None
            if error.code == "charge_already_refunded" or getattr(error, "param", None) == "amount":
                raise LessIsLeftError from None
            return Told(RefundStatus.FAILED, failure_reason=(error.code or meaning_of(error).type)[:64])
        return told_by(made)

    async def read(self, stripe_refund_id: str) -> stripe.Refund | None:
        """The refund as Stripe has it now; none if Stripe does not know it."""
        try:
            return await self.client.v1.refunds.retrieve_async(stripe_refund_id)
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                return None
            raise as_failure(error, keep_trying=True) from None
        except stripe.StripeError as error:
            raise as_failure(error, keep_trying=True) from None

    async def cancel(self, stripe_refund_id: str) -> None:
        """Take back a refund that its payer has not claimed. One that has moved on meanwhile is left alone."""
        try:
            await self.client.v1.refunds.cancel_async(stripe_refund_id)
        except stripe.InvalidRequestError:
            pass
        except stripe.StripeError as error:
            raise as_failure(error, keep_trying=True) from None

    async def of_payment(self, payment_intent_id: str) -> list[stripe.Refund]:
        """Every refund of a payment."""
        return await self._list({"payment_intent": payment_intent_id, "limit": 100})

    async def left_of(self, payment_intent_id: str) -> int:
        """How much of a payment has not gone back, in minor units."""
        try:
            intent = await self.client.v1.payment_intents.retrieve_async(
                payment_intent_id, {"expand": ["latest_charge"]}
            )
        except stripe.StripeError as error:
            raise as_failure(error, keep_trying=True) from None
        charge = intent.latest_charge
        return intent.amount_received - (charge.amount_refunded if isinstance(charge, stripe.Charge) else 0)

    async def since(self, moment: datetime) -> list[stripe.Refund]:
        """Every refund that was made since then."""
        return await self._list({"created": {"gte": int(moment.timestamp())}, "limit": 100})

    async def _list(self, params: "stripe.params.RefundListParams") -> list[stripe.Refund]:
        try:
            listed = await self.client.v1.refunds.list_async(params)
            return [made async for made in listed.auto_paging_iter()]
        except stripe.StripeError as error:
            raise as_failure(error, keep_trying=True) from None

    async def _create(self, refund: Refund, attempt: str) -> stripe.Refund:
        """A stored 500 is repeated for as long as Stripe remembers its key: what exists is looked up then."""
        name = f"refund-{refund.id}" if attempt == "1" else f"refund-{refund.id}-{attempt}"
        if refund.failure_reason == REFUNDED_ELSEWHERE:
            name += f"-{refund.amount}"
        try:
            return await self._post(refund, attempt, name)
        except stripe.APIError as error:
            if (error.headers or {}).get("idempotent-replayed") != "true":
                raise
            again = f"{name}:{activity.info().attempt}"
            return await self._find(refund, attempt) or await self._post(refund, attempt, again)

    async def _post(self, refund: Refund, attempt: str, name: str) -> stripe.Refund:
        told = {"order_id": str(refund.order_id), "refund_id": str(refund.id), "attempt": attempt}
        return await self.client.v1.refunds.create_async(
            {"payment_intent": refund.payment_intent_id or "", "amount": refund.amount, "metadata": told},
            {"idempotency_key": step_key(refund.workflow_id, name)},
        )

    async def _find(self, refund: Refund, attempt: str) -> stripe.Refund | None:
        for made in await self.of_payment(refund.payment_intent_id or ""):
            told = {} if made.metadata is None else made.metadata.to_dict()
            if our_id(made) == refund.id and told.get("attempt") == attempt:
                return made
        return None


def told_by(made: stripe.Refund) -> Told:
    """What Stripe says of a refund that it has made."""
    return Told(RefundStatus(made.status or RefundStatus.PENDING), made.id, getattr(made, "failure_reason", None))
