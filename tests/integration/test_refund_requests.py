"""Asking for money back, on the record: one winner against the next lesson, one refund whoever asks how often."""

import asyncio
import random
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, update
from sqlmodel import col

from activities.database import Sessions
from activities.lesson_records import LessonToRecord, record_lesson
from activities.orders import OrderActivities
from activities.refund_facts import enrollment_to_refund
from activities.refund_requests import RefundRequestActivities
from models.errors import Reason
from models.identifiers import new_id
from models.messages.refunds import RefundWish, RequestRefund, SettleReview
from models.tables import Enrollment, Lesson, LessonRecord, LessonSlot, OrderLine, Person, RefundRequest
from models.tables.columns import now
from models.vocabulary import (
    EnrollmentStatus,
    LessonOutcome,
    RefundCause,
    RefundGround,
    RefundPolicy,
    RefundRequestStatus,
    SlotStatus,
)
from rules.decision import Refused
from sandbox.sample_academy import sample_id
from tests.integration.written_orders import Sold, write_order
from tests.thoroughness import IS_THOROUGH

BUYERS = ("lukasz", "layla", "xiaoming", "aoife", "grace", "haruka", "emile", "maya", "olena", "eleni")
PLACES = 100 if IS_THOROUGH else 30
RUNS = len(BUYERS) * PLACES
AT_ONCE = 10


@pytest.fixture
def requests(orders: OrderActivities) -> RefundRequestActivities:
    return RefundRequestActivities(orders.sessions)


def a_wish(enrollment_id: UUID, request_id: UUID | None = None) -> RequestRefund:
    wish = RefundWish(
        request_id=request_id or uuid4(),
        enrollment_id=enrollment_id,
        cause=RefundCause.NOT_AS_EXPECTED,
        actor="student:7",
    )
    return RequestRefund(wish=wish, workflow_id=f"refund-{enrollment_id}")


async def lessons_of(sessions: Sessions, code: str) -> list[UUID]:
    query = select(col(Lesson.id)).where(col(Lesson.course_id) == sample_id("course", code))
    async with sessions() as session:
        return list((await session.execute(query.order_by(col(Lesson.position)))).scalars())


async def a_place(sessions: Sessions, code: str = "photography", price: int = 4500) -> UUID:
    written = await write_order(sessions, [Sold(code, price)])
    await set_place(sessions, written.place_ids[0], refund_policy=RefundPolicy.FIRST_LESSON)
    return written.place_ids[0]


async def set_place(sessions: Sessions, enrollment_id: UUID, **values: object) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).where(col(Enrollment.id) == enrollment_id).values(**values))


async def record(sessions: Sessions, told: LessonToRecord) -> LessonRecord | Refused:
    async with sessions.begin() as session:
        return await record_lesson(session, told)


def held(enrollment_id: UUID, lesson_id: UUID, outcome: LessonOutcome = LessonOutcome.COMPLETED) -> LessonToRecord:
    return LessonToRecord(enrollment_id, lesson_id, outcome, "tutor:7", may_correct=False)


# ---- one winner ----


async def places_after_their_first_lesson(sessions: Sessions, first: UUID, buyer: str) -> list[UUID]:
    """The places of one more order beside its buyer's, each of a student of its own who has had one lesson."""
    written = await write_order(sessions, [Sold("photography", 4500, student=buyer)])
    course_id = sample_id("course", "photography")
    people = [
        {"id": (id_ := new_id()), "email": f"{id_}@students.test", "full_name": "A student"} for _ in range(PLACES)
    ]
    lines = [
        {
            "id": new_id(), "order_id": written.order_id, "position": n, "course_id": course_id,
            "student_id": person["id"], "title": "Photography", "list_amount": 4500, "discount_amount": 0,
            "total_amount": 4500,
        }
        for n, person in enumerate(people, start=10)
    ]  # fmt: skip
    places = [
        {
            "id": new_id(), "order_line_id": line["id"], "course_id": course_id, "student_id": line["student_id"],
            "status": EnrollmentStatus.ACTIVE, "refund_policy": RefundPolicy.FIRST_LESSON, "share_amount": 4500,
            "enrolled_at": now(),
        }
        for line in lines
    ]  # fmt: skip
    records = [
        {"enrollment_id": place["id"], "lesson_id": first, "outcome": LessonOutcome.COMPLETED, "recorded_by": "tutor:7"}
        for place in places
    ]
    async with sessions.begin() as session:
        for table, rows in ((Person, people), (OrderLine, lines), (Enrollment, places), (LessonRecord, records)):
            await session.execute(insert(table), rows)
    return [UUID(str(place["id"])) for place in places]


