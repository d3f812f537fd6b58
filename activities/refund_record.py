"""Refunds in the record: requested within what came in, and written down as Stripe tells them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.numbers import Series, next_number
from activities.place_endings import GIVES_ACCESS, end_with_all, keep_cart_mails_quiet, release_coupon_by_policy
from activities.received_money import Received, received_for
from activities.time_zones import zone_of_academy
from models.identifiers import refund_id_for
from models.messages.orders import RefundedPlaces, RefundPayment, RefundPlaces, RefundReport, SettleByHand
from models.money import Money, charge_step, split
from models.tables import (
    Document,
    Enrollment,
    Order,
    OrderLine,
    Payment,
    Refund,
    RefundRequest,
)
from models.tables.columns import now
from models.vocabulary import (
    DocumentKind,
    OrderStatus,
    RefundAccess,
    RefundStatus,
)
from rules.lifecycle import may_follow
from rules.refund_watch import has_come_to_nothing

# Stripe refused it in full, since money of the same charge had gone back elsewhere.
REFUNDED_ELSEWHERE = "refunded_elsewhere"
GOES_BACK = (RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION, RefundStatus.SUCCEEDED)


@dataclass(frozen=True)
class Told:
    """What Stripe says of a refund; without an id it was never made there.

    What a person has settled by hand is no longer Stripe's: what Stripe says of it later is of no use.
    """

    status: RefundStatus
    stripe_refund_id: str | None = None
    failure_reason: str | None = None
    is_by_hand: bool = False


async def request_refunds(session: AsyncSession, step: RefundPlaces) -> list[Refund]:
    """End the places and write a refund for each that was paid for, never more together than what came in.

    A wish that is granted may keep its place, and names how much of it goes back.
    """
    order = await session.get_one(Order, step.order_id, with_for_update=True)
    wish = None if step.request_id is None else await session.get_one(RefundRequest, step.request_id)
    received = await received_for(session, order.id)
    refunds = await _refunds_of(session, order.id)
    all_places = await places_of(session, order.id)
    places = [place for place in all_places if not step.enrollment_ids or place.id in step.enrollment_ids]
    changes: list[StateChange] = []
    if wish is None or wish.access == RefundAccess.REVOKED:
        is_course_gone = wish is not None and wish.cascade_id is not None
        changes += await end_with_all(session, order, places, is_course_gone=is_course_gone)
    elif wish.id not in {refund.request_id for refund in refunds}:
        await keep_cart_mails_quiet(session, order.payer_id)
    parts = _parts(all_places, received.amount, order.currency)
    remaining = received.amount - received.lost - _taken(refunds, received)
    for place in places:
        refund_id = refund_id_for(step.workflow_id, str(step.request_id or place.id))
        left = min(parts[place.id] - _taken(refunds, received, place.id), remaining)
        amount = left if wish is None else min(left, wish.amount)
        if amount > 0 and refund_id not in {refund.id for refund in refunds}:
            remaining -= amount
            refund = _refund(order, refund_id, place.id, amount, step, received)
            session.add(refund)
            refunds.append(refund)
            changes.append(StateChange("refund", refund.id, None, refund.status))
    await write_audit(session, changes, actor=step.actor, reason=step.reason, workflow_id=step.workflow_id)
    place_ids = {place.id for place in places}
    return [refund for refund in refunds if refund.enrollment_id in place_ids and _is_asked(refund, step)]


async def gone_amount(session: AsyncSession, order_id: UUID, received: Received) -> int:
    """What of the order's own payment is at Stripe, paid by hand, or lost, in minor units; not what is only asked."""
    refunds = await _refunds_of(session, order_id)
    sent = [each for each in refunds if each.stripe_refund_id is not None or each.status == RefundStatus.SUCCEEDED]
    return _live_amount(sent, received) + received.lost


def _live_amount(refunds: Sequence[Refund], received: Received) -> int:
    own = (refund for refund in refunds if _is_of(refund, received.payment_intent_id))
    return sum(refund.amount for refund in own if refund.status in GOES_BACK)


