"""What a cart would cost now, and what of it cannot be bought: one offer for its record, mails, page and order.

It is asked of the rules that price orders. What orders from the same cart hold that were not paid, places and uses of
coupons, is taken as free: such an order makes way for the next one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.sale import Sale, load_coupons, load_sale
from models.errors import Reason
from models.identifiers import cart_coupon_id, cart_order_id
from models.messages.orders import OrderLineRequest
from models.money import Money
from models.quote import Quote
from models.tables import Cart, CartLine, Coupon, Course, Enrollment, OrderLine
from models.vocabulary import CourseKind, EnrollmentStatus
from rules.decision import Refused
from rules.offers import CouponOffer

_HELD = (EnrollmentStatus.PENDING_APPROVAL, EnrollmentStatus.PENDING_PAYMENT)
_EMPTY = Refused(Reason.CART_EMPTY, "There is nothing in the cart.")


@dataclass(frozen=True)
class OfferedLine:
    """A course of the cart. Prices are with its sale price, before any coupon and without tax that comes on top.

    `price` is asked now, none where nobody can tell; `price_seen` was asked when the cart was changed. `refused` is why
    the course cannot be ordered from the cart as it is.
    """

    course_id: UUID
    title: str
    price: Money | None
    price_seen: Money | None
    refused: Refused | None = None

    @property
    def price_before(self) -> Money | None:
        """What the person saw, if it was another price in the same currency."""
        if self.price is None or self.price_seen is None or self.price.currency != self.price_seen.currency:
            return None
        return None if self.price == self.price_seen else self.price_seen


@dataclass(frozen=True)
class Priced:
    """Courses together: what they cost without a coupon, and with the one that takes off the most, if one does."""

    plain: Quote
    quote: Quote
    coupon_code: str | None


@dataclass(frozen=True)
class CartOffer:
    """The cart at one moment.

    `whole` is what all of it comes to, though lines may be full, or hours and meetings still to be arranged; `buyable`
    is what can be ordered of it now. Each is refused where the courses cannot be bought together.
    """

    lines: tuple[OfferedLine, ...]
    whole: Priced | Refused
    buyable: Priced | Refused
    refused_coupon: str | None = None

    @property
    def course_ids(self) -> tuple[UUID, ...]:
        """What can be ordered."""
        return tuple(line.course_id for line in self.lines if line.refused is None)

    @property
    def refused(self) -> Refused | None:
        """Why not all of it can be ordered, if so."""
        of_lines = (line.refused for line in self.lines if line.refused is not None)
        return next(of_lines, self.buyable if isinstance(self.buyable, Refused) else None)

    @property
    def fingerprint(self) -> str:
        """Two offers with the same one are the same to who pays."""
        priced = self.buyable
        cost = None if isinstance(priced, Refused) else (priced.quote.total_amount, priced.quote.currency)
        code = None if isinstance(priced, Refused) else priced.coupon_code
        return hashlib.sha256(repr((sorted(self.course_ids), cost, code)).encode()).hexdigest()[:16]


def own_orders(cart: Cart) -> tuple[UUID, UUID]:
    """The orders from this cart that may not be over: of the latest attempt that is counted, and of the next one."""
    return cart_order_id(cart.id, cart.attempts), cart_order_id(cart.id, cart.attempts + 1)


async def offer_of(
    session: AsyncSession, cart: Cart, moment: datetime, *, promised: CouponOffer | None = None
) -> CartOffer:
    """What the cart would cost its person at `moment` (UTC), in as many statements however full it is.

    The coupon is the best one of the person's own code, that of the cart's last mail, and `promised`, which a mail is
    about to offer; codes do not stack. Raises `LookupError` if there is no such person.
    """
    return await offer_for(session, cart, await _prices_seen(session, cart), moment, promised=promised)


async def offer_for(
    session: AsyncSession,
    cart: Cart,
    seen: Mapping[UUID, Money | None],
    moment: datetime,
    *,
    promised: CouponOffer | None = None,
) -> CartOffer:
    """The same with these courses in the cart, which exist, and the prices at which the person saw them."""
    if not seen:
        return CartOffer((), _EMPTY, _EMPTY)
    lines = [OrderLineRequest(course_id=each, student_id=cart.person_id) for each in seen]
    sale = await load_sale(session, cart.person_id, lines, None)
    if isinstance(sale, Refused):
        raise LookupError(sale.reason)
    held = await _own_places(session, cart)
    sale = replace(sale, places=[each for each in sale.places if each.enrollment_id not in held])
    own_code = func.lower(Coupon.code) == func.lower(cart.coupon_code or "")
    wanted = or_(col(Coupon.id) == cart_coupon_id(cart.id), own_code)
    coupons = await load_coupons(session, cart.person_id, wanted, own_orders(cart))
    coupons += [] if promised is None else [promised]
    offered = [_offered(line, seen[line.course_id], sale, frozenset(held.values()), moment) for line in lines]
    left = [line for line, each in zip(lines, offered, strict=True) if each.refused is None]
    whole = _priced(lines, sale, coupons, moment)
    buyable = whole if len(left) == len(lines) else _priced(left, sale, coupons, moment) if left else _EMPTY
    is_bare = not isinstance(buyable, Refused) and buyable.coupon_code is None
    return CartOffer(tuple(offered), whole, buyable, cart.coupon_code if is_bare else None)


async def _prices_seen(session: AsyncSession, cart: Cart) -> dict[UUID, Money | None]:
    """The courses of the cart in their order, with the prices that the person saw."""
    query = (
        select(col(CartLine.course_id), col(CartLine.price_amount))
        .where(col(CartLine.cart_id) == cart.id)
        .order_by(col(CartLine.position), col(CartLine.course_id))
    )
    return {
        course_id: None if amount is None or cart.currency is None else Money(amount=amount, currency=cart.currency)
        for course_id, amount in (await session.execute(query)).all()
    }


async def _own_places(session: AsyncSession, cart: Cart) -> Mapping[UUID, UUID]:
    """The course of each place (by enrollment) that an order from this cart holds and that was not paid."""
    query = (
        select(col(Enrollment.id), col(Enrollment.course_id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .where(col(OrderLine.order_id).in_(own_orders(cart)), col(Enrollment.status).in_(_HELD))
    )
    return {row.id: row.course_id for row in (await session.execute(query)).all()}


def _offered(
    line: OrderLineRequest, seen: Money | None, sale: Sale, held: frozenset[UUID], moment: datetime
) -> OfferedLine:
    course = sale.courses[line.course_id]
    quoted = sale.quoted([line], moment, has_slots=False)
    if isinstance(quoted, Refused):
        return OfferedLine(course.id, course.title, None, seen, quoted)
    wanted, quote = quoted
    price = Money(amount=quote.list_amount - quote.discount_amount, currency=quote.currency)
    refused = _is_full(course, sale, held)
    if wanted.entitled:
        refused = Refused(Reason.ALREADY_ENROLLED, f"Course {course.id} is theirs already.")
    refused = refused or sale.screening_missing([line], wanted) or _needs_hours(course)
    return OfferedLine(course.id, course.title, price, seen, refused)


def _is_full(course: Course, sale: Sale, held: frozenset[UUID]) -> Refused | None:
    for each in (course, *(sale.courses[part.course_id] for part in sale.offers[course.id].included)):
        if each.capacity is not None and each.seats_taken >= each.capacity and each.id not in held:
            return Refused(Reason.COURSE_FULL, f"Course {each.id} is full.")
    return None


def _needs_hours(course: Course) -> Refused | None:
    if course.kind != CourseKind.TUTOR_PACK:
        return None
    return Refused(Reason.SLOTS_REQUIRED, f"The hours of course {course.id} are chosen on the learning platform.")


def _priced(
    lines: Sequence[OrderLineRequest], sale: Sale, coupons: Sequence[CouponOffer], moment: datetime
) -> Priced | Refused:
    plain = sale.quoted(lines, moment, has_slots=False)
    if isinstance(plain, Refused):
        return plain
    best, code = plain[1], None
    for coupon in coupons:
        quoted = sale.with_coupon(coupon).quoted(lines, moment, has_slots=False)
        if not isinstance(quoted, Refused) and quoted[1].total_amount < best.total_amount:
            best, code = quoted[1], coupon.code
    return Priced(plain[1], best, code)
