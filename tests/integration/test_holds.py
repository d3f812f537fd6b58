"""Seats and slots in PostgreSQL: exact under races, held all or none, given back once, taken again if they can be."""

import asyncio
import random
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.database import Sessions
from activities.orders import OrderActivities
from models.errors import Reason
from models.tables import Course
from models.tables.columns import now
from models.vocabulary import SlotStatus
from tests.integration.order_steps import (
    LUKASZ,
    STUDENTS,
    add_slots,
    all_slots,
    by_weekday,
    enroll,
    line,
    newcomers,
    nobody_is_in_two_lessons,
    person,
    placed,
    placing,
    refuses,
    releasing,
    seats_add_up,
    set_course,
    slots_of,
    states_of,
)

GRACE = person("grace")


# ---- seats ----


async def test_the_last_seat_under_a_hundred_racers_sells_once(orders: OrderActivities, sessions: Sessions) -> None:
    racers = await newcomers(sessions, 100)
    steps = [placing(line("thesis-seminar", racer), payer=racer) for racer in racers]
    answers = await asyncio.gather(*(orders.place_order(step) for step in steps))
    assert sorted(answer.refusal or "" for answer in answers) == [""] + [Reason.COURSE_FULL] * 99
    await seats_add_up(sessions)


async def test_seats_that_come_back_are_sold_again_and_never_twice(orders: OrderActivities, sessions: Sessions) -> None:
    await set_course(sessions, "teacher-training", approver_id=None)
    racers = await newcomers(sessions, 40)

    async def race(racer: UUID, number: int) -> None:
        lines = [line("teacher-training", racer), line("thesis-seminar", racer), line("company-workshop", racer)]
        step = placing(*(lines if number % 2 else lines[::-1]), payer=racer)
        if (await orders.place_order(step)).refusal is None:
            await orders.release_order(releasing(step))

    await asyncio.gather(*(race(racer, number) for number, racer in enumerate(racers)))
    await seats_add_up(sessions)
    async with sessions() as session:
        taken = await session.execute(select(func.sum(col(Course.seats_taken))))
        assert taken.scalar_one() == 0


async def test_a_renewal_keeps_ones_own_seat_and_only_one_succeeds(orders: OrderActivities, sessions: Sessions) -> None:
    await enroll(sessions, orders, "thesis-seminar", access_ends_at=now() - timedelta(days=1))
    answers = await asyncio.gather(*(orders.place_order(placing(line("thesis-seminar"))) for _ in range(6)))
    assert [answer.refusal for answer in answers].count(None) == 1
    assert {answer.refusal for answer in answers} <= {None, Reason.ALREADY_ENROLLED, Reason.COURSE_FULL}
    await seats_add_up(sessions)


# ---- slots ----


async def test_slots_are_held_all_or_none_and_come_back(orders: OrderActivities, sessions: Sessions) -> None:
    free = [slot.id for slot in await slots_of(sessions, "piano-pack")][:9]
    first = placing(line("piano-pack", LUKASZ, *free[:5]))
    overlapping = placing(line("piano-pack", STUDENTS[1], *free[4:9]), payer=STUDENTS[1])
    await placed(orders, first)
    assert (await orders.place_order(overlapping)).refusal is Reason.SLOTS_UNAVAILABLE
    assert await states_of(sessions, free) == ["held"] * 5 + ["free"] * 4
    owners = {slot.student_id for slot in await slots_of(sessions, "piano-pack") if slot.status == SlotStatus.HELD}
    assert owners == {LUKASZ}
    await orders.release_order(releasing(first))
    assert await states_of(sessions, free) == ["free"] * 9
    await placed(orders, overlapping)


async def test_only_coming_slots_of_the_pack_itself_are_held(
    orders: OrderActivities, engine: AsyncEngine, sessions: Sessions
) -> None:
    piano = [slot.id for slot in await slots_of(sessions, "piano-pack")]
    [violin] = by_weekday(await slots_of(sessions, "violin-pack"), 3, 1)
    await refuses(orders, engine, placing(line("piano-pack", LUKASZ, *piano[:4], violin)), Reason.SLOTS_UNAVAILABLE)
    [gone] = await add_slots(sessions, "piano-pack", now() - timedelta(hours=1))
    await refuses(orders, engine, placing(line("piano-pack", LUKASZ, *piano[:4], gone)), Reason.SLOTS_UNAVAILABLE)


async def test_an_hour_of_a_tutor_sells_once_whatever_pack_it_is_in(
    orders: OrderActivities, engine: AsyncEngine, sessions: Sessions
) -> None:
    piano = await slots_of(sessions, "piano-pack")
    late = [slot.id for slot in piano if slot.starts_at.minute == 15][:5]
    await placed(orders, placing(line("piano-pack", LUKASZ, *late)))
    violin = by_weekday(await slots_of(sessions, "violin-pack"), 0, 4)
    step = placing(line("violin-pack", GRACE, *violin), payer=GRACE)
    await refuses(orders, engine, step, Reason.TUTOR_DOUBLE_BOOKED)
    await nobody_is_in_two_lessons(sessions)