async def lower_refund(session: AsyncSession, refund_id: UUID, left: int) -> Refund:
    """Ask for no more than what is left of the payment at Stripe, in minor units. Nothing is left: the refund is
    canceled, since its money is back already. One that was found at Stripe meanwhile stays as it is.
    """
    refund = await session.get_one(Refund, refund_id, with_for_update=True)
    if refund.stripe_refund_id is not None and refund.status != RefundStatus.FAILED:
        return refund
    refund.failure_reason, refund.updated_at = REFUNDED_ELSEWHERE, now()
    if left > 0:
        refund.amount = min(refund.amount, left)
        return refund
    change = StateChange("refund", refund.id, refund.status, RefundStatus.CANCELED)
    refund.status = RefundStatus.CANCELED
    await write_audit(session, [change], actor="stripe", reason=REFUNDED_ELSEWHERE, workflow_id=refund.workflow_id)
    return refund


async def refundable(session: AsyncSession, order: Order, enrollment_id: UUID) -> tuple[int, int]:
    """What a place has brought in, and how much of it can still go back, in minor units, as far as one can tell
    unlocked.
    """
    received = await received_for(session, order.id)
    refunds = await _refunds_of(session, order.id, lock=False)
    parts = _parts(await places_of(session, order.id), received.amount, order.currency)
    left = received.amount - received.lost - _taken(refunds, received)
    part = parts[enrollment_id]
    return part, max(0, min(part - _taken(refunds, received, enrollment_id), left))


def _taken(refunds: Sequence[Refund], received: Received, place_id: UUID | None = None) -> int:
    """What has gone back of the order's own payment, of one place if it is named.

    What came to nothing at Stripe is in a person's hands until they settle it, and then it is Stripe's no longer:
    sending it again beside them could pay it twice.
    """
    return sum(
        refund.amount
        for refund in refunds
        if not is_given_up(refund)
        and _is_of(refund, received.payment_intent_id)
        and place_id in (None, refund.enrollment_id)
    )


def is_given_up(refund: Refund) -> bool:
    """Whether nothing of it goes back, and nobody is asked about it."""
    return refund.status == RefundStatus.CANCELED and refund.stripe_refund_id is None


def _is_of(refund: Refund, payment_intent_id: str | None) -> bool:
    """Whether it pays back the order's own payment; an older build does not say which payment."""
    return refund.payment_intent_id in (None, payment_intent_id)


def _is_asked(refund: Refund, step: RefundPlaces) -> bool:
    """Whether it is of this very step: what another job pays back, or has failed to, is that job's to tell of."""
    return (refund.workflow_id, refund.request_id) == (step.workflow_id, step.request_id)


def _parts(places: Sequence[Enrollment], received: int, currency: str) -> dict[UUID, int]:
    """What each place has brought in: its share of the price, or that part of another amount that staff accepted."""
    shares = [place.share_amount for place in places]
    if received != sum(shares) and any(shares):
        step = charge_step(currency)
        shares = list(split(received, shares, step if received % step == 0 else 1))
    return {place.id: share for place, share in zip(places, shares, strict=True)}


async def request_whole_refund(session: AsyncSession, step: RefundPayment) -> Refund:
    """Write the refund of everything that came in for an order that is not completed."""
    refund_id = refund_id_for(step.workflow_id, "payment")
    wanted = insert(Refund).values(
        id=refund_id,
        created_at=now(),
        updated_at=now(),
        order_id=step.order_id,
        amount=step.amount.amount,
        currency=step.amount.currency,
        reason=step.reason,
        status=RefundStatus.PENDING,
        payment_intent_id=step.payment_intent_id,
        workflow_id=step.workflow_id,
    )
    made = await session.execute(wanted.on_conflict_do_nothing().returning(col(Refund.id)))
    if made.first() is not None:
        change = StateChange("refund", refund_id, None, RefundStatus.PENDING)
        await write_audit(session, [change], actor="system", reason=step.reason, workflow_id=step.workflow_id)
    return await session.get_one(Refund, refund_id)


