"""Refunds that somebody has made in Stripe's Dashboard: found, and written down with what follows from them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import stripe
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.place_endings import end_with_all
from activities.received_money import received_for
from activities.refund_record import gone_amount, places_of
from models.identifiers import refund_id_for, refund_watch_workflow_id
from models.tables import Order, Payment, Refund
from models.tables.columns import now
from models.vocabulary import RefundStatus
from rules.refund_watch import has_come_to_nothing

MADE_IN_STRIPE = "made_in_stripe"


async def unknown_among(session: AsyncSession, made: Sequence[stripe.Refund]) -> list[stripe.Refund]:
    """Those that pay back an order of ours, have not come to nothing, and are not in the record."""
    hopeful = [each for each in made if not has_come_to_nothing(RefundStatus(each.status or RefundStatus.PENDING))]
    intents = {intent for each in hopeful if (intent := intent_of(each)) is not None}
    ours = select(col(Payment.payment_intent_id)).where(col(Payment.payment_intent_id).in_(intents))
    known = select(col(Refund.id), col(Refund.stripe_refund_id)).where(
        col(Refund.stripe_refund_id).in_({each.id for each in hopeful})
        | col(Refund.id).in_({row for each in hopeful if (row := our_id(each)) is not None})
    )
    our_intents = set((await session.execute(ours)).scalars())
    known_rows = (await session.execute(known)).all()
    known_ids = {row_id for row_id, _ in known_rows} | {stripe_id for _, stripe_id in known_rows}
    return [
        each
        for each in hopeful
        if intent_of(each) in our_intents and each.id not in known_ids and our_id(each) not in known_ids
    ]


async def adopt(session: AsyncSession, made: stripe.Refund) -> Refund | None:
    """Write the refund down; none if it pays back no order of ours. Where all the money is back the places end.

    A part that goes back leaves the places as they are: nobody can tell which of them it is for. One of the amount that
    we have asked for, and not got yet, is what we have asked for.
    """
    query = select(Order).join(Payment, col(Payment.order_id) == col(Order.id))
    query = query.where(col(Payment.payment_intent_id) == intent_of(made)).with_for_update(of=Order)
    order = (await session.execute(query)).scalar_one_or_none()
    if order is None:
        return None
    if (awaited := await _awaited(session, made)) is not None:
        awaited.stripe_refund_id, awaited.updated_at = made.id, now()
        return awaited
    workflow_id = refund_watch_workflow_id(made.id)
    places = await places_of(session, order.id)
    refund_id = refund_id_for(workflow_id, "adopted")
    row = insert(Refund).values(
        id=refund_id,
        created_at=now(),
        updated_at=now(),
        order_id=order.id,
        enrollment_id=places[0].id if len(places) == 1 else None,
        payment_intent_id=intent_of(made),
        amount=made.amount,
        currency=made.currency.upper(),
        reason=MADE_IN_STRIPE,
        status=RefundStatus(made.status or RefundStatus.PENDING),
        stripe_refund_id=made.id,
        workflow_id=workflow_id,
    )
    changes: list[StateChange] = []
    written = await session.execute(row.on_conflict_do_nothing().returning(col(Refund.id)))
    if written.first() is not None:
        changes.append(StateChange("refund", refund_id, None, made.status or RefundStatus.PENDING))
        received = await received_for(session, order.id)
        if order.completed_at is not None and await gone_amount(session, order.id, received) >= received.amount:
            changes += await end_with_all(session, order, places)
    await write_audit(session, changes, actor="stripe", reason=MADE_IN_STRIPE, workflow_id=workflow_id)
    return await session.get(Refund, refund_id)


async def _awaited(session: AsyncSession, made: stripe.Refund) -> Refund | None:
    """The row of ours that still waits for Stripe to take it, and asks for the very same."""
    query = (
        select(Refund)
        .where(
            col(Refund.payment_intent_id) == intent_of(made),
            col(Refund.amount) == made.amount,
            col(Refund.status) == RefundStatus.PENDING,
            col(Refund.stripe_refund_id).is_(None),
        )
        .order_by(col(Refund.id))
        .limit(1)
        .with_for_update()
    )
    return (await session.execute(query)).scalar_one_or_none()


def intent_of(made: stripe.Refund) -> str | None:
    """The PaymentIntent that it pays back."""
    intent = made.payment_intent
    return intent if intent is None or isinstance(intent, str) else intent.id


def our_id(made: stripe.Refund) -> UUID | None:
    """The row that asked for it, as we told Stripe."""
    told = {} if made.metadata is None else made.metadata.to_dict()
    try:
        return UUID(str(told.get("refund_id", "")))
    except ValueError:
        return None


def made_at(made: stripe.Refund) -> datetime:
    """When it was made (UTC)."""
    return datetime.fromtimestamp(made.created, now().tzinfo)
