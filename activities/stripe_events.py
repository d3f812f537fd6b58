"""What Stripe tells has happened: recorded once, and passed on to the job that looks at it again.

The same whether a webhook brought it or it was caught up on. Nothing is decided from it (DESIGN §3.4).
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ARRAY, ColumnElement, String, any_, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped
from sqlmodel import col

from activities.database import Sessions
from activities.refund_record import GOES_BACK
from activities.stripe_jobs import StripeJobs
from models.tables import Order, Payment, Refund, StripeEvent
from models.tables.columns import now
from models.vocabulary import OrderStatus, PaymentStatus, StripeEventStatus

_STRIPE_ID = re.compile(r"[a-z]+_[A-Za-z0-9_]{1,200}")

PAYMENT_SUCCEEDED = "payment_intent.succeeded"
CHARGE_REFUNDED = "charge.refunded"
REFUND_FAILED = "refund.failed"
# Which of them Stripe sends depends on the means of payment; some refunds are told of by one alone.
OF_REFUNDS = frozenset({CHARGE_REFUNDED, "charge.refund.updated", "refund.created", "refund.updated", REFUND_FAILED})

OF_DISPUTES = frozenset(
    {
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
    }
)

# What can change how a payment, a refund or a dispute stands. Everything else is somebody else's business, or none.
OF_INTEREST = (
    OF_REFUNDS
    | OF_DISPUTES
    | frozenset(
        {
            "checkout.session.async_payment_failed",
            "checkout.session.async_payment_succeeded",
            "checkout.session.completed",
            "checkout.session.expired",
            "payment_intent.canceled",
            "payment_intent.payment_failed",
            "payment_intent.processing",
            "payment_intent.requires_action",
            PAYMENT_SUCCEEDED,
        }
    )
)


class _Object(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    id: object = None
    metadata: object = None
    payment_intent: object = None
    amount_refunded: object = None


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    object: _Object


class Event(BaseModel):
    """The envelope of an event. Of what it says only ids are read: the facts are read again from Stripe."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(pattern=r"^[A-Za-z0-9_]{1,255}$")
    type: str = Field(pattern=r"^[a-z0-9_.]{1,80}$")
    created: datetime
    livemode: bool
    data: _Data

    @property
    def object_id(self) -> str | None:
        """The id of the object that the event is about."""
        found = self.data.object.id
        return found if isinstance(found, str) and _STRIPE_ID.fullmatch(found) else None

    @property
    def order_id(self) -> UUID | None:
        """The order whose id we gave to the object, if it is one of ours."""
        return self._told("order_id")

    @property
    def refund_id(self) -> UUID | None:
        """The row that asked for the refund, if we did."""
        return self._told("refund_id")

    @property
    def payment_intent_id(self) -> str | None:
        """The payment that a charge is of."""
        found = self.data.object.payment_intent
        return found if isinstance(found, str) and _STRIPE_ID.fullmatch(found) else None

    @property
    def amount_refunded(self) -> int | None:
        """How much of a charge has gone back, in minor units."""
        found = self.data.object.amount_refunded
        return found if isinstance(found, int) else None

    def _told(self, name: str) -> UUID | None:
        metadata = self.data.object.metadata
        told = metadata.get(name) if isinstance(metadata, dict) else None
        try:
            return UUID(told) if isinstance(told, str) else None
        except ValueError:
            return None


async def record_events(sessions: Sessions, events: Sequence[Event]) -> dict[str, StripeEventStatus]:
    """Write down those that are not written down already, and say of each, by its id, what has become of it.

    `received` are those that nobody was told of yet: new ones, and those that a crash has left behind.
    """
    moment = now()
    rows = [
        {
            "event_id": event.id,
            "type": event.type,
            "object_id": event.object_id,
            "order_id": event.order_id,
            "status": StripeEventStatus.RECEIVED if event.type in OF_INTEREST else StripeEventStatus.IGNORED,
            "stripe_created_at": event.created,
            "received_at": moment,
        }
        for event in {event.id: event for event in events}.values()
    ]
    written = insert(StripeEvent).values(rows).on_conflict_do_nothing()
    async with sessions.begin() as session:
        # On the bare connection: mapping objects costs more than all the rest of the busy route that calls this.
        connection = await session.connection()
        new = await connection.execute(written.returning(col(StripeEvent.event_id), col(StripeEvent.status)))
        told = {event_id: StripeEventStatus(status) for event_id, status in new}
        if known := [str(row["event_id"]) for row in rows if row["event_id"] not in told]:
            before = select(col(StripeEvent.event_id), col(StripeEvent.status)).where(_is_one_of(known))
            told |= {event_id: StripeEventStatus(status) for event_id, status in await connection.execute(before)}
    return told


async def set_statuses(sessions: Sessions, statuses: Mapping[str, StripeEventStatus]) -> None:
    """Write down what has become of each, by the events' ids."""
    async with sessions.begin() as session:
        connection = await session.connection()
        for status in sorted(set(statuses.values())):
            of_it = [event_id for event_id, became in statuses.items() if became is status]
            await connection.execute(update(StripeEvent).where(_is_one_of(of_it)).values(status=status))


