"""Placing what a student has already, or a part of it: nobody is charged for access they hold."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.database import Sessions
from activities.orders import OrderActivities
from models.errors import Reason
from models.money import Money
from models.tables import (
    Coupon,
    Order,
    OrderLine,
)
from models.tables.columns import now
from models.vocabulary import CourseStatus, EnrollmentStatus
from tests.integration.order_steps import (
    LUKASZ,
    completing,
    course,
    enroll,
    enrollments_of,
    line,
    person,
    placing,
    refuses,
    rows_written,
    seats_add_up,
    set_course,
    slots_of,
)

BERLIN = ZoneInfo("Europe/Berlin")
COMPANY = person("company")
GRACE = person("grace")


# ---- what students have already ----


async def test_whoever_has_access_is_not_charged_and_takes_no_seat(orders: OrderActivities, sessions: Sessions) -> None:
    await enroll(sessions, orders, "python-cohort")
    step = placing(line("python-cohort"), line("python-cohort", GRACE))
    placed = await orders.place_order(step)
    assert placed.total == Money(amount=79000, currency="USD")
    assert [row.student_id for row in await enrollments_of(sessions, step)] == [GRACE]
    async with sessions() as session:
        lines = await session.execute(
            select(col(OrderLine.already_entitled), col(OrderLine.total_amount))
            .where(col(OrderLine.order_id) == step.request.order_id)
            .order_by(col(OrderLine.position))
        )
        assert [tuple(row) for row in lines] == [(True, 0), (False, 79000)]
    await seats_add_up(sessions)


async def test_an_order_of_what_one_has_costs_nothing_and_uses_no_coupon(
    orders: OrderActivities, engine: AsyncEngine, sessions: Sessions
) -> None:
    await enroll(sessions, orders, "spanish-a1")
    before = await rows_written(engine)
    step = placing(line("spanish-a1"), coupon="ONCE")
    placed = await orders.place_order(step)
    assert placed.total == Money(amount=0, currency="EUR")
    after = await rows_written(engine)
    assert {name for name in after if after[name] > before[name]} == {"orders", "order_lines", "audit_log"}
    async with sessions() as session:
        assert (await session.get_one(Order, step.request.order_id)).coupon_id is None
        assert set((await session.execute(select(col(Coupon.uses)))).scalars()) == {0}
    done = await orders.complete_order(completing(step, placed))
    assert done.enrollment_ids == ()


@pytest.mark.parametrize(
    ("status", "ended", "total"),
    [
        (EnrollmentStatus.COMPLETED, None, 0),
        (EnrollmentStatus.COMPLETED, timedelta(days=1), 0),
        (EnrollmentStatus.COMPLETED, timedelta(days=-1), 12000),
        (EnrollmentStatus.ACTIVE, timedelta(days=-1), 12000),
        (EnrollmentStatus.CANCELED, None, 12000),
        (EnrollmentStatus.EXPIRED, timedelta(days=-1), 12000),
    ],
)
async def test_only_access_that_is_still_valid_is_free(
    orders: OrderActivities, sessions: Sessions, status: EnrollmentStatus, ended: timedelta | None, total: int
) -> None:
    before = await enroll(
        sessions, orders, "thesis-seminar", status=status, access_ends_at=None if ended is None else now() + ended
    )
    if status is not EnrollmentStatus.ACTIVE:
        await set_course(sessions, "thesis-seminar", seats_taken=0)
    step = placing(line("thesis-seminar"))
    placed = await orders.place_order(step)
    assert placed.total == Money(amount=total, currency="EUR")
    assert len(await enrollments_of(sessions, step)) == (1 if total else 0)
    [old] = await enrollments_of(sessions, before)
    assert old.status == (EnrollmentStatus.EXPIRED if status is EnrollmentStatus.ACTIVE else status)
    await seats_add_up(sessions)


@pytest.mark.parametrize("status", ["pending_payment", "pending_approval", "waitlisted", "suspended"])
async def test_a_place_that_is_not_settled_keeps_from_another(
    orders: OrderActivities, engine: AsyncEngine, sessions: Sessions, status: str
) -> None:
    await enroll(sessions, orders, "spanish-a1", status=status)
    await refuses(orders, engine, placing(line("spanish-a1")), Reason.ALREADY_ENROLLED)
    await refuses(orders, engine, placing(line("language-bundle")), Reason.ALREADY_ENROLLED)


@pytest.mark.parametrize(("status", "refusal"), [("active", Reason.ALREADY_ENROLLED), ("completed", None)])
async def test_a_pack_is_bought_again_once_its_lessons_are_over(
    orders: OrderActivities, sessions: Sessions, status: str, refusal: Reason | None
) -> None:
    slots = [slot.id for slot in await slots_of(sessions, "piano-pack")]
    await enroll(sessions, orders, "piano-pack", slots=slots[:5], status=status)
    placed = await orders.place_order(placing(line("piano-pack", LUKASZ, *slots[6:11])))
    assert placed.refusal is refusal
    assert refusal is not None or placed.total == Money(amount=22500, currency="EUR")


# ---- bundles ----


async def test_a_bundle_brings_all_its_courses_with_their_shares(orders: OrderActivities, sessions: Sessions) -> None:
    await set_course(sessions, "french-a2", capacity=3)
    step = placing(line("language-bundle"))
    placed = await orders.place_order(step)
    assert placed.total == Money(amount=8900, currency="EUR")
    places = {row.course_id: row.share_amount for row in await enrollments_of(sessions, step)}
    assert places == {course("spanish-a1"): 4038, course("french-a2"): 4862}
    await seats_add_up(sessions)
    done = await orders.complete_order(completing(step, placed))
    assert len(done.enrollment_ids) == 2


async def test_who_has_a_part_of_a_bundle_gets_the_rest_for_its_price(
    orders: OrderActivities, sessions: Sessions
) -> None:
    await enroll(sessions, orders, "spanish-a1")
    step = placing(line("language-bundle"), line("language-bundle", GRACE))
    placed = await orders.place_order(step)
    assert placed.total == Money(amount=17800, currency="EUR")
    places = await enrollments_of(sessions, step)
    assert [(row.course_id, row.share_amount) for row in places if row.student_id == LUKASZ] == [
        (course("french-a2"), 8900)
    ]
    assert sum(row.share_amount for row in places if row.student_id == GRACE) == 8900
    async with sessions() as session:
        pinned = (await session.get_one(Order, step.request.order_id)).quote["lines"]
    assert isinstance(pinned, list)
    assert pinned[0]["shares"] == [{"course_id": str(course("french-a2")), "amount": 8900}]


async def test_who_has_all_of_a_bundle_is_not_charged(orders: OrderActivities, sessions: Sessions) -> None:
    await enroll(sessions, orders, "language-bundle")
    again = placing(line("language-bundle"))
    assert (await orders.place_order(again)).total == Money(amount=0, currency="EUR")
    assert await enrollments_of(sessions, again) == []


@pytest.mark.parametrize(
    ("included", "reason"),
    [
        ({"status": CourseStatus.DRAFT}, Reason.COURSE_NOT_PUBLISHED),
        ({"enrollment_closes_at": datetime(2020, 1, 1, tzinfo=UTC)}, Reason.ENROLLMENT_CLOSED),
        (
            {"access_rule": "until_date", "access_days": None, "access_until": datetime(2020, 1, 1, tzinfo=UTC)},
            Reason.ENROLLMENT_CLOSED,
        ),
        ({"capacity": 1, "seats_taken": 0}, Reason.COURSE_FULL),
    ],
)
async def test_a_bundle_is_sold_only_whole(
    orders: OrderActivities, engine: AsyncEngine, sessions: Sessions, included: dict[str, object], reason: Reason
) -> None:
    await set_course(sessions, "french-a2", **included)
    step = placing(line("language-bundle"), line("language-bundle", GRACE))
    await refuses(orders, engine, step, reason)
