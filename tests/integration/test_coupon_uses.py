"""Uses of a coupon in PostgreSQL: the counter is the number of live uses, whoever races."""

import asyncio

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from activities.coupon_uses import confirm_coupon, release_coupon
from activities.database import Sessions
from activities.orders import OrderActivities
from models.errors import Reason
from models.messages.orders import LapseHold, PlaceOrder
from models.tables import Coupon, CouponUse, Order
from models.vocabulary import CouponUseStatus
from tests.integration.order_steps import (
    LUKASZ,
    STUDENTS,
    completing,
    enroll,
    line,
    newcomers,
    placing,
    releasing,
)


async def set_coupon(sessions: Sessions, code: str, **values: object) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Coupon).where(col(Coupon.code) == code).values(**values))


async def live_uses(sessions: Sessions, code: str) -> int:
    """How many uses of the coupon are not released. The coupon itself says the same."""
    query = (
        select(
            col(Coupon.uses), func.count(col(CouponUse.id)).filter(col(CouponUse.status) != CouponUseStatus.RELEASED)
        )
        .join(CouponUse, col(CouponUse.coupon_id) == col(Coupon.id), isouter=True)
        .where(col(Coupon.code) == code)
        .group_by(col(Coupon.id))
    )
    async with sessions() as session:
        counted, live = (await session.execute(query)).one()
    assert counted == live
    return int(live)


async def use_of(sessions: Sessions, step: PlaceOrder) -> tuple[str, object] | None:
    query = select(col(CouponUse.status), col(CouponUse.person_id)).where(
        col(CouponUse.order_id) == step.request.order_id
    )
    async with sessions() as session:
        found = (await session.execute(query)).one_or_none()
    return None if found is None else (found.status, found.person_id)


async def test_a_use_is_reserved_confirmed_and_released_once(orders: OrderActivities, sessions: Sessions) -> None:
    step = placing(line("spanish-a1", STUDENTS[1]), payer=LUKASZ, coupon="fiveoff")
    placed = await orders.place_order(step)
    assert await use_of(sessions, step) == ("reserved", LUKASZ)
    assert await live_uses(sessions, "FIVEOFF") == 1
    await orders.complete_order(completing(step, placed))
    assert await use_of(sessions, step) == ("confirmed", LUKASZ)
    for _ in range(2):
        async with sessions.begin() as session:
            await release_coupon(session, step.request.order_id)
        assert await use_of(sessions, step) == ("released", LUKASZ)
        assert await live_uses(sessions, "FIVEOFF") == 0
    async with sessions.begin() as session:
        await confirm_coupon(session, step.request.order_id)
    assert await use_of(sessions, step) == ("released", LUKASZ)


async def test_an_order_without_a_coupon_releases_and_confirms_nothing(
    orders: OrderActivities, sessions: Sessions
) -> None:
    await orders.place_order(placing(line("spanish-a1"), coupon="FIVEOFF"))
    step = placing(line("french-a2"))
    await orders.place_order(step)
    async with sessions.begin() as session:
        await release_coupon(session, step.request.order_id)
        await confirm_coupon(session, step.request.order_id)
    assert await live_uses(sessions, "FIVEOFF") == 1


async def test_a_cancelled_order_gives_its_use_back(orders: OrderActivities, sessions: Sessions) -> None:
    step = placing(line("spanish-a1"), coupon="ONCE")
    await orders.place_order(step)
    again = placing(line("french-a2"), coupon="ONCE")
    assert (await orders.place_order(again)).refusal is Reason.COUPON_USED_BY_YOU
    await orders.release_order(releasing(step))
    assert await live_uses(sessions, "ONCE") == 0
    assert (await orders.place_order(again)).refusal is None


async def test_a_hold_that_lapses_keeps_its_use(orders: OrderActivities, sessions: Sessions) -> None:
    step = placing(line("spanish-a1"), coupon="ONCE")
    await orders.place_order(step)
    await orders.lapse_hold(LapseHold(order_id=step.request.order_id, workflow_id=step.workflow_id))
    assert await live_uses(sessions, "ONCE") == 1


async def test_a_coupon_that_takes_nothing_off_is_not_used(orders: OrderActivities, sessions: Sessions) -> None:
    await enroll(sessions, orders, "spanish-a1")
    step = placing(line("spanish-a1"), coupon="FIVEOFF")
    await orders.place_order(step)
    assert await use_of(sessions, step) is None
    assert await live_uses(sessions, "FIVEOFF") == 0
    async with sessions() as session:
        assert (await session.get_one(Order, step.request.order_id)).coupon_id is None


async def test_a_limit_of_fifty_holds_under_two_hundred_racers_and_while_uses_come_back(
    orders: OrderActivities, sessions: Sessions
) -> None:
    waves = [
        [
            placing(line("spanish-a1", racer), payer=racer, coupon="FIVEOFF")
            for racer in await newcomers(sessions, count)
        ]
        for count in (200, 40, 20)
    ]
    answers = await asyncio.gather(*(orders.place_order(step) for step in waves[0]))
    refusals = [answer.refusal for answer in answers]
    assert (refusals.count(None), refusals.count(Reason.COUPON_USED_UP)) == (50, 150)
    assert await live_uses(sessions, "FIVEOFF") == 50

    winners = [step for step, answer in zip(waves[0], answers, strict=True) if answer.refusal is None]
    declined = winners[:15]
    _, *answers = await asyncio.gather(
        asyncio.gather(*(orders.release_order(releasing(step)) for step in declined)),
        *(orders.place_order(step) for step in waves[1]),
    )
    retaken = [answer.refusal for answer in answers].count(None)
    assert await live_uses(sessions, "FIVEOFF") == 35 + retaken <= 50
    answers = await asyncio.gather(*(orders.place_order(step) for step in waves[2]))
    assert [answer.refusal for answer in answers].count(None) == 15 - retaken
    assert await live_uses(sessions, "FIVEOFF") == 50
    assert {await use_of(sessions, step) for step in declined} == {
        ("released", step.request.payer_id) for step in declined
    }


@pytest.mark.parametrize("limit", [1, 3])
async def test_twenty_orders_of_one_payer_keep_within_the_limit_per_person(
    orders: OrderActivities, sessions: Sessions, limit: int
) -> None:
    await set_coupon(sessions, "ONCE", per_person_limit=limit)
    students = await newcomers(sessions, 20)
    steps = [placing(line("spanish-a1", student), payer=LUKASZ, coupon="ONCE") for student in students]
    answers = await asyncio.gather(*(orders.place_order(step) for step in steps))
    refusals = [answer.refusal for answer in answers]
    assert (refusals.count(None), refusals.count(Reason.COUPON_USED_BY_YOU)) == (limit, 20 - limit)
    assert await live_uses(sessions, "ONCE") == limit
    other = placing(line("spanish-a1", STUDENTS[1]), payer=STUDENTS[1], coupon="ONCE")
    assert (await orders.place_order(other)).refusal is None
