"""From a cart to an order: one order however often somebody clicks, another one only after it came to nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlmodel import col
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from activities.database import Sessions
from models.errors import Reason
from models.identifiers import cart_order_id, order_workflow_id
from models.messages.orders import CancelOrder
from models.tables import Cart, Order, OrderLine
from models.vocabulary import OrderStatus
from routes.order_requests import CancelReason, order_of_courses
from routes.order_start import Started, start_order
from routes.outages import is_not_found
from routes.parts import Connections
from routes.problems import ProblemError
from workflows.order import OrderWorkflow

_OVER = frozenset({OrderStatus.FAILED, OrderStatus.CANCELLED})
_CANCEL_PATIENCE = timedelta(seconds=10)
# What says nothing about the order: the same attempt may still succeed.
_TELLS_NOTHING = frozenset({Reason.UNAVAILABLE, Reason.INTERNAL})


@dataclass(frozen=True)
class CartOrder:
    """The order that stands for a cart, or is on its way."""

    order_id: UUID
    started: Started


@dataclass(frozen=True)
class _Placed:
    """The order of the latest attempt, as far as it is in the record."""

    attempt: int
    status: OrderStatus | None
    bought: frozenset[UUID]
    placed_at: datetime | None

    def stands_for(self, cart: Cart, course_ids: Sequence[UUID]) -> bool:
        """Whether it is the order of what is in the cart now, and not over."""
        if self.status is None or self.status in _OVER or self.placed_at is None:
            return False
        is_payable = self.status is OrderStatus.PENDING_PAYMENT
        return not is_payable or self.placed_at >= cart.changed_at or self.bought == frozenset(course_ids)


async def standing_order(sessions: Sessions, cart: Cart) -> UUID | None:
    """The order of what is in the cart now, if one was placed and is not over."""
    latest = await _latest(sessions, cart.id)
    return cart_order_id(cart.id, latest.attempt) if latest.stands_for(cart, ()) else None


async def place_order_of(
    connections: Connections, cart: Cart, course_ids: Sequence[UUID], coupon_code: str | None, requested_by: str
) -> CartOrder:
    """Order these courses of the cart for its person, to be paid on Stripe's page, as `POST /v1/orders` would.

    An order of the cart as it is, or of the same courses, is found again unless it is over; one of what was in the
    cart before, and was not paid, is cancelled first. Raises `ProblemError` as that route does.
    """
    latest = await _latest(connections.sessions, cart.id)
    if latest.stands_for(cart, course_ids):
        return CartOrder(cart_order_id(cart.id, latest.attempt), Started.REPEATED)
    if latest.status is OrderStatus.PENDING_PAYMENT:
        await _cancel(connections, cart_order_id(cart.id, latest.attempt), requested_by)
    attempt = latest.attempt + 1
    order_id = cart_order_id(cart.id, attempt)
    try:
        started = await start_order(
            connections.temporal,
            connections.sessions,
            order_of_courses(order_id, cart.person_id, course_ids, coupon_code, requested_by),
        )
    except ProblemError as refused:
        if refused.reason is Reason.IDEMPOTENCY_KEY_REUSED:
            # Another click was faster, and has used the coupon up.
            return CartOrder(order_id, Started.REPEATED)
        if refused.reason not in _TELLS_NOTHING:
            await _count(connections.sessions, cart.id, attempt)
        raise
    if started is not Started.STILL_WORKING:
        await _count(connections.sessions, cart.id, attempt)
    return CartOrder(order_id, started)


async def _latest(sessions: Sessions, cart_id: UUID) -> _Placed:
    """The latest attempt whose end is known, or the one after it if its order has been written by now."""
    attempts = select(col(Cart.attempts)).where(col(Cart.id) == cart_id)
    async with sessions() as session:
        known = (await session.execute(attempts)).scalar_one()
        rows = (await session.execute(_orders(cart_order_id(cart_id, each) for each in (known, known + 1)))).all()
    by_id = {
        order_id: (OrderStatus(status), frozenset(courses), placed_at) for order_id, status, placed_at, courses in rows
    }
    for attempt in (known + 1, known):
        if found := by_id.get(cart_order_id(cart_id, attempt)):
            return _Placed(attempt, *found)
    return _Placed(known, None, frozenset(), None)


def _orders(order_ids: Any) -> Select[*tuple[Any, ...]]:
    return (
        select(col(Order.id), col(Order.status), col(Order.created_at), func.array_agg(col(OrderLine.course_id)))
        .join(OrderLine, col(OrderLine.order_id) == col(Order.id))
        .where(col(Order.id).in_(list(order_ids)))
        .group_by(col(Order.id))
    )


async def _cancel(connections: Connections, order_id: UUID, actor: str) -> None:
    """Cancel the order of what was in the cart before, and wait for its end: it holds the places that are wanted."""
    handle = connections.temporal.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))
    wish = CancelOrder(actor=actor, reason=CancelReason.CHANGED_MIND.value)
    try:
        async with asyncio.timeout(_CANCEL_PATIENCE.total_seconds()):
            await handle.signal(OrderWorkflow.cancel, wish, rpc_timeout=_CANCEL_PATIENCE)
            await handle.result(follow_runs=False, rpc_timeout=_CANCEL_PATIENCE)
    except TimeoutError:
        raise ProblemError(Reason.UNAVAILABLE, "The order before it is still being cancelled.") from None
    except WorkflowFailureError:
        return
    except RPCError as error:
        if not is_not_found(error):
            raise


async def _count(sessions: Sessions, cart_id: UUID, attempt: int) -> None:
    counted = update(Cart).where(col(Cart.id) == cart_id).values(attempts=func.greatest(col(Cart.attempts), attempt))
    async with sessions.begin() as session:
        await session.execute(counted)