def _is_one_of(event_ids: Collection[str]) -> ColumnElement[bool]:
    return col(StripeEvent.event_id) == any_(literal(list(event_ids), ARRAY(String)))


def is_unwatched(
    order_id: ColumnElement[UUID] | Mapped[UUID], payment_intent_id: ColumnElement[str] | Mapped[str | None]
) -> ColumnElement[bool]:
    """Whether a payment needs somebody though its order still runs, which looks at its own payment alone, and only
    while it waits for it.
    """
    return (
        select(col(Payment.id))
        .join(Order, col(Order.id) == col(Payment.order_id))
        .where(
            col(Payment.order_id) == order_id,
            (col(Payment.payment_intent_id) != payment_intent_id)
            | col(Order.status).in_((OrderStatus.CANCELLED, OrderStatus.FAILED)),
        )
        .exists()
    )


@dataclass(frozen=True)
class EventDesk:
    """Where events are passed on. `is_shared`: others take payments with the account, too."""

    sessions: Sessions
    jobs: StripeJobs
    is_shared: bool = False

    async def pass_on(self, event: Event) -> StripeEventStatus:
        """Tell the job that it concerns to look, or begin one, and say what became of the event."""
        if event.type in OF_REFUNDS:
            return await self._pass_on_refund(event)
        if event.type in OF_DISPUTES and event.object_id is not None:
            await self.jobs.follow_dispute(event.object_id)
            return StripeEventStatus.SIGNALED
        return await self._pass_on_payment(event)

    # ---- payments ----

    async def _pass_on_payment(self, event: Event) -> StripeEventStatus:
        if event.order_id is not None and await self.jobs.tell_order(event.order_id):
            if event.type == PAYMENT_SUCCEEDED and event.object_id is not None:
                await self._look_after_unwatched(event.object_id, event.order_id)
            return StripeEventStatus.SIGNALED
        if event.type != PAYMENT_SUCCEEDED or event.object_id is None:
            return StripeEventStatus.UNMATCHED
        if event.order_id is None and self.is_shared:
            return StripeEventStatus.IGNORED
        if await self._is_settled(event.object_id):
            return StripeEventStatus.IGNORED
        await self.jobs.look_after(event.object_id, event.order_id)
        return StripeEventStatus.SIGNALED

    async def _look_after_unwatched(self, payment_intent_id: str, order_id: UUID) -> None:
        async with self.sessions() as session:
            query = select(is_unwatched(literal(order_id), literal(payment_intent_id)))
            needs_somebody = (await session.execute(query)).scalar_one()
        if needs_somebody:
            await self.jobs.look_after(payment_intent_id, order_id)

    async def _is_settled(self, payment_intent_id: str) -> bool:
        """Whether it is what one of our orders was paid with: then this is only late news."""
        query = select(col(Payment.id)).where(
            col(Payment.payment_intent_id) == payment_intent_id, col(Payment.status) == PaymentStatus.SUCCEEDED
        )
        async with self.sessions() as session:
            return (await session.execute(query)).first() is not None

    # ---- refunds ----

    async def _pass_on_refund(self, event: Event) -> StripeEventStatus:
        """Wake the refund's watch, or begin one for a refund that is not ours or has failed after it was settled."""
        if event.object_id is None:
            return StripeEventStatus.UNMATCHED
        if event.type == CHARGE_REFUNDED:
            return await self._look_for_unknown(event)
        if event.refund_id is not None and event.type != REFUND_FAILED:
            # Ours: whoever made it begins its watch, which then looks for itself.
            return _told(await self.jobs.tell_refund_watch(event.object_id))
        await self.jobs.watch_refund(event.object_id, is_again=event.type == REFUND_FAILED)
        return StripeEventStatus.SIGNALED

    async def _look_for_unknown(self, event: Event) -> StripeEventStatus:
        """A charge says only how much of it has gone back. What our record says as well is no news."""
        intent = event.payment_intent_id
        if intent is None:
            return StripeEventStatus.UNMATCHED
        known = await self._known_amount(intent)
        if known is None:
            # A person may be asked about this payment, and somebody has answered in Stripe's Dashboard.
            return _told(await self.jobs.tell_payment(intent))
        if known == event.amount_refunded:
            return StripeEventStatus.IGNORED
        await self.jobs.look_for_refunds(intent, event.id)
        return StripeEventStatus.SIGNALED

    async def _known_amount(self, payment_intent_id: str) -> int | None:
        """What goes back of the payment by our record, in minor units; none if it is not a payment of an order."""
        goes_back = (
            select(func.coalesce(func.sum(col(Refund.amount)), 0))
            .where(col(Refund.payment_intent_id) == payment_intent_id, col(Refund.status).in_(GOES_BACK))
            .scalar_subquery()
        )
        query = select(goes_back).where(col(Payment.payment_intent_id) == payment_intent_id)
        async with self.sessions() as session:
            amount = (await session.execute(query)).scalar_one_or_none()
        return None if amount is None else int(amount)


def _told(is_told: bool) -> StripeEventStatus:
    return StripeEventStatus.SIGNALED if is_told else StripeEventStatus.IGNORED