async def test_a_lesson_may_begin_when_another_one_ends(orders: OrderActivities, sessions: Sessions) -> None:
    piano = await slots_of(sessions, "piano-pack")
    early = [slot.id for slot in piano if slot.starts_at.minute == 0][:5]
    await placed(orders, placing(line("piano-pack", GRACE, *early), payer=GRACE))
    violin = by_weekday(await slots_of(sessions, "violin-pack"), 0, 4)
    await placed(orders, placing(line("violin-pack", GRACE, *violin), payer=GRACE))


async def test_a_student_is_in_one_lesson_at_a_time(
    orders: OrderActivities, engine: AsyncEngine, sessions: Sessions
) -> None:
    ukrainian = by_weekday(await slots_of(sessions, "ukrainian-pack"), 3, 3)
    violin = by_weekday(await slots_of(sessions, "violin-pack"), 3, 4)
    await placed(orders, placing(line("ukrainian-pack", GRACE, *ukrainian), payer=GRACE))
    step = placing(line("violin-pack", GRACE, *violin), payer=GRACE)
    await refuses(orders, engine, step, Reason.STUDENT_DOUBLE_BOOKED)


async def test_the_lines_of_one_order_do_not_overlap_either(
    orders: OrderActivities, engine: AsyncEngine, sessions: Sessions
) -> None:
    await set_course(sessions, "ukrainian-pack", currency="EUR")
    piano = [slot.id for slot in await slots_of(sessions, "piano-pack")]
    ukrainian = by_weekday(await slots_of(sessions, "ukrainian-pack"), 3, 3)
    mondays = by_weekday(await slots_of(sessions, "violin-pack"), 0, 4)
    thursdays = by_weekday(await slots_of(sessions, "violin-pack"), 3, 4)
    twice = [line("piano-pack", LUKASZ, *piano[:5]), line("piano-pack", GRACE, *piano[4:9])]
    await refuses(orders, engine, placing(*twice), Reason.SLOTS_UNAVAILABLE)
    one_tutor = [line("piano-pack", LUKASZ, *piano[:5]), line("violin-pack", GRACE, *mondays)]
    await refuses(orders, engine, placing(*one_tutor), Reason.TUTOR_DOUBLE_BOOKED)
    one_student = [line("ukrainian-pack", GRACE, *ukrainian), line("violin-pack", GRACE, *thursdays)]
    await refuses(orders, engine, placing(*one_student), Reason.STUDENT_DOUBLE_BOOKED)
    two_students = [line("ukrainian-pack", LUKASZ, *ukrainian), line("violin-pack", GRACE, *thursdays)]
    await placed(orders, placing(*two_students))


async def test_thirty_racers_for_overlapping_hours_book_nobody_twice(
    orders: OrderActivities, sessions: Sessions
) -> None:
    await set_course(sessions, "piano-pack", lessons_included=3, max_daily_lessons=None)
    await set_course(
        sessions, "violin-pack", lessons_included=3, min_weekly_classes=None, max_daily_lessons=None,
        max_period_value=None, max_period_unit=None, preliminary_meeting_required=False,
    )  # fmt: skip
    first = (await slots_of(sessions, "piano-pack"))[0].starts_at
    quarters = [first + timedelta(days=1, minutes=15 * number) for number in range(16)]
    packs = {
        "piano-pack": await add_slots(sessions, "piano-pack", *quarters, minutes=40),
        "violin-pack": await add_slots(sessions, "violin-pack", *quarters, minutes=25),
    }
    racers, chance = await newcomers(sessions, 6), random.Random(2026)  # noqa: S311 - repeatable, not secret
    steps = []
    for number in range(30):
        code, racer = chance.choice(list(packs)), racers[number % len(racers)]
        first_slot = chance.randrange(10)
        chosen = [packs[code][first_slot + 3 * index] for index in range(3)]
        steps.append(placing(line(code, racer, *chosen), payer=racer))
    answers = await asyncio.gather(*(orders.place_order(step) for step in steps))
    await nobody_is_in_two_lessons(sessions)
    winners = [step for step, answer in zip(steps, answers, strict=True) if answer.refusal is None]
    assert winners
    assert {answer.refusal for answer in answers} <= {
        None,
        Reason.SLOTS_UNAVAILABLE,
        Reason.TUTOR_DOUBLE_BOOKED,
        Reason.STUDENT_DOUBLE_BOOKED,
        Reason.ALREADY_ENROLLED,
    }
    held = [slot.id for slot in await all_slots(sessions) if slot.status == SlotStatus.HELD]
    assert sorted(held) == sorted(slot for step in winners for slot in step.request.lines[0].slot_ids)
