"""What is in a cart as it is on offer now: prices of this moment, and what cannot be had any more."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.sale import load_offers
from models.money import Money
from models.tables import CartLine, Course
from models.vocabulary import CourseKind, CourseStatus
from rules.offers import CourseOnSale
from rules.pricing import asking_price


@dataclass(frozen=True)
class CartOffer:
    """A course of a cart. `seen_amount` is the price that the person saw, in minor units of the same currency."""

    course_id: UUID
    title: str
    price: Money
    seen_amount: int | None
    is_available: bool

    @property
    def changed_from(self) -> Money | None:
        """The price that the person saw, if it was another one."""
        if self.seen_amount is None or self.seen_amount == self.price.amount:
            return None
        return Money(amount=self.seen_amount, currency=self.price.currency)


async def offers_in_cart(session: AsyncSession, cart_id: UUID, moment: datetime) -> tuple[CartOffer, ...]:
    """The courses of the cart in its order, as they are offered at `moment` (UTC): two statements, however many."""
    query = (
        select(col(CartLine.course_id), col(CartLine.price_amount))
        .where(col(CartLine.cart_id) == cart_id)
        .order_by(col(CartLine.position), col(CartLine.course_id))
    )
    seen: dict[UUID, int | None] = {row[0]: row[1] for row in (await session.execute(query)).all()}
    if not seen:
        return ()
    courses, offers = await load_offers(session, seen.keys())
    return tuple(
        CartOffer(
            each,
            offers[each].title,
            asking_price(offers[each], moment),
            amount,
            _is_free(offers[each], courses, moment),
        )
        for each, amount in seen.items()
    )


def _is_free(offer: CourseOnSale, courses: Mapping[UUID, Course], moment: datetime) -> bool:
    """Whether a place can be had: it is on sale, enrollment is open, and it has a seat, each course of a bundle too."""
    is_whole = offer.kind is not CourseKind.BUNDLE or bool(offer.included)
    is_open = offer.enrollment_closes_at is None or moment < offer.enrollment_closes_at
    needed = [courses[each] for each in (offer.id, *(one.course_id for one in offer.included))]
    has_seats = all(each.capacity is None or each.seats_taken < each.capacity for each in needed)
    return offer.status is CourseStatus.PUBLISHED and is_whole and is_open and has_seats