async def test_the_second_lesson_and_the_refund_have_one_winner(requests: RefundRequestActivities) -> None:
    sessions, chance = requests.sessions, random.Random("a race")  # noqa: S311
    first, second = await lessons_of(sessions, "photography")
    winners = {"lesson": 0, "refund": 0}

    async def race(enrollment_id: UUID) -> None:
        async def lesson() -> bool:
            await asyncio.sleep(chance.random() / 500)
            return not isinstance(await record(sessions, held(enrollment_id, second)), Refused)

        async def refund() -> bool:
            await asyncio.sleep(chance.random() / 500)
            return (await requests.request_refund(a_wish(enrollment_id))).refusal is None

        racers = [lesson(), refund()] if chance.random() < 0.5 else [refund(), lesson()]
        names = [racer.__name__ for racer in racers]
        won = [name for name, has_won in zip(names, await asyncio.gather(*racers), strict=True) if has_won]
        assert len(won) == 1, won
        winners[won[0]] += 1

    places = [place for buyer in BUYERS for place in await places_after_their_first_lesson(sessions, first, buyer)]
    for start in range(0, RUNS, AT_ONCE):
        await asyncio.gather(*map(race, places[start : start + AT_ONCE]))
    assert min(winners.values()) > RUNS // 10, winners


async def test_fifty_wishes_at_once_are_one_refund(requests: RefundRequestActivities) -> None:
    enrollment_id = await a_place(requests.sessions)
    [first, _] = await lessons_of(requests.sessions, "photography")
    await record(requests.sessions, held(enrollment_id, first))
    answers = await asyncio.gather(*(requests.request_refund(a_wish(enrollment_id)) for _ in range(50)))
    assert [answer.status for answer in answers].count(RefundRequestStatus.APPROVED) == 1
    assert {answer.refusal for answer in answers} == {None, Reason.REFUND_IN_PROGRESS}
    async with requests.sessions() as session:
        assert (await session.execute(select(func.count()).select_from(RefundRequest))).scalar_one() == 1


async def test_the_same_wish_is_found_again(requests: RefundRequestActivities) -> None:
    enrollment_id = await a_place(requests.sessions)
    [first, _] = await lessons_of(requests.sessions, "photography")
    await record(requests.sessions, held(enrollment_id, first))
    wish = a_wish(enrollment_id, uuid4())
    answer = await requests.request_refund(wish)
    await set_place(requests.sessions, enrollment_id, status=EnrollmentStatus.CANCELED)
    assert await requests.request_refund(wish) == answer
    assert (answer.status, answer.grounds) == (RefundRequestStatus.APPROVED, (RefundGround.FIRST_LESSON_DONE,))


# ---- the rule on the record ----


async def test_what_the_rule_refuses_leaves_no_row(requests: RefundRequestActivities) -> None:
    enrollment_id = await a_place(requests.sessions)
    answer = await requests.request_refund(a_wish(enrollment_id))
    assert (answer.status, answer.refusal) == (None, Reason.REFUND_NOT_ELIGIBLE)
    assert "no_lesson_done" in (answer.refusal_detail or "")
    async with requests.sessions() as session:
        assert (await session.execute(select(func.count()).select_from(RefundRequest))).scalar_one() == 0
    assert (await requests.request_refund(a_wish(uuid4()))).refusal is Reason.NOT_FOUND


async def test_a_large_window_refund_is_for_a_person_on_working_days(requests: RefundRequestActivities) -> None:
    written = await write_order(requests.sessions, [Sold("spanish-a1", 10001)])
    [place] = written.place_ids
    await set_place(requests.sessions, place, enrolled_at=now())
    wish = a_wish(place)
    answer = await requests.request_refund(wish)
    assert answer.status is RefundRequestStatus.IN_REVIEW
    assert answer.grounds == (RefundGround.WITHIN_WINDOW, RefundGround.ABOVE_LIMIT)
    assert answer.decide_by is not None
    assert answer.decide_by.weekday() < 5
    for status in (RefundRequestStatus.REJECTED, RefundRequestStatus.APPROVED):  # only the first decision counts
        settle = SettleReview(request_id=wish.wish.request_id, status=status, actor="staff:7", workflow_id="refund-1")
        await requests.settle_review(settle)
    async with requests.sessions() as session:
        request = await session.get_one(RefundRequest, wish.wish.request_id)
    assert (request.status, request.decided_by) == ("rejected", "staff:7")


async def test_a_second_refund_within_a_year_is_for_a_person(requests: RefundRequestActivities) -> None:
    for expected in (RefundRequestStatus.APPROVED, RefundRequestStatus.IN_REVIEW):
        code = "spanish-a1" if expected is RefundRequestStatus.APPROVED else "french-a2"
        written = await write_order(requests.sessions, [Sold(code, 4900)])
        await set_place(requests.sessions, written.place_ids[0], enrolled_at=now())
        answer = await requests.request_refund(a_wish(written.place_ids[0]))
        assert answer.status is expected
    assert RefundGround.REFUNDED_BEFORE in answer.grounds


