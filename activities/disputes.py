"""The steps about payments that their payers dispute: read from Stripe, written down, places ended without money."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import stripe
from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.place_endings import GIVES_ACCESS, end_with_all
from activities.refund_record import places_of, write_refunds
from activities.stripe_errors import as_failure
from models.identifiers import stripe_subject_id
from models.messages.disputes import (
    ChangedDisputes,
    DisputeFacts,
    EndDisputedPlaces,
    FindChangedDisputes,
    ReadDispute,
)
from models.money import Money
from models.tables import Dispute, Enrollment, HumanTask, Order, OrderLine, Payment
from models.tables.columns import now
from models.vocabulary import DisputeStatus, TaskAction, TaskKind, TaskStatus
from rules.disputes import OPEN

PLACES_ENDED = "dispute_lost"

_APPEALS = {
    "appeal_needs_response": DisputeStatus.NEEDS_RESPONSE,
    "appeal_under_review": DisputeStatus.UNDER_REVIEW,
}
_MOST_CHANGED = 1000


@dataclass(frozen=True)
class DisputedOrder:
    """The order that a disputed payment is of, and whether it is what the order was paid with."""

    order_id: UUID
    is_own: bool


@dataclass
class DisputeActivities:
    """Steps of `DisputeWorkflow`, and of the sweep that finds disputes nobody told of."""

    client: stripe.StripeClient
    sessions: Sessions

    @activity.defn
    async def read_dispute(self, step: ReadDispute) -> DisputeFacts:
        """Read the dispute from Stripe and write down how it stands. One of no payment of ours leaves no row.

        The order is locked meanwhile, as it is while refunds are written: none is counted against money that is lost.
        """
        told = await self._retrieve(step.stripe_dispute_id)
        if told is None:
            return DisputeFacts()
        async with self.sessions.begin() as session:
            owner = (await owners_of(session, [told])).get(told.id)
            if owner is None:
                return DisputeFacts()
            order = await session.get_one(Order, owner.order_id, with_for_update=True)
            await _write(session, told, owner, step.workflow_id)
            if status_of(told) is DisputeStatus.LOST:
                # With what was lost the order may be over.
                await write_refunds(session, order, {}, reason=PLACES_ENDED, workflow_id=step.workflow_id)
            done, is_decided = await _questions(session, step.workflow_id)
            return DisputeFacts(
                status=status_of(told),
                order_id=owner.order_id,
                amount=Money(amount=told.amount, currency=told.currency.upper()),
                reason=told.reason[:64],
                evidence_due_at=_due_at(told),
                has_places=owner.is_own and bool(await _paid_places(session, owner.order_id)),
                is_decided=is_decided,
                tasks_done=done,
            )

    @activity.defn
    async def end_disputed_places(self, step: EndDisputedPlaces) -> None:
        """End what the lost payment had paid for; seats and lessons to come are free. No money moves."""
        async with self.sessions.begin() as session:
            order = await session.get_one(Order, step.order_id, with_for_update=True)
            paid_for = set(await _paid_places(session, order.id))
            places = [place for place in await places_of(session, order.id) if place.id in paid_for]
            changes = await end_with_all(session, order, places)
            await write_audit(session, changes, actor=step.actor, reason=PLACES_ENDED, workflow_id=step.workflow_id)
            await write_refunds(session, order, {}, reason=PLACES_ENDED, workflow_id=step.workflow_id, actor=step.actor)

    @activity.defn
    async def find_changed_disputes(self, step: FindChangedDisputes) -> ChangedDisputes:
        """The disputes of our payments that the record does not know, or knows otherwise than Stripe tells them.

        Looks at those that were made in the last days, and at all that are open on record.
        """
        since = int((now() - timedelta(days=step.days)).timestamp())
        async with self.sessions() as session:
            known = select(col(Dispute.stripe_dispute_id)).where(col(Dispute.status).in_(OPEN))
            still_open = set((await session.execute(known)).scalars())
        try:
            made = await self.client.v1.disputes.list_async(
                {"created": {"gte": since}, "limit": 100, "expand": ["data.payment_intent"]}
            )
            told = {dispute.id: dispute async for dispute in made.auto_paging_iter()}
        except stripe.StripeError as error:
            raise as_failure(error, keep_trying=True) from None
        for dispute_id in sorted(still_open - told.keys()):
            if (older := await self._retrieve(dispute_id)) is not None:
                told[dispute_id] = older
        async with self.sessions() as session:
            owners = await owners_of(session, list(told.values()))
            recorded = select(col(Dispute.stripe_dispute_id), col(Dispute.status)).where(
                col(Dispute.stripe_dispute_id).in_(told)
            )
            record = {row.stripe_dispute_id: row.status for row in (await session.execute(recorded)).all()}
        changed = [each for each in sorted(owners) if record.get(each) != status_of(told[each])]
        return ChangedDisputes(stripe_dispute_ids=tuple(changed[:_MOST_CHANGED]))

    async def _retrieve(self, stripe_dispute_id: str) -> stripe.Dispute | None:
        """The dispute with its payment; none if Stripe does not know it."""
        try:
            return await self.client.v1.disputes.retrieve_async(stripe_dispute_id, {"expand": ["payment_intent"]})
        except stripe.StripeError as error:
            if error.code != "resource_missing":
                raise as_failure(error, keep_trying=True) from None
            return None


def status_of(told: stripe.Dispute) -> DisputeStatus:
    """Stripe's status in our words. An appeal is a dispute that goes on, and so is what we have no word for yet."""
    if told.status in _APPEALS:
        return _APPEALS[told.status]
    return DisputeStatus(told.status) if told.status in set(DisputeStatus) else DisputeStatus.UNDER_REVIEW


