"""Seats and slots given back once, and taken again for money that comes late, if they can be."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from activities.audit import StateChange
from activities.database import Sessions
from activities.holds import end_places, release_places, retake_places
from activities.orders import OrderActivities
from models.messages.orders import LapseHold, PlaceOrder
from models.tables import Course, Enrollment, LessonSlot, Order
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, SlotStatus
from tests.integration.order_steps import (
    LUKASZ,
    by_weekday,
    completing,
    course,
    enroll,
    enrollments_of,
    line,
    newcomers,
    nobody_is_in_two_lessons,
    person,
    placed,
    placing,
    seats_add_up,
    set_course,
    slots_of,
    states_of,
)

GRACE = person("grace")


# ---- given back ----


@pytest.mark.parametrize("code", ["teacher-training", "python-cohort"])
async def test_what_waits_is_given_back_once(orders: OrderActivities, sessions: Sessions, code: str) -> None:
    step = placing(line(code))
    await placed(orders, step)
    [place] = await enrollments_of(sessions, step)
    for expected in ([StateChange("enrollment", place.id, place.status, "canceled")], []):
        async with sessions.begin() as session:
            assert await release_places(session, step.request.order_id) == expected
    await seats_add_up(sessions)
    async with sessions() as session:
        assert (await session.get_one(Course, course(code))).seats_taken == 0


async def test_what_is_paid_is_not_given_back(orders: OrderActivities, sessions: Sessions) -> None:
    slots = [slot.id for slot in await slots_of(sessions, "piano-pack")][:5]
    step = await enroll(sessions, orders, "piano-pack", slots=slots)
    async with sessions.begin() as session:
        assert await release_places(session, step.request.order_id) == []
    assert await states_of(sessions, slots) == ["booked"] * 5


async def test_an_ended_place_gives_back_its_seat_and_the_lessons_to_come(
    orders: OrderActivities, sessions: Sessions
) -> None:
    slots = [slot.id for slot in await slots_of(sessions, "piano-pack")][:5]
    pack = await enroll(sessions, orders, "piano-pack", slots=slots)
    cohort = await enroll(sessions, orders, "python-cohort")
    async with sessions.begin() as session:
        await session.execute(
            update(LessonSlot)
            .where(col(LessonSlot.id) == slots[0])
            .values(starts_at=now() - timedelta(hours=2), ends_at=now() - timedelta(hours=1))
        )
    ids = [row.id for step in (pack, cohort) for row in await enrollments_of(sessions, step)]
    async with sessions.begin() as session:
        changes = await end_places(session, ids)
    assert sorted((change.subject_kind, change.from_state or "", change.to_state) for change in changes) == [
        *[("enrollment", "active", "canceled")] * 2,
        *[("lesson_slot", "booked", "free")] * 4,
    ]
    assert await states_of(sessions, slots) == ["booked"] + ["free"] * 4
    await seats_add_up(sessions)
    async with sessions.begin() as session:
        assert await end_places(session, ids) == []
        assert await end_places(session, []) == []
    await seats_add_up(sessions)


@pytest.mark.parametrize(("status", "ended"), [("expired", [("expired", "canceled")]), ("canceled", [])])
async def test_a_place_without_a_seat_gives_none_back(
    orders: OrderActivities, sessions: Sessions, status: str, ended: list[tuple[str, str]]
) -> None:
    step = await enroll(sessions, orders, "python-cohort", status=status)
    [place] = await enrollments_of(sessions, step)
    async with sessions.begin() as session:
        changes = await end_places(session, [place.id])
    assert [(each.from_state, each.to_state) for each in changes] == ended
    async with sessions() as session:
        assert (await session.get_one(Course, course("python-cohort"))).seats_taken == 1


# ---- taken again ----


async def lapse(orders: OrderActivities, step: PlaceOrder) -> None:
    await placed(orders, step)
    await orders.lapse_hold(LapseHold(order_id=step.request.order_id, workflow_id=step.workflow_id))


async def retake(sessions: Sessions, step: PlaceOrder) -> tuple[list[StateChange], list[UUID]]:
    async with sessions.begin() as session:
        await session.get_one(Order, step.request.order_id, with_for_update=True)
        return await retake_places(session, step.request.order_id)


async def test_what_is_still_free_is_taken_again(orders: OrderActivities, sessions: Sessions) -> None:
    slots = [slot.id for slot in await slots_of(sessions, "piano-pack")][:5]
    step = placing(line("piano-pack", LUKASZ, *slots), line("thesis-seminar"), line("language-bundle"))
    await lapse(orders, step)
    assert await states_of(sessions, slots) == ["free"] * 5
    await seats_add_up(sessions)
    changes, lost = await retake(sessions, step)
    assert lost == []
    assert sorted((change.subject_kind, change.from_state or "", change.to_state) for change in changes) == [
        *[("enrollment", "canceled", "pending_payment")] * 4,
        *[("lesson_slot", "free", "held")] * 5,
    ]
    assert await states_of(sessions, slots) == ["held"] * 5
    assert {row.status for row in await enrollments_of(sessions, step)} == {"pending_payment"}
    await seats_add_up(sessions)
    assert await retake(sessions, step) == ([], [])


async def test_a_seat_that_was_sold_is_lost_and_the_other_lines_are_not(
    orders: OrderActivities, sessions: Sessions
) -> None:
    step = placing(line("thesis-seminar"), line("spanish-a1"))
    await lapse(orders, step)
    await placed(orders, placing(line("thesis-seminar", GRACE), payer=GRACE))
    _, lost = await retake(sessions, step)
    seminar, spanish = await enrollments_of(sessions, step)
    assert lost == [seminar.id]
    assert (seminar.status, spanish.status) == ("canceled", "pending_payment")
    await seats_add_up(sessions)


async def test_of_two_places_the_seat_that_is_left_goes_to_one(orders: OrderActivities, sessions: Sessions) -> None:
    await set_course(sessions, "thesis-seminar", capacity=2)
    step = placing(line("thesis-seminar"), line("thesis-seminar", person("aoife")))
    await lapse(orders, step)
    await placed(orders, placing(line("thesis-seminar", GRACE), payer=GRACE))
    _, lost = await retake(sessions, step)
    first, second = await enrollments_of(sessions, step)
    assert lost == [second.id]
    assert first.status == "pending_payment"
    await seats_add_up(sessions)


async def test_a_pack_is_lost_with_one_of_its_slots(orders: OrderActivities, sessions: Sessions) -> None:
    slots = [slot.id for slot in await slots_of(sessions, "piano-pack")]
    step = placing(line("piano-pack", LUKASZ, *slots[:5]), line("piano-pack", person("aoife"), *slots[5:10]))
    await lapse(orders, step)
    await placed(orders, placing(line("piano-pack", GRACE, *slots[4:6], *slots[10:13]), payer=GRACE))
    await set_slot_free(sessions, slots[5])
    changes, lost = await retake(sessions, step)
    first, second = await enrollments_of(sessions, step)
    assert lost == [first.id]
    assert second.status == "pending_payment"
    assert await states_of(sessions, slots[:4]) == ["free"] * 4
    assert await states_of(sessions, slots[5:10]) == ["held"] * 5
    assert len([change for change in changes if change.subject_kind == "lesson_slot"]) == 5
    await nobody_is_in_two_lessons(sessions)


async def set_slot_free(sessions: Sessions, slot_id: UUID) -> None:
    async with sessions.begin() as session:
        await session.execute(
            update(LessonSlot)
            .where(col(LessonSlot.id) == slot_id)
            .values(status=SlotStatus.FREE, student_id=None, order_line_id=None)
        )


async def test_a_pack_is_lost_when_its_tutor_is_busy_or_its_hour_has_begun(
    orders: OrderActivities, sessions: Sessions
) -> None:
    violin = by_weekday(await slots_of(sessions, "violin-pack"), 0, 4)
    step = placing(line("violin-pack", GRACE, *violin), payer=GRACE)
    await lapse(orders, step)
    late = [slot.id for slot in await slots_of(sessions, "piano-pack") if slot.starts_at.minute == 15]
    await placed(orders, placing(line("piano-pack", LUKASZ, *late[:5])))
    [place] = await enrollments_of(sessions, step)
    assert await retake(sessions, step) == ([], [place.id])
    await nobody_is_in_two_lessons(sessions)

    other = [slot.id for slot in await slots_of(sessions, "piano-pack") if slot.status == SlotStatus.FREE][:5]
    pack = placing(line("piano-pack", person("aoife"), *other), payer=person("aoife"))
    await lapse(orders, pack)
    async with sessions.begin() as session:
        await session.execute(
            update(LessonSlot)
            .where(col(LessonSlot.id) == other[0])
            .values(starts_at=now() - timedelta(minutes=1), ends_at=now() + timedelta(minutes=59))
        )
    [place] = await enrollments_of(sessions, pack)
    assert await retake(sessions, pack) == ([], [place.id])


async def test_a_place_that_the_student_got_otherwise_is_lost(orders: OrderActivities, sessions: Sessions) -> None:
    step = placing(line("language-bundle"))
    await lapse(orders, step)
    await enroll(sessions, orders, "spanish-a1")
    _, lost = await retake(sessions, step)
    places = {row.course_id: row for row in await enrollments_of(sessions, step)}
    assert lost == [places[course("spanish-a1")].id]
    assert places[course("french-a2")].status == "pending_payment"


async def test_late_money_and_a_buyer_race_for_the_last_seat(orders: OrderActivities, sessions: Sessions) -> None:
    step = placing(line("thesis-seminar"))
    answer = await placed(orders, step)
    await orders.lapse_hold(LapseHold(order_id=step.request.order_id, workflow_id=step.workflow_id))
    racers = await newcomers(sessions, 10)
    done, *answers = await asyncio.gather(
        orders.complete_order(completing(step, answer)),
        *(orders.place_order(placing(line("thesis-seminar", racer), payer=racer)) for racer in racers),
    )
    sold = len(done.enrollment_ids) + [other.refusal for other in answers].count(None)
    assert sold == 1
    assert len(done.enrollment_ids) + len(done.lost_ids) == 1
    await seats_add_up(sessions)


async def test_late_money_and_an_order_of_the_same_student_meet_without_harm(
    orders: OrderActivities, sessions: Sessions
) -> None:
    step = placing(line("spanish-a1"))
    answer = await placed(orders, step)
    await orders.lapse_hold(LapseHold(order_id=step.request.order_id, workflow_id=step.workflow_id))
    attempts = (orders.complete_order(completing(step, answer)), orders.place_order(placing(line("spanish-a1"))))
    await asyncio.gather(*attempts, return_exceptions=True)
    # Whoever came upon the other's row in that moment is tried again, as Temporal does.
    done = await orders.complete_order(completing(step, answer))
    async with sessions() as session:
        live = select(func.count()).where(
            col(Enrollment.course_id) == course("spanish-a1"),
            col(Enrollment.status).in_((EnrollmentStatus.ACTIVE, EnrollmentStatus.PENDING_PAYMENT)),
        )
        assert (await session.execute(live)).scalar_one() == 1
    assert len(done.enrollment_ids) + len(done.lost_ids) == 1
