"""The coupon that a cart's last mail may offer: for one person, one use and two days (reference list 10.4).

It is made when the mail is due, and its two days begin when the mail is handed over, however long that was put off.
Until then it is good for nothing: `expires_at` is not after `created_at`.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.identifiers import cart_coupon_id
from models.tables import Cart, Coupon, Order, Person
from models.vocabulary import CouponKind
from rules.cart import COUPON_AGAIN_AFTER, COUPON_VALID_FOR
from rules.offers import CouponOffer

# Without what is easily taken for something else.
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_CODE_LENGTH = 12
_NOBODY = "erased"


@dataclass(frozen=True)
class MailedCoupon:
    """The coupon as the cart's mail names it; `until` is in UTC. It is good from the first such mail on."""

    code: str
    percent: Decimal
    until: datetime
    has_begun: bool = True

    @property
    def promised(self) -> CouponOffer | None:
        """What the mail is about to offer; nothing new once the coupon is good."""
        return None if self.has_begun else CouponOffer(self.code, CouponKind.PERCENT_AMOUNT, percent=self.percent)


def cart_coupon_offer(percent: int) -> CouponOffer:
    """What a new coupon of a cart would take off, with a code of its own."""
    code = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LENGTH))
    return CouponOffer(code, CouponKind.PERCENT_AMOUNT, percent=Decimal(percent))


async def make_cart_coupon(session: AsyncSession, cart: Cart, offer: CouponOffer, moment: datetime) -> None:
    """Make the cart's coupon, for a mail to begin, unless it has one, or its person was mailed one within 90 days or
    has bought before. Wants the person locked.
    """
    if await _has_bought(session, cart.person_id) or await _had_one(session, cart.person_id, moment):
        return
    email = select(func.lower(Person.email)).where(col(Person.id) == cart.person_id)
    wanted = insert(Coupon).values(
        id=cart_coupon_id(cart.id),
        created_at=moment,
        code=offer.code,
        kind=offer.kind,
        percent=offer.percent,
        expires_at=moment,
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


async def begin_cart_coupon(session: AsyncSession, cart_id: UUID, moment: datetime) -> None:
    """The mail that names the cart's coupon, if it has one, is handed over at `moment` (UTC): its time begins, once."""
    await session.execute(
        update(Coupon)
        .where(col(Coupon.id) == cart_coupon_id(cart_id), ~_has_begun())
        .values(expires_at=moment + COUPON_VALID_FOR)
        .execution_options(synchronize_session=False)
    )


async def cart_coupon(session: AsyncSession, cart_id: UUID, moment: datetime) -> MailedCoupon | None:
    """The coupon of the cart's last mail, if it has one that a mail of `moment` (UTC) can name."""
    query = select(Coupon, _has_begun()).where(
        col(Coupon.id) == cart_coupon_id(cart_id), (col(Coupon.expires_at) > moment) | ~_has_begun()
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    coupon, has_begun = found
    assert coupon.percent is not None  # noqa: S101 - as `make_cart_coupon` makes it
    until = moment + COUPON_VALID_FOR if coupon.expires_at is None or not has_begun else coupon.expires_at
    return MailedCoupon(coupon.code, coupon.percent, until, has_begun)


def _has_begun() -> ColumnElement[bool]:
    return col(Coupon.expires_at) > col(Coupon.created_at)


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
    had = exists().where(col(Coupon.id).in_(ids), col(Coupon.created_at) > since, _has_begun())
    return bool((await session.execute(select(had))).scalar_one())