# ---- lessons ----


async def test_a_lesson_is_recorded_once_and_corrected_by_staff_alone(requests: RefundRequestActivities) -> None:
    sessions = requests.sessions
    enrollment_id = await a_place(sessions)
    [first, _] = await lessons_of(sessions, "photography")
    told = held(enrollment_id, first)
    assert isinstance(await record(sessions, told), LessonRecord)
    assert isinstance(await record(sessions, told), LessonRecord)
    other = replace(told, outcome=LessonOutcome.TUTOR_NO_SHOW)
    refused = await record(sessions, other)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.LESSON_ALREADY_RECORDED
    corrected = await record(sessions, replace(other, may_correct=True, actor="staff:7"))
    assert isinstance(corrected, LessonRecord)
    assert (corrected.outcome, corrected.recorded_by) == (LessonOutcome.TUTOR_NO_SHOW, "staff:7")
    async with sessions() as session:
        assert (await session.execute(select(func.count()).select_from(LessonRecord))).scalar_one() == 1


async def a_pack(sessions: Sessions) -> tuple[UUID, UUID]:
    """A place in a pack and its booked hour, an hour ago."""
    written = await write_order(sessions, [Sold("piano-pack", 22500)])
    query = select(LessonSlot).where(col(LessonSlot.course_id) == sample_id("course", "piano-pack")).limit(1)
    async with sessions.begin() as session:
        slot = (await session.execute(query)).scalar_one()
        length = slot.ends_at - slot.starts_at
        slot.status, slot.order_line_id = SlotStatus.BOOKED, written.line_ids[0]
        slot.student_id = sample_id("person", "grace")
        slot.starts_at = now() - length
        slot.ends_at = now()
    await set_place(sessions, written.place_ids[0], refund_policy=RefundPolicy.FIRST_LESSON)
    return written.place_ids[0], slot.id


@pytest.mark.parametrize(
    ("outcome", "status", "used", "no_shows"),
    [
        (LessonOutcome.COMPLETED, SlotStatus.COMPLETED, 1, 0),
        (LessonOutcome.STUDENT_NO_SHOW, SlotStatus.COMPLETED, 1, 0),
        (LessonOutcome.TUTOR_NO_SHOW, SlotStatus.FREE, 0, 1),
        (LessonOutcome.CANCELED, SlotStatus.FREE, 0, 0),
    ],
)
async def test_a_booked_hour_is_used_up_or_free_again(
    requests: RefundRequestActivities, outcome: LessonOutcome, status: SlotStatus, used: int, no_shows: int
) -> None:
    enrollment_id, slot_id = await a_pack(requests.sessions)
    assert isinstance(await record(requests.sessions, held(enrollment_id, slot_id, outcome)), LessonRecord)
    async with requests.sessions() as session:
        assert (await session.get_one(LessonSlot, slot_id)).status == status
        found = await enrollment_to_refund(session, enrollment_id)
    assert found is not None
    assert found.facts.lesson_count == 5
    assert [lesson.outcome for lesson in found.facts.lessons] == [outcome]


async def test_an_hour_that_nobody_spoke_about_is_told_with_its_end(requests: RefundRequestActivities) -> None:
    enrollment_id, slot_id = await a_pack(requests.sessions)
    async with requests.sessions() as session:
        slot = await session.get_one(LessonSlot, slot_id)
        found = await enrollment_to_refund(session, enrollment_id)
    assert found is not None
    assert [(lesson.outcome, lesson.ends_at) for lesson in found.facts.lessons] == [(None, slot.ends_at)]


async def test_nothing_becomes_of_a_lesson_to_come_or_of_another_place(requests: RefundRequestActivities) -> None:
    sessions = requests.sessions
    enrollment_id, slot_id = await a_pack(sessions)
    async with sessions.begin() as session:
        slot = await session.get_one(LessonSlot, slot_id)
        slot.starts_at, slot.ends_at = (
            now() + (slot.ends_at - slot.starts_at),
            now() + 2 * (slot.ends_at - slot.starts_at),
        )
    [elsewhere, _] = await lessons_of(sessions, "photography")
    for lesson_id, reason in ((slot_id, Reason.LESSON_NOT_BEGUN), (elsewhere, Reason.NOT_FOUND)):
        refused = await record(sessions, held(enrollment_id, lesson_id))
        assert isinstance(refused, Refused)
        assert refused.reason is reason
    assert isinstance(await record(sessions, held(enrollment_id, slot_id, LessonOutcome.CANCELED)), LessonRecord)
    await set_place(sessions, enrollment_id, status=EnrollmentStatus.CANCELED)
    refused = await record(sessions, held(enrollment_id, uuid4()))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.ENROLLMENT_NOT_ACTIVE
