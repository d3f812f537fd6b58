"""The steps that pay money back: asked of Stripe once each, and written down as Stripe tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import stripe
from temporalio import activity

from activities.adopted_refunds import adopt, unknown_among
from activities.database import Sessions
from activities.received_money import received_for
from activities.refund_record import (
    REFUNDED_ELSEWHERE,
    Told,
    lower_refund,
    request_refunds,
    request_whole_refund,
    settled_refunds,
    write_refunds,
)
from activities.stripe_refunds import LessIsLeftError, StripeRefunds, told_by
from models.messages.orders import RefundedPlaces, RefundPayment, RefundPlaces, SettleByHand
from models.tables import Order, Refund
from models.vocabulary import RefundStatus


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
            order = await session.get_one(Order, step.order_id, with_for_update=True)
            received = await received_for(session, order.id)
            told = await settled_refunds(session, step, received)
            return await write_refunds(
                session,
                order,
                told,
                reason=step.reason,
                workflow_id=step.workflow_id,
                actor=step.actor,
                received=received,
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
            order = await session.get_one(Order, step.order_id, with_for_update=True)
            return await write_refunds(session, order, told, reason=step.reason, workflow_id=step.workflow_id)

    async def _carry_out(self, refund: Refund, attempt: int) -> Told:
        has_failed = refund.status == RefundStatus.FAILED
        # What a person has settled by hand is at its end without an id of Stripe's.
        is_done = refund.status in (RefundStatus.SUCCEEDED, RefundStatus.CANCELED) or (
            refund.stripe_refund_id is not None and not has_failed
        )
        if refund.payment_intent_id is None or is_done:
            return Told(RefundStatus(refund.status), refund.stripe_refund_id, refund.failure_reason)
        stripe_refunds = StripeRefunds(self.client)
        try:
            return await stripe_refunds.ask(refund, str(attempt))
        except LessIsLeftError:
            pass
        rest = await self._adopt_others(refund)
        if isinstance(rest, Told):
            return rest
        try:
            return await stripe_refunds.ask(rest, str(attempt))
        except LessIsLeftError:
            return Told(RefundStatus.FAILED, failure_reason=REFUNDED_ELSEWHERE)

    async def _adopt_others(self, refund: Refund) -> Refund | Told:
        """Take into the record what was paid back in Stripe's Dashboard, and see what is left for this refund.

        One of the very same amount is taken for it: it is what the refund was for.
        """
        stripe_refunds, intent = StripeRefunds(self.client), refund.payment_intent_id or ""
        made, left = await stripe_refunds.of_payment(intent), await stripe_refunds.left_of(intent)
        async with self.sessions.begin() as session:
            unknown = await unknown_among(session, made)
            same = next((other for other in unknown if other.amount == refund.amount), None)
            if same is not None:
                return told_by(same)
            for other in unknown:
                await adopt(session, other)
            rest = await lower_refund(session, refund.id, left)
        is_over = rest.status == RefundStatus.CANCELED or rest.stripe_refund_id is not None
        return Told(RefundStatus(rest.status), rest.stripe_refund_id, rest.failure_reason) if is_over else rest
