"""The cart in the record: found with its person locked, superseded, bought, forgotten. Within a transaction.

Whoever changes a cart locks its person first (`activities/people.py`).
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, literal, select, union
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.cart_coupons import forget_cart_coupons
from activities.guests import anonymize_guests
from activities.mail_ledger import skip_waiting_reminders
from activities.people import lock_people
from models.identifiers import cart_order_id
from models.tables import Cart, CartLine, Order, OrderLine
from models.tables.columns import now
from models.vocabulary import CartStatus
from rules.cart import LIVE, is_recovered
from rules.lifecycle import require_transition


async def locked_cart(session: AsyncSession, cart_id: UUID) -> Cart | None:
    """The cart, locked after its person; none if there is no such cart."""
    if not await lock_people(session, select(col(Cart.person_id)).where(col(Cart.id) == cart_id)):
        return None
    return await session.get_one(Cart, cart_id, with_for_update=True, populate_existing=True)


async def cart_among_others(session: AsyncSession, cart_id: UUID, person_id: UUID) -> tuple[Cart | None, list[Cart]]:
    """The cart, if there is one, and the others of the locked person that are not over; all of them locked."""
    is_live = (col(Cart.person_id) == person_id) & col(Cart.status).in_(LIVE)
    query = select(Cart).where((col(Cart.id) == cart_id) | is_live).order_by(col(Cart.id)).with_for_update()
    found = {cart.id: cart for cart in (await session.execute(query)).scalars()}
    return found.pop(cart_id, None), list(found.values())


async def end_carts(
    session: AsyncSession,
    carts: Sequence[Cart],
    status: CartStatus,
    reason: str,
    *,
    actor: str,
    workflow_id: str,
    forgets_guests: bool = True,
) -> None:
    """Let locked carts end without having been bought: what was in them is forgotten, their mails do not go out, and
    guests whom nothing else refers to are forgotten too. Moments and totals of the carts stay for the statistics.
    """
    if not carts:
        return
    moment, ids = now(), [cart.id for cart in carts]
    changes = []
    for cart in carts:
        require_transition(CartStatus(cart.status), status)
        changes.append(StateChange("cart", cart.id, cart.status, status))
        cart.status, cart.status_reason, cart.coupon_code = status, reason, None
        cart.ended_at = cart.erased_at = cart.updated_at = moment
    await session.flush()
    await session.execute(delete(CartLine).where(col(CartLine.cart_id).in_(ids)))
    await forget_cart_coupons(session, ids, moment)
    await skip_waiting_reminders(session, ids, "cleared", workflow_id)
    if forgets_guests:
        await anonymize_guests(session, {cart.person_id for cart in carts})
    await write_audit(session, changes, actor=actor, reason=reason, workflow_id=workflow_id)


async def buy_carts(session: AsyncSession, order: Order, *, workflow_id: str, moment: datetime) -> list[UUID]:
    """The locked order is being completed: the carts of its payer and its students that are not over were bought by
    it, and a lost one that it was placed from. Wants the people locked; answers which.

    One is `recovered` if it was ordered within five days of a click in a mail, whenever the money came, else `ordered`.
    """
    query = select(Cart).where(
        _of_buyers(order),
        col(Cart.status).in_(LIVE) | ((col(Cart.status) == CartStatus.LOST) & (col(Cart.attempts) > 0)),
    )
    found = (await session.execute(query.order_by(col(Cart.id)).with_for_update())).scalars().all()
    carts = [cart for cart in found if cart.status in LIVE or _is_placed_from(order.id, cart)]
    changes = []
    for cart in carts:
        status = CartStatus.RECOVERED if is_recovered(cart.clicked_at, order.created_at) else CartStatus.ORDERED
        require_transition(CartStatus(cart.status), status)
        changes.append(StateChange("cart", cart.id, cart.status, status))
        cart.status, cart.status_reason, cart.order_id = status, None, order.id
        cart.ended_at = cart.updated_at = moment
    await session.flush()
    await write_audit(session, changes, actor="system", reason="order completed", workflow_id=workflow_id)
    return [cart.id for cart in carts]


async def bought_carts(session: AsyncSession, order: Order) -> list[UUID]:
    """The carts that the order was for."""
    bought = col(Cart.status).in_((CartStatus.RECOVERED, CartStatus.ORDERED)) & (col(Cart.order_id) == order.id)
    query = select(col(Cart.id)).where(_of_buyers(order), bought).order_by(col(Cart.id))
    return list((await session.execute(query)).scalars())


def _of_buyers(order: Order) -> ColumnElement[bool]:
    students = select(col(OrderLine.student_id)).where(col(OrderLine.order_id) == order.id)
    return col(Cart.person_id).in_(union(select(literal(order.payer_id)), students))


def _is_placed_from(order_id: UUID, cart: Cart) -> bool:
    return any(order_id == cart_order_id(cart.id, attempt) for attempt in range(1, cart.attempts + 1))