async def refunds_in_doubt(session: AsyncSession, step: SettleByHand) -> list[UUID]:
    """The refunds of this job for this reason that a person has to see to."""
    query = select(col(Refund.id)).where(
        col(Refund.order_id) == step.order_id,
        col(Refund.workflow_id) == step.workflow_id,
        col(Refund.reason) == step.reason,
        *([] if step.request_id is None else [col(Refund.request_id) == step.request_id]),
        (col(Refund.status) == RefundStatus.FAILED)
        # What waits at Stripe for its payer needs nobody.
        | ((col(Refund.status) == RefundStatus.REQUIRES_ACTION) & col(Refund.payment_intent_id).is_(None)),
    )
    return list((await session.execute(query)).scalars())


async def settled_refunds(session: AsyncSession, step: SettleByHand, received: Received) -> dict[UUID, Told]:
    """How the refunds stand that a person has seen to.

    Nobody has paid back a second time what the payer's bank has taken in a dispute: such a refund is over, unpaid.
    """
    in_doubt = await refunds_in_doubt(session, step)
    told = {refund_id: Told(step.status, is_by_hand=True) for refund_id in in_doubt}
    if not received.lost or step.status is not RefundStatus.SUCCEEDED:
        return told
    refunds = [r for r in await _refunds_of(session, step.order_id) if _is_of(r, received.payment_intent_id)]
    left = received.amount - received.lost - sum(r.amount for r in refunds if r.status in GOES_BACK)
    for refund in refunds:
        if refund.id in told and refund.status == RefundStatus.FAILED:
            if refund.amount > left:
                told[refund.id] = Told(RefundStatus.CANCELED, failure_reason=refund.failure_reason, is_by_hand=True)
            else:
                left -= refund.amount
    return told


async def write_refunds(
    session: AsyncSession,
    order: Order,
    told: Mapping[UUID, Told],
    *,
    reason: str,
    workflow_id: str,
    actor: str = "stripe",
    received: Received | None = None,
) -> RefundedPlaces:
    """Write down how the refunds stand, with the order, its payment and, where there is a receipt, credit notes.

    Wants the order locked. `received` is what has come in for it, if it has been read since.
    """
    refunds = await _refunds_of(session, order.id)
    changes: list[StateChange] = []
    for refund in refunds:
        if (news := told.get(refund.id)) is not None and not _is_stale(news, refund):
            if refund.status != news.status:
                changes.append(StateChange("refund", refund.id, refund.status, news.status))
            refund.status, refund.updated_at = news.status, now()
            known = None if news.is_by_hand else refund.stripe_refund_id
            refund.stripe_refund_id = news.stripe_refund_id or known
            refund.failure_reason = news.failure_reason
    notes: dict[UUID, UUID] = {}
    if order.completed_at is not None:
        received = received or await received_for(session, order.id)
        own = [refund for refund in refunds if _is_of(refund, received.payment_intent_id)]
        changes += await _close_order(session, order, _live_amount(own, received), received.lost)
        notes = await _issue_credit_notes(session, order, [refund for refund in own if refund.id in told])
    await write_audit(session, changes, actor=actor, reason=reason, workflow_id=workflow_id)
    return RefundedPlaces(
        order_status=OrderStatus(order.status),
        refunds=tuple(
            RefundReport(
                refund_id=refund.id,
                status=RefundStatus(refund.status),
                stripe_refund_id=refund.stripe_refund_id,
                amount=Money(amount=refund.amount, currency=refund.currency),
                credit_note_id=notes.get(refund.id),
                failure_reason=refund.failure_reason,
            )
            for refund in refunds
            if refund.id in told
        ),
    )


def _is_stale(news: Told, refund: Refund) -> bool:
    """Whether it is what Stripe said before the refund came to nothing: a repeated answer is as old as its first."""
    is_over = has_come_to_nothing(RefundStatus(refund.status))
    is_same = news.stripe_refund_id is not None and news.stripe_refund_id == refund.stripe_refund_id
    return is_over and is_same and news.status in GOES_BACK


