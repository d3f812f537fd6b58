"""What a cart would cost now, and what of it cannot be bought any more: asked of the same rules as an order."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.sale import Sale, load_sale
from models.errors import Reason
from models.identifiers import cart_coupon_id, cart_order_id
from models.messages.orders import OrderLineRequest, OrderRequest
from models.money import Money
from models.quote import Quote
from models.tables import Cart, CartLine, Coupon, Course, Enrollment, OrderLine
from models.vocabulary import EnrollmentStatus
from routes.order_requests import order_of_courses
from rules.decision import Refused
from rules.entitlement import wanted_places
from rules.pricing import quote_order

_HELD = (EnrollmentStatus.PENDING_APPROVAL, EnrollmentStatus.PENDING_PAYMENT)


@dataclass(frozen=True)
class OfferedLine:
    """A course of the cart. `price` is asked now, `price_seen` was asked before (minor units of its currency).

    `refused` is why it cannot be bought; the price is none then.
    """

    course_id: UUID
    title: str
    price: Money | None
    price_seen: int | None
    refused: Reason | None = None

    @property
    def is_price_changed(self) -> bool:
        """Whether the price is another one than the person saw."""
        return self.price is not None and self.price_seen is not None and self.price.amount != self.price_seen


@dataclass(frozen=True)
class CartOffer:
    """The cart at this moment. The quote is for what can be bought of it, with the coupon that helps the most."""

    lines: tuple[OfferedLine, ...]
    quote: Quote | None
    coupon_code: str | None
    refused_coupon: str | None

    @property
    def course_ids(self) -> tuple[UUID, ...]:
        """What can be bought."""
        return tuple(line.course_id for line in self.lines if line.refused is None)

    @property
    def fingerprint(self) -> str:
        """Two offers with the same one are the same to who pays."""
        total = None if self.quote is None else (self.quote.total_amount, self.quote.currency)
        return hashlib.sha256(repr((sorted(self.course_ids), total)).encode()).hexdigest()[:16]


async def offer_of(session: AsyncSession, cart: Cart, moment: datetime) -> CartOffer:
    """What the cart would cost its person at `moment` (UTC)."""
    rows = (await session.execute(_lines_of(cart.id))).all()
    if not rows:
        return CartOffer((), None, None, None)
    codes = await _coupons_of(session, cart)
    request = order_of_courses(cart.id, cart.person_id, [course.id for _, course in rows], None, "system")
    sale = await load_sale(session, request.payer_id, request.lines, request.coupon_code)
    if isinstance(sale, Refused):
        raise LookupError(sale.reason)
    own = {row[0]: row[1] for row in (await session.execute(_places_of_own_order(cart))).all()}
    sale = replace(sale, places=[each for each in sale.places if each.enrollment_id not in own])
    lines = [_offered(cart_line, course, request, sale, frozenset(own.values()), moment) for cart_line, course in rows]
    buyable = [line for line in request.lines if line.course_id in {each.course_id for each in lines if each.price}]
    if not buyable:
        return CartOffer(tuple(lines), None, None, None)
    plain = _quoted(buyable, sale, moment)
    if isinstance(plain, Refused):
        # Each can be bought, but not together (several currencies): the platform has to take it from here.
        return CartOffer(tuple(lines), None, None, None)
    best, best_code = plain, None
    for code in codes:
        asked = request.model_copy(update={"coupon_code": code, "lines": tuple(buyable)})
        with_coupon = await load_sale(session, asked.payer_id, asked.lines, asked.coupon_code)
        quote = with_coupon if isinstance(with_coupon, Refused) else _quoted(buyable, with_coupon, moment)
        if isinstance(quote, Quote) and quote.total_amount < best.total_amount:
            best, best_code = quote, code
    refused_coupon = cart.coupon_code if cart.coupon_code and best_code is None else None
    return CartOffer(tuple(lines), best, best_code, refused_coupon)


def _lines_of(cart_id: UUID) -> Select[*tuple[Any, ...]]:
    return (
        select(CartLine, Course)
        .join(Course, col(Course.id) == col(CartLine.course_id))
        .where(col(CartLine.cart_id) == cart_id)
        .order_by(col(CartLine.position), col(CartLine.course_id))
    )


def _places_of_own_order(cart: Cart) -> Select[UUID, UUID]:
    """The places (enrollment, course) that are held by an order from this cart which was not paid: it makes way."""
    orders = [cart_order_id(cart.id, each) for each in (cart.attempts, cart.attempts + 1)]
    return (
        select(col(Enrollment.id), col(Enrollment.course_id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .where(col(OrderLine.order_id).in_(orders), col(Enrollment.status).in_(_HELD))
    )


async def _coupons_of(session: AsyncSession, cart: Cart) -> Sequence[str]:
    """The code that the person put in, and that of the cart's last mail."""
    query = select(col(Coupon.code)).where(
        or_(
            col(Coupon.id) == cart_coupon_id(cart.id),
            func.lower(Coupon.code) == func.lower(cart.coupon_code or ""),
        )
    )
    return (await session.execute(query.order_by(col(Coupon.id)))).scalars().all()


def _offered(
    cart_line: CartLine, course: Course, request: OrderRequest, sale: Sale, held: frozenset[UUID], moment: datetime
) -> OfferedLine:
    [line] = [each for each in request.lines if each.course_id == course.id]
    refused = _is_full(course, sale, held) or _is_held(line, sale, moment)
    quote = refused or _quoted([line], sale, moment)
    if isinstance(quote, Refused):
        return OfferedLine(course.id, course.title, None, cart_line.price_amount, quote.reason)
    # As it was shown in the cart: with its sale price, without tax that comes on top.
    price = Money(amount=quote.list_amount - quote.discount_amount, currency=quote.currency)
    return OfferedLine(course.id, course.title, price, cart_line.price_amount)


def _is_full(course: Course, sale: Sale, held: frozenset[UUID]) -> Refused | None:
    included = sale.offers[course.id].included
    for each in (course, *(sale.courses[part.course_id] for part in included)):
        if each.capacity is not None and each.seats_taken >= each.capacity and each.id not in held:
            return Refused(Reason.COURSE_FULL, f"Course {each.id} is full.")
    return None


def _is_held(line: OrderLineRequest, sale: Sale, moment: datetime) -> Refused | None:
    wanted = wanted_places([line], sale.offers, sale.places, moment)
    if isinstance(wanted, Refused):
        return wanted
    if wanted.entitled:
        return Refused(Reason.ALREADY_ENROLLED, f"Course {line.course_id} is theirs already.")
    return None


def _quoted(lines: Sequence[OrderLineRequest], sale: Sale, moment: datetime) -> Quote | Refused:
    return quote_order(
        lines,
        sale.offers,
        sale.coupon,
        sale.tax,
        entitled=frozenset(),
        payer_email=sale.payer_email,
        academy_zone=sale.zone,
        moment=moment,
    )
