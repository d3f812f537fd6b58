"""The coupon that a cart's last mail may offer: for one person, one use and two days (reference list 10.4)."""

import secrets
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.identifiers import cart_coupon_id
from models.tables import Cart, Coupon, Order, Person
from models.vocabulary import CouponKind
from rules.cart import COUPON_AGAIN_AFTER, COUPON_VALID_FOR

# Without what is easily taken for something else.
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_CODE_LENGTH = 12
_NOBODY = "erased"


async def make_cart_coupon(session: AsyncSession, cart: Cart, percent: int, moment: datetime) -> None:
    """Make the cart's coupon, good from `moment` (UTC) on, unless it has one, or its person has had one within 90 days
    or has bought before. Wants the person locked.
    """
    if await _has_bought(session, cart.person_id) or await _had_one(session, cart.person_id, moment):
        return
    email = select(func.lower(Person.email)).where(col(Person.id) == cart.person_id)
    wanted = insert(Coupon).values(
        id=cart_coupon_id(cart.id),
        created_at=moment,
        code="".join(secrets.choice(_LETTERS) for _ in range(_CODE_LENGTH)),
        kind=CouponKind.PERCENT_AMOUNT,
        percent=percent,
        expires_at=moment + COUPON_VALID_FOR,
        usage_limit=1,
        allowed_emails=[(await session.execute(email)).scalar_one()],
        allowed_course_ids=[],
        excluded_course_ids=[],
        allowed_categories=[],
        excluded_categories=[],
        excludes_sale_prices=False,
        uses=0,
    )
    await session.execute(wanted.on_conflict_do_nothing())


async def cart_coupon(session: AsyncSession, cart_id: UUID, moment: datetime) -> Coupon | None:
    """The coupon of the cart's last mail, if it has one that is good at `moment` (UTC)."""
    query = select(Coupon).where(
        col(Coupon.id) == cart_coupon_id(cart_id),
        col(Coupon.expires_at) > moment,
        col(Coupon.uses) < col(Coupon.usage_limit),
    )
    return (await session.execute(query)).scalar_one_or_none()


async def forget_cart_coupons(session: AsyncSession, cart_ids: Collection[UUID], moment: datetime) -> None:
    """End the coupons of these carts and forget whose they are. That there was one is remembered."""
    await session.execute(
        update(Coupon)
        .where(col(Coupon.id).in_([cart_coupon_id(cart_id) for cart_id in cart_ids]))
        .values(allowed_emails=[_NOBODY], expires_at=func.least(col(Coupon.expires_at), moment))
        .execution_options(synchronize_session=False)
    )


async def _has_bought(session: AsyncSession, person_id: UUID) -> bool:
    bought = exists().where(col(Order.payer_id) == person_id, col(Order.completed_at).is_not(None))
    return bool((await session.execute(select(bought))).scalar_one())


async def _had_one(session: AsyncSession, person_id: UUID, moment: datetime) -> bool:
    """Coupons of carts are found by the ids of the carts, since one that is over does not say whose it was."""
    since = moment - COUPON_AGAIN_AFTER
    carts = select(col(Cart.id)).where(col(Cart.person_id) == person_id, col(Cart.updated_at) > since)
    ids = [cart_coupon_id(cart_id) for cart_id in (await session.execute(carts)).scalars()]
    had = exists().where(col(Coupon.id).in_(ids), col(Coupon.created_at) > since)
    return bool((await session.execute(select(had))).scalar_one())
