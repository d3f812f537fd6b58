"""What is in a cart as it is on offer now: the price of the moment, and what cannot be had any more."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.cart_offers import CartOffer, offers_in_cart
from activities.database import Sessions
from activities.orders import OrderActivities
from models.money import Money
from models.tables import Cart, CartLine
from models.tables.columns import now
from models.vocabulary import CourseStatus
from tests.integration.order_steps import LUKASZ, course, set_course, statements_of

CART = uuid4()


@pytest.fixture
async def academy(orders: OrderActivities) -> Sessions:
    """The sample academy, and Łukasz with three courses in his cart."""
    await fill(orders.sessions, [("spanish-a1", 4900), ("language-bundle", None), ("thesis-seminar", 15000)])
    return orders.sessions


async def fill(sessions: Sessions, lines: Sequence[tuple[str, int | None]]) -> None:
    async with sessions.begin() as session:
        session.add(Cart(id=CART, person_id=LUKASZ, changed_at=now(), workflow_id=f"cart-{CART}"))
        await session.flush()
        for position, (code, amount) in enumerate(lines):
            session.add(CartLine(cart_id=CART, course_id=course(code), position=position, price_amount=amount))


async def offers(sessions: Sessions, cart_id: UUID = CART) -> dict[UUID, CartOffer]:
    async with sessions() as session:
        return {offer.course_id: offer for offer in await offers_in_cart(session, cart_id, now())}


async def test_each_course_is_told_at_the_price_of_now_in_the_order_of_the_cart(academy: Sessions) -> None:
    found = await offers(academy)
    assert list(found) == [course("spanish-a1"), course("language-bundle"), course("thesis-seminar")]
    assert all(offer.is_available for offer in found.values())
    assert found[course("spanish-a1")].changed_from is None
    assert found[course("language-bundle")].changed_from is None
    seminar = found[course("thesis-seminar")]
    assert (seminar.price, seminar.changed_from) == (
        Money(amount=12000, currency="EUR"),
        Money(amount=15000, currency="EUR"),
    )


async def test_a_sale_price_counts_while_it_holds(academy: Sessions) -> None:
    begun, over = now() - timedelta(days=1), now() - timedelta(hours=1)
    await set_course(academy, "spanish-a1", sale_price_amount=3900, sale_starts_at=begun)
    assert (await offers(academy))[course("spanish-a1")].price.amount == 3900
    await set_course(academy, "spanish-a1", sale_ends_at=over)
    assert (await offers(academy))[course("spanish-a1")].price.amount == 4900


@pytest.mark.parametrize(
    ("code", "changes", "lost"),
    [
        ("thesis-seminar", {"seats_taken": 1}, {"thesis-seminar"}),
        ("thesis-seminar", {"enrollment_closes_at": now() - timedelta(minutes=1)}, {"thesis-seminar"}),
        ("thesis-seminar", {"enrollment_closes_at": now() + timedelta(hours=1)}, set()),
        ("spanish-a1", {"status": CourseStatus.RETIRED}, {"spanish-a1", "language-bundle"}),
        ("spanish-a1", {"capacity": 1, "seats_taken": 1}, {"spanish-a1", "language-bundle"}),
    ],
)
async def test_what_cannot_be_had_is_told_and_takes_its_bundle_with_it(
    academy: Sessions, code: str, changes: dict[str, object], lost: set[str]
) -> None:
    await set_course(academy, code, **changes)
    gone = {offer.course_id for offer in (await offers(academy)).values() if not offer.is_available}
    assert gone == {course(each) for each in lost}


async def test_a_cart_that_is_empty_or_unknown_offers_nothing(academy: Sessions) -> None:
    assert await offers(academy, uuid4()) == {}


async def test_two_statements_however_full_it_is(academy: Sessions, engine: AsyncEngine) -> None:
    async with academy() as session:
        with statements_of(engine) as sent:
            await offers_in_cart(session, CART, now())
    assert len(sent) == 2
