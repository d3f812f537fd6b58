"""The steps that follow a refund at Stripe to its real end, and find those that nobody has told us of."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import stripe
from pydantic import ValidationError
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.adopted_refunds import adopt, made_at, our_id, unknown_among
from activities.database import Sessions
from activities.kept_places import end_kept_places
from activities.refund_record import GOES_BACK, Told, write_refunds
from activities.stripe_refunds import LessIsLeftError, StripeRefunds, told_by
from models.messages.orders import RefundReport
from models.messages.refund_watch import (
    ReadRefund,
    RefundAgain,
    RefundOwner,
    SeenRefund,
    SettlePayout,
    SweepRefunds,
    UnknownRefunds,
)
from models.money import Money
from models.tables import AuditEntry, Order, Refund
from models.tables.columns import now
from models.vocabulary import RefundStatus
from rules.refund_watch import has_come_to_nothing

WATCHED = "watched"
_AT_ONCE = 1000


@dataclass
class RefundWatchActivities:
    """Steps of `RefundWatchWorkflow` and `RefundSweepWorkflow`. Each may be repeated."""

    client: stripe.StripeClient
    sessions: Sessions

    @activity.defn
    async def read_refund(self, step: ReadRefund) -> SeenRefund:
        """Read the refund from Stripe and write down how it stands; one made in the Dashboard is adopted.

        A place that still gives access though the refund should have ended it, ends.
        """
        made = await self._stripe.read(step.stripe_refund_id)
        if made is None:
            return _of_nobody(RefundStatus.CANCELED)
        told = told_by(made)
        async with self.sessions.begin() as session:
            refund, owner = await _owned(session, made)
            if refund is None:
                return _of_nobody(told.status)
            order = await session.get_one(Order, refund.order_id, with_for_update=True)
            reports: tuple[RefundReport, ...] = ()
            if owner is RefundOwner.ADOPTED or refund.status != told.status or refund.stripe_refund_id is None:
                written = await write_refunds(
                    session, order, {refund.id: told}, reason=WATCHED, workflow_id=step.workflow_id
                )
                reports = written.refunds
            if told.status in GOES_BACK:
                await end_kept_places(session, order, workflow_id=step.workflow_id)
        return SeenRefund(
            owner=owner,
            status=told.status,
            created_at=made_at(made),
            refund_id=refund.id,
            order_id=order.id,
            payer_id=order.payer_id,
            amount=_money(made),
            pending_reason=getattr(made, "pending_reason", None),
            failure_reason=told.failure_reason,
            credit_note_id=next((report.credit_note_id for report in reports), None),
        )

    @activity.defn
    async def cancel_refund(self, step: ReadRefund) -> None:
        """Take back a refund that its payer has not claimed in time."""
        await self._stripe.cancel(step.stripe_refund_id)

    @activity.defn
    async def refund_again(self, step: RefundAgain) -> RefundReport:
        """Ask Stripe once more; a definite no is reported as `failed`."""
        async with self.sessions() as session:
            refund = await session.get_one(Refund, step.refund_id)
        if refund.stripe_refund_id == step.after:
            try:
                # The same key again would only bring the same answer again.
                attempt = f"after-{step.after}" + (f"-{step.attempt}" if step.attempt > 1 else "")
                told = await self._stripe.ask(refund, attempt)
            except LessIsLeftError:
                told = Told(RefundStatus.FAILED)
        else:
            told = Told(RefundStatus(refund.status), refund.stripe_refund_id)
        return await self._write(step.refund_id, told, step.workflow_id)

    @activity.defn
    async def settle_payout(self, step: SettlePayout) -> RefundReport:
        """Write down that the money was paid out another way, or that it is not owed any more.

        A refund that has gone on with another one at Stripe stays as it is.
        """
        told = Told(step.status, is_by_hand=True)
        return await self._write(step.refund_id, told, step.workflow_id, step.actor, only_after=step.after)

    @activity.defn
    async def find_unknown_refunds(self, step: SweepRefunds) -> UnknownRefunds:
        """The refunds of our orders' payments that are not in the record; the next sweep finds what is too much."""
        if step.payment_intent_id is not None:
            made = await self._stripe.of_payment(step.payment_intent_id)
        else:
            made = await self._stripe.since(now() - timedelta(hours=step.hours))
        async with self.sessions() as session:
            unknown = await unknown_among(session, made)
        return UnknownRefunds(stripe_refund_ids=tuple(each.id for each in unknown[:_AT_ONCE]))

    @property
    def _stripe(self) -> StripeRefunds:
        return StripeRefunds(self.client)

    async def _write(
        self,
        refund_id: UUID,
        told: Told,
        workflow_id: str,
        actor: str = "stripe",
        *,
        only_after: str | None = None,
    ) -> RefundReport:
        async with self.sessions.begin() as session:
            of_it = select(col(Refund.order_id)).where(col(Refund.id) == refund_id).scalar_subquery()
            locked = select(Order).where(col(Order.id) == of_it).with_for_update()
            order = (await session.execute(locked)).scalar_one()
            refund = await session.get_one(Refund, refund_id)
            if only_after is not None and refund.stripe_refund_id != only_after:
                told = Told(RefundStatus(refund.status), refund.stripe_refund_id, refund.failure_reason)
            written = await write_refunds(
                session, order, {refund_id: told}, reason=WATCHED, workflow_id=workflow_id, actor=actor
            )
        return written.refunds[0]


async def _owned(session: AsyncSession, made: stripe.Refund) -> tuple[Refund | None, RefundOwner]:
    """The row of the refund. One that asked for it, but went on with another or by hand, is not its row any more."""
    query = select(Refund).where(col(Refund.stripe_refund_id) == made.id)
    known = (await session.execute(query)).scalar_one_or_none()
    if known is not None:
        if our_id(made) is None:
            return known, RefundOwner.ADOPTED
        return (None, RefundOwner.NOBODY) if await _is_its_jobs(session, known) else (known, RefundOwner.OURS)
    asked_by = our_id(made)
    came_to_nothing = has_come_to_nothing(told_by(made).status)
    if asked_by is not None and came_to_nothing:
        # Whoever asked for it has not read the answer yet, and will.
        return None, RefundOwner.NOBODY
    if asked_by is not None:
        waiting = (
            update(Refund)
            .where(
                col(Refund.id) == asked_by,
                col(Refund.stripe_refund_id).is_(None),
                col(Refund.status) == RefundStatus.PENDING,
            )
            .values(updated_at=now())
            .returning(Refund)
        )
        return (await session.execute(waiting)).scalar_one_or_none(), RefundOwner.OURS
    if came_to_nothing:
        return None, RefundOwner.NOBODY
    return await adopt(session, made), RefundOwner.ADOPTED


async def _is_its_jobs(session: AsyncSession, refund: Refund) -> bool:
    """Whether the job that asked for the refund was told by Stripe itself that it failed: then it asks a person."""
    if refund.status != RefundStatus.FAILED:
        return False
    query = (
        select(col(AuditEntry.workflow_id))
        .where(
            col(AuditEntry.subject_kind) == "refund",
            col(AuditEntry.subject_id) == refund.id,
            col(AuditEntry.to_state) == RefundStatus.FAILED,
        )
        .order_by(col(AuditEntry.created_at).desc(), col(AuditEntry.id).desc())
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none() == refund.workflow_id


def _of_nobody(status: RefundStatus) -> SeenRefund:
    return SeenRefund(owner=RefundOwner.NOBODY, status=status, created_at=now())


def _money(made: stripe.Refund) -> Money | None:
    try:
        return Money(amount=made.amount, currency=made.currency.upper())
    except ValidationError:
        return None
