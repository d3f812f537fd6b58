"""From a cart to an order: one order however often somebody clicks, another one only in place of it."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio.client import RPCTimeoutOrCancelledError, WorkflowFailureError
from temporalio.service import RPCError

from activities.cart_pricing import CartOffer
from activities.database import Sessions
from models.errors import Reason
from models.identifiers import cart_order_id, order_workflow_id
from models.messages.orders import CancelOrder
from models.tables import Cart, Coupon, Enrollment, Order, OrderLine, Payment
from models.vocabulary import EnrollmentStatus, OrderStatus, PaymentMethod, PaymentStatus
from routes.order_requests import CancelReason, order_of_courses
from routes.order_start import Started, start_order
from routes.outages import is_not_found
from routes.parts import Connections
from routes.problems import ProblemError
from rules.decision import Refused
from workflows.order import OrderWorkflow

_OVER = frozenset({OrderStatus.FAILED, OrderStatus.CANCELLED})
_CANCEL_PATIENCE = timedelta(seconds=10)
# What says nothing about the order: the same attempt may still succeed.
_TELLS_NOTHING = frozenset({Reason.UNAVAILABLE, Reason.INTERNAL})
# A payment that nobody else has to make: the money is here, or on its way.
HAS_MONEY = (PaymentStatus.PROCESSING, PaymentStatus.SUCCEEDED)


@dataclass(frozen=True)
class CartOrder:
    """The order that stands for a cart, or is on its way."""

    order_id: UUID
    started: Started


@dataclass(frozen=True)
class PlacedBefore:
    """The order of the latest attempt, as far as it is in the record.

    `is_in_other_hands` while a bank works on its payment, or it waits for an approval or an invoice: then it is not the
    till's to cancel. Amounts are in minor units.
    """

    attempt: int
    order_id: UUID
    status: OrderStatus | None = None
    is_in_other_hands: bool = False
    course_ids: frozenset[UUID] = frozenset()
    total_amount: int = 0
    currency: str = ""
    coupon_code: str | None = None

    def stands_for(self, offer: CartOffer, course_ids: Collection[UUID]) -> bool:
        """Whether it is the order of these courses of the cart, and while it can be paid, at the price of now."""
        if self.status is not OrderStatus.PENDING_PAYMENT:
            return self.status is not None and self.status not in _OVER
        if self.course_ids != frozenset(course_ids):
            return False
        if self.is_in_other_hands:
            return True
        if isinstance(offer.buyable, Refused) or self.course_ids != frozenset(offer.course_ids):
            return False
        cost = (offer.buyable.quote.total_amount, offer.buyable.quote.currency, offer.buyable.coupon_code)
        return (self.total_amount, self.currency, self.coupon_code) == cost


async def placed_before(session: AsyncSession, cart: Cart) -> PlacedBefore:
    """The latest attempt whose end is known, or the one after it if its order has been written by now."""
    attempts = select(col(Cart.attempts)).where(col(Cart.id) == cart.id)
    known = (await session.execute(attempts)).scalar_one()
    ids = {attempt: cart_order_id(cart.id, attempt) for attempt in (known + 1, known)}
    rows = {row.id: row for row in (await session.execute(_orders(ids.values()))).all()}
    for attempt, order_id in ids.items():
        if (row := rows.get(order_id)) is not None:
            return PlacedBefore(
                attempt=attempt,
                order_id=order_id,
                status=OrderStatus(row.status),
                is_in_other_hands=row.status == OrderStatus.PENDING_PAYMENT and row.is_in_other_hands,
                course_ids=frozenset(row.course_ids),
                total_amount=row.total_amount,
                currency=row.currency,
                coupon_code=row.coupon_code,
            )
    return PlacedBefore(known, ids[known])


async def place_order_of(
    connections: Connections, cart: Cart, offer: CartOffer, requested_by: str, *, leaves_out: bool = False
) -> CartOrder:
    """Order the cart for its person, to be paid on Stripe's page, as `POST /v1/orders` would.

    All of it, and with the person's own coupon where none is better, or with `leaves_out` what can be bought of it. An
    order of the same at the price of now is found again unless it is over; another one that was not paid is cancelled
    first. Raises `ProblemError` as that route does, and `order_not_cancelable` while such an order is in other hands.
    """
    course_ids = offer.course_ids if leaves_out else tuple(line.course_id for line in offer.lines)
    async with connections.sessions() as session:
        latest = await placed_before(session, cart)
    if latest.stands_for(offer, course_ids):
        return CartOrder(latest.order_id, Started.REPEATED)
    if latest.status is OrderStatus.PENDING_PAYMENT:
        if latest.is_in_other_hands:
            raise _in_other_hands()
        if offer.refused is not None and not leaves_out:
            # Nothing would come in its place.
            raise ProblemError(offer.refused.reason, offer.refused.detail)
        await _cancel(connections, cart, latest, requested_by)
    attempt = latest.attempt + 1
    order_id = cart_order_id(cart.id, attempt)
    best = None if isinstance(offer.buyable, Refused) else offer.buyable.coupon_code
    coupon_code = best or (None if leaves_out else cart.coupon_code)
    try:
        started = await start_order(
            connections.temporal,
            connections.sessions,
            order_of_courses(order_id, cart.person_id, course_ids, coupon_code, requested_by),
        )
    except ProblemError as refused:
        if refused.reason is Reason.IDEMPOTENCY_KEY_REUSED:
            return await _of_faster_click(connections.sessions, cart, offer, course_ids)
        if refused.reason not in _TELLS_NOTHING:
            await _count(connections.sessions, cart.id, attempt)
        raise
    if started is not Started.STILL_WORKING:
        await _count(connections.sessions, cart.id, attempt)
    return CartOrder(order_id, started)


async def _of_faster_click(sessions: Sessions, cart: Cart, offer: CartOffer, course_ids: Collection[UUID]) -> CartOrder:
    """Another click was faster, in other words: it may have ordered the same, or something else."""
    async with sessions() as session:
        latest = await placed_before(session, cart)
    if latest.stands_for(offer, course_ids):
        return CartOrder(latest.order_id, Started.REPEATED)
    raise ProblemError(Reason.UNAVAILABLE, "The cart was ordered otherwise at this moment; ask again.")


def _orders(order_ids: Any) -> Select[*tuple[Any, ...]]:
    of_line = col(Enrollment.order_line_id) == col(OrderLine.id)
    waits_for_approval = exists().where(of_line, col(Enrollment.status) == EnrollmentStatus.PENDING_APPROVAL)
    has_money = exists().where(col(Payment.order_id) == col(Order.id), col(Payment.status).in_(HAS_MONEY))
    is_in_other_hands = or_(
        func.bool_or(waits_for_approval), has_money, col(Order.payment_method) == PaymentMethod.INVOICE
    )
    return (
        select(
            col(Order.id),
            col(Order.status),
            col(Order.total_amount),
            col(Order.currency),
            col(Coupon.code).label("coupon_code"),
            func.array_agg(col(OrderLine.course_id)).label("course_ids"),
            is_in_other_hands.label("is_in_other_hands"),
        )
        .join(OrderLine, col(OrderLine.order_id) == col(Order.id))
        .join(Coupon, col(Coupon.id) == col(Order.coupon_id), isouter=True)
        .where(col(Order.id).in_(list(order_ids)))
        .group_by(col(Order.id), col(Coupon.code))
    )


async def _cancel(connections: Connections, cart: Cart, latest: PlacedBefore, actor: str) -> None:
    """Cancel the order of what was in the cart before, and wait for its end: it holds the places that are wanted.

    The wish is dropped if a bank turns out to be working on the payment: nobody has asked for that money back.
    """
    handle = connections.temporal.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(latest.order_id))
    wish = CancelOrder(actor=actor, reason=CancelReason.CHANGED_MIND.value, unless_bank_is_working=True)
    try:
        async with asyncio.timeout(_CANCEL_PATIENCE.total_seconds()):
            await handle.signal(OrderWorkflow.cancel, wish, rpc_timeout=_CANCEL_PATIENCE)
            await handle.result(follow_runs=False, rpc_timeout=_CANCEL_PATIENCE)
    except (TimeoutError, RPCTimeoutOrCancelledError):
        async with connections.sessions() as session:
            if (await placed_before(session, cart)).is_in_other_hands:
                raise _in_other_hands() from None
        raise ProblemError(Reason.UNAVAILABLE, "The order before it is still being cancelled.") from None
    except WorkflowFailureError:
        return
    except RPCError as error:
        if not is_not_found(error):
            raise


def _in_other_hands() -> ProblemError:
    return ProblemError(
        Reason.ORDER_NOT_CANCELABLE,
        "What was in the cart before is ordered, and a bank or the academy is working on it. Wait for that to end.",
    )


async def _count(sessions: Sessions, cart_id: UUID, attempt: int) -> None:
    counted = update(Cart).where(col(Cart.id) == cart_id).values(attempts=func.greatest(col(Cart.attempts), attempt))
    async with sessions.begin() as session:
        await session.execute(counted)