def _due_at(told: stripe.Dispute) -> datetime | None:
    due_by = told.evidence_details.due_by
    return None if due_by is None else datetime.fromtimestamp(due_by, UTC)


def _intent_id(told: stripe.Dispute) -> str | None:
    intent = told.payment_intent
    return intent.id if isinstance(intent, stripe.PaymentIntent) else intent


def _charge_id(told: stripe.Dispute) -> str:
    return told.charge.id if isinstance(told.charge, stripe.Charge) else told.charge


def _named_order(told: stripe.Dispute) -> UUID | None:
    """The order whose id we gave to the payment: the record may not know the payment yet."""
    intent = told.payment_intent
    if not isinstance(intent, stripe.PaymentIntent) or intent.metadata is None:
        return None
    try:
        return UUID(str(intent.metadata.to_dict().get("order_id", "")))
    except ValueError:
        return None


async def owners_of(session: AsyncSession, disputes: Sequence[stripe.Dispute]) -> dict[str, DisputedOrder]:
    """Whose the disputed payments are, by the disputes' ids; those of nobody we know are left out."""
    named = {told.id: order_id for told in disputes if (order_id := _named_order(told)) is not None}
    query = (
        select(col(Order.id), col(Payment.payment_intent_id), col(Payment.charge_id))
        .join(Payment, col(Payment.order_id) == col(Order.id), isouter=True)
        .where(
            or_(
                col(Payment.payment_intent_id).in_([_intent_id(told) for told in disputes]),
                col(Payment.charge_id).in_([_charge_id(told) for told in disputes]),
                col(Order.id).in_(named.values()),
            )
        )
    )
    rows = (await session.execute(query)).all()
    by_payment = {name: order_id for order_id, *names in rows for name in names if name is not None}
    # Until its order is complete, the record may not know which payment it is.
    own_intents = {order_id: intent_id for order_id, intent_id, _ in rows}
    owners: dict[str, DisputedOrder] = {}
    for told in disputes:
        intent_id = _intent_id(told)
        order_id = by_payment.get(intent_id or "") or by_payment.get(_charge_id(told))
        if order_id is not None:
            owners[told.id] = DisputedOrder(order_id, is_own=True)
        elif (claimed := named.get(told.id)) in own_intents and claimed is not None:
            owners[told.id] = DisputedOrder(claimed, is_own=own_intents[claimed] in (None, intent_id))
    return owners


async def _write(session: AsyncSession, told: stripe.Dispute, owner: DisputedOrder, workflow_id: str) -> None:
    moment, status, row_id = now(), status_of(told), stripe_subject_id(told.id)
    found = select(col(Dispute.status)).where(col(Dispute.id) == row_id).with_for_update()
    before = (await session.execute(found)).scalar_one_or_none()
    facts = {
        "order_id": owner.order_id,
        "payment_intent_id": _intent_id(told),
        "amount": told.amount,
        "currency": told.currency.upper(),
        "reason": told.reason[:64],
        "status": status,
        "evidence_due_at": _due_at(told),
        "updated_at": moment,
    }
    written = insert(Dispute).values(
        id=row_id,
        created_at=moment,
        stripe_dispute_id=told.id,
        opened_at=datetime.fromtimestamp(told.created, UTC),
        **facts,
    )
    await session.execute(written.on_conflict_do_update(index_elements=[col(Dispute.id)], set_=facts))
    if before != status:
        change = StateChange("dispute", row_id, before, status)
        await write_audit(session, [change], actor="stripe", reason=told.reason[:64], workflow_id=workflow_id)


async def _questions(session: AsyncSession, workflow_id: str) -> tuple[int, bool]:
    """How many questions about this dispute are over, and whether one of them has settled what the places become."""
    is_answer = col(HumanTask.decision).in_((TaskAction.APPROVE, TaskAction.REJECT))
    query = select(func.count(), func.count().filter(is_answer)).where(
        col(HumanTask.workflow_id) == workflow_id,
        col(HumanTask.kind) == TaskKind.DISPUTE,
        col(HumanTask.status) == TaskStatus.DONE,
    )
    done, decided = (await session.execute(query)).one()
    return done, decided > 0


async def _paid_places(session: AsyncSession, order_id: UUID) -> list[UUID]:
    """The places of the order that were paid for and still give access."""
    query = (
        select(col(Enrollment.id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .where(
            col(OrderLine.order_id) == order_id,
            col(Enrollment.share_amount) > 0,
            col(Enrollment.status).in_(GIVES_ACCESS),
        )
        .order_by(col(Enrollment.id))
    )
    return list((await session.execute(query)).scalars())
