"""The steps that pay money back: asked of Stripe once each, and written down as Stripe tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import stripe
from temporalio import activity

from activities.database import Sessions
from activities.refund_record import (
    Told,
    request_refunds,
    request_whole_refund,
    settled_refunds,
    write_refunds,
)
from activities.stripe_errors import as_failure, meaning_of
from models.identifiers import step_key
from models.messages.orders import RefundedPlaces, RefundPayment, RefundPlaces, SettleByHand
from models.tables import Refund
from models.tables.columns import now
from models.vocabulary import RefundStatus

# Stripe may forget an idempotency key after 24 h; older requests are looked up before they are made again.
_KEY_IS_SURELY_KNOWN = timedelta(hours=20)


@dataclass
class RefundActivities:
    """Steps that give money back. Each may be repeated: a refund is one row, one key at Stripe, one credit note."""

    client: stripe.StripeClient
    sessions: Sessions

    @activity.defn
    async def refund_places(self, step: RefundPlaces) -> RefundedPlaces:
        """End the enrollments and pay their shares back, each with its credit note.

        A refund that Stripe refuses for good is reported as `failed`, one of money that came by invoice as
        `requires_action`: a person has to pay it back. Every other failure is raised and tried again.
        """
        async with self.sessions.begin() as session:
            refunds = await request_refunds(session, step)
        told: dict[UUID, Told] = {}
        for refund in refunds[:-1]:
            # Written down as soon as Stripe has answered: one that is stuck does not hide the others.
            told[refund.id] = await self._carry_out(refund, step.attempt)
            await self._write(step, told)
        told |= {refund.id: await self._carry_out(refund, step.attempt) for refund in refunds[-1:]}
        return await self._write(step, told)

    @activity.defn
    async def settle_by_hand(self, step: SettleByHand) -> RefundedPlaces:
        """Write down that a person has paid back what Stripe could not, or that it is not paid back."""
        async with self.sessions.begin() as session:
            told = await settled_refunds(session, step)
            return await write_refunds(
                session, step.order_id, told, reason=step.reason, workflow_id=step.workflow_id, actor=step.actor
            )

    @activity.defn
    async def refund_payment(self, step: RefundPayment) -> RefundedPlaces:
        """Pay back all that came in for an order that is not completed, as Stripe told it a moment ago."""
        async with self.sessions.begin() as session:
            refund = await request_whole_refund(session, step)
        told = {refund.id: await self._carry_out(refund, step.attempt)}
        return await self._write(step, told)

    async def _write(self, step: RefundPlaces | RefundPayment, told: Mapping[UUID, Told]) -> RefundedPlaces:
        async with self.sessions.begin() as session:
            return await write_refunds(session, step.order_id, told, reason=step.reason, workflow_id=step.workflow_id)

    async def _carry_out(self, refund: Refund, attempt: int) -> Told:
        intent_id = refund.payment_intent_id
        failed = refund.status in (RefundStatus.FAILED, RefundStatus.CANCELED)
        # What a person has paid back by hand has succeeded without an id of Stripe's.
        is_done = refund.status == RefundStatus.SUCCEEDED or (refund.stripe_refund_id is not None and not failed)
        if intent_id is None or is_done:
            return Told(RefundStatus(refund.status), refund.stripe_refund_id)
        is_old = now() - refund.created_at > _KEY_IS_SURELY_KNOWN
        made = await self._find(refund, intent_id, attempt) if is_old else None
        try:
            made = made or await self._create(refund, intent_id, attempt)
        except stripe.StripeError as error:
            if meaning_of(error).retryable:
                raise as_failure(error) from None
            return Told(RefundStatus.FAILED, None, (error.code or meaning_of(error).type)[:64])
        return Told(RefundStatus(made.status or RefundStatus.PENDING), made.id)

    async def _create(self, refund: Refund, intent_id: str, attempt: int) -> stripe.Refund:
        name = f"refund-{refund.id}" if attempt == 1 else f"refund-{refund.id}-{attempt}"
        return await self.client.v1.refunds.create_async(
            {
                "payment_intent": intent_id,
                "amount": refund.amount,
                "metadata": {
                    "order_id": str(refund.order_id),
                    "refund_id": str(refund.id),
                    "attempt": str(attempt),
                },
            },
            {"idempotency_key": step_key(refund.workflow_id, name)},
        )

    async def _find(self, refund: Refund, intent_id: str, attempt: int) -> stripe.Refund | None:
        try:
            made = await self.client.v1.refunds.list_async({"payment_intent": intent_id, "limit": 100})
            async for candidate in made.auto_paging_iter():
                told = {} if candidate.metadata is None else candidate.metadata.to_dict()
                if (told.get("refund_id"), told.get("attempt")) == (str(refund.id), str(attempt)):
                    return candidate
        except stripe.StripeError as error:
            raise as_failure(error, keep_trying=True) from None
        return None
