"""The dates of an order, read from the record: of places that stand, each once, in two statements."""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.calendar import calendar_file, entries_of_order
from activities.database import Sessions
from activities.orders import OrderActivities
from models.tables import ClassSession, Course, Order
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus
from tests.integration.letter_steps import GRACE, complete, order, pay_back
from tests.integration.order_steps import LUKASZ, STUDENTS, course, enrollments_of, line, slots_of, statements_of


async def test_a_calendar_is_the_same_bytes_each_time_and_read_in_two_statements(
    orders: OrderActivities, sessions: Sessions, engine: AsyncEngine
) -> None:
    few = await complete(orders, await order(orders, line("python-cohort", GRACE)))
    bundle = line("language-bundle", LUKASZ)
    async with sessions.begin() as session:
        await session.execute(
            update(Course).where(col(Course.code) == "python-cohort").values(currency="EUR", capacity=None)
        )
    many = await complete(
        orders, await order(orders, bundle, *(line("python-cohort", who) for who in STUDENTS if who != GRACE))
    )
    counts = []
    for order_id in (few, many):
        async with sessions() as session:
            with statements_of(engine) as sent:
                entries = await entries_of_order(session, order_id)
            counts.append(len(sent))
            assert len(entries) == 8, "one of each session, however many students go there"
            assert calendar_file(entries, "x.test") == calendar_file(
                await entries_of_order(session, order_id), "x.test"
            )
    assert counts == [2, 2]


async def test_dates_are_those_of_places_that_stand(orders: OrderActivities, sessions: Sessions) -> None:
    slots = [slot.id for slot in (await slots_of(sessions, "piano-pack"))[::3][:5]]
    step = await order(orders, line("piano-pack", LUKASZ, *slots), line("company-workshop", GRACE))
    async with sessions() as session:
        assert await entries_of_order(session, step.request.order_id) == [], "held is not booked"
    order_id = await complete(orders, step)
    async with sessions() as session:
        entries = await entries_of_order(session, order_id)
        assert {entry.title for entry in entries} == {
            "Piano with Maya: five lessons (Łukasz Żółciński)", "Data literacy for teams, one day: Workshop",
        }  # fmt: skip
    piano, workshop = await enrollments_of(sessions, step)
    await pay_back(sessions, step, piano.id)
    async with sessions() as session:
        assert len(await entries_of_order(session, order_id)) == 1
        await session.execute(update(Order).values(completed_at=entries[-1].ends_at + timedelta(days=90)))
        assert await entries_of_order(session, order_id) == [], "over before the order was completed"
    assert workshop.status == EnrollmentStatus.ACTIVE
    async with sessions() as session:
        assert await entries_of_order(session, uuid4()) == []


async def test_the_sessions_of_a_bundles_course_are_dates_too(orders: OrderActivities, sessions: Sessions) -> None:
    starts_at = now() + timedelta(days=3)
    evening = ClassSession(
        course_id=course("french-a2"), title="Evening", starts_at=starts_at, ends_at=starts_at + timedelta(hours=2)
    )
    async with sessions.begin() as session:
        session.add(evening)
    order_id = await complete(orders, await order(orders, line("language-bundle", GRACE)))
    async with sessions() as session:
        [entry] = await entries_of_order(session, order_id)
        [completed_at] = (await session.execute(select(col(Order.completed_at)))).scalars()
    assert (entry.source_id, entry.title) == (evening.id, "French A2: telling a story: Evening")
    assert (entry.starts_at, entry.ends_at, entry.location) == (evening.starts_at, evening.ends_at, None)
    assert (entry.academy, entry.confirmed_at) == ("TutorHub Academy", completed_at)