async def places_of(session: AsyncSession, order_id: UUID) -> Sequence[Enrollment]:
    """All places that the order brought."""
    lines = select(col(OrderLine.id)).where(col(OrderLine.order_id) == order_id)
    query = select(Enrollment).where(col(Enrollment.order_line_id).in_(lines)).order_by(col(Enrollment.id))
    return (await session.execute(query)).scalars().all()


async def _refunds_of(session: AsyncSession, order_id: UUID, *, lock: bool = True) -> list[Refund]:
    query = select(Refund).where(col(Refund.order_id) == order_id).order_by(col(Refund.id))
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return list((await session.execute(query)).scalars())


def _refund(
    order: Order, refund_id: UUID, enrollment_id: UUID, amount: int, step: RefundPlaces, received: Received
) -> Refund:
    offline = received.payment_intent_id is None
    return Refund(
        id=refund_id,
        order_id=order.id,
        enrollment_id=enrollment_id,
        request_id=step.request_id,
        payment_intent_id=received.payment_intent_id,
        amount=amount,
        currency=order.currency,
        reason=step.reason,
        workflow_id=step.workflow_id,
        status=RefundStatus.REQUIRES_ACTION if offline else RefundStatus.PENDING,
    )


async def _close_order(session: AsyncSession, order: Order, refunded: int, lost: int) -> list[StateChange]:
    """The order is over once nobody has a place and all that was paid has gone back, by us or by the payer's bank."""
    # More than all of it is asked back for a moment, where somebody does so in Stripe's Dashboard as well.
    written = (
        update(Payment)
        .where(col(Payment.order_id) == order.id)
        .values(refunded_amount=func.least(refunded, col(Payment.captured_amount)), updated_at=now())
        .returning(col(Payment.captured_amount))
        .execution_options(synchronize_session=False)
    )
    captured = (await session.execute(written)).scalar_one_or_none()
    paid = order.total_amount if captured is None else captured
    is_over = refunded + lost >= paid and not await _has_places(session, order.id)
    if not (refunded or is_over):
        return []
    status = OrderStatus.REFUNDED if is_over else OrderStatus.PARTIALLY_REFUNDED
    if not may_follow(OrderStatus(order.status), status):
        return []
    change = StateChange("order", order.id, order.status, status)
    order.status, order.updated_at = status, now()
    if status is OrderStatus.REFUNDED:
        await release_coupon_by_policy(session, order)
    return [change]


async def _has_places(session: AsyncSession, order_id: UUID) -> bool:
    """Whether the order still gives somebody access."""
    lines = select(col(OrderLine.id)).where(col(OrderLine.order_id) == order_id)
    query = select(col(Enrollment.id)).where(
        col(Enrollment.order_line_id).in_(lines), col(Enrollment.status).in_(GIVES_ACCESS)
    )
    return (await session.execute(query)).first() is not None


async def _issue_credit_notes(session: AsyncSession, order: Order, refunds: Sequence[Refund]) -> dict[UUID, UUID]:
    """One document per refund that takes something back, numbered once."""
    query = select(col(Document.refund_id), col(Document.id)).where(
        col(Document.order_id) == order.id, col(Document.refund_id).is_not(None)
    )
    issued = (await session.execute(query)).all()
    notes = {refund_id: document_id for refund_id, document_id in issued if refund_id is not None}
    owed = [refund for refund in refunds if refund.status in GOES_BACK and refund.id not in notes]
    if not owed:
        return notes
    moment = now()
    zone = await zone_of_academy(session)
    year = moment.astimezone(zone).year
    for refund in owed:
        note = Document(
            order_id=order.id,
            kind=DocumentKind.CREDIT_NOTE,
            refund_id=refund.id,
            number=await next_number(session, Series.CREDIT_NOTE, year=year, is_test=order.is_test),
            issued_at=moment,
        )
        session.add(note)
        notes[refund.id] = note.id
    return notes
