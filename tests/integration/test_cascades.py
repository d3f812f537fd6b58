"""Cascades on the record: begun once, in as many statements whatever the number of places, previewed as they happen."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.cascade_preview import preview_cascade
from activities.cascades import CascadeActivities
from activities.orders import OrderActivities
from activities.refund_requests import RefundRequestActivities
from models.identifiers import cascade_request_id_for
from models.messages.cascades import BeginCascade, CascadePage, CascadeWish, LookAtPlaces, MarkCascade
from models.messages.refunds import RefundTerms, RefundWish, RequestRefund
from models.tables import AuditEntry, Cascade, CascadePlace, Course, Enrollment, LessonRecord, LessonSlot, Order
from models.vocabulary import (
    CascadeKind,
    CascadeStatus,
    CourseStatus,
    EnrollmentStatus,
    LessonOutcome,
    OrderStatus,
    RefundCause,
    RefundShare,
    SlotStatus,
)
from sandbox.sample_academy import sample_id
from tests.integration.many_places import PRICE, set_places, write_places
from tests.integration.test_refund_requests import lessons_of

PHOTOGRAPHY = sample_id("course", "photography")


@pytest.fixture
def cascades(orders: OrderActivities) -> CascadeActivities:
    return CascadeActivities(orders.sessions)


def a_step(kind: CascadeKind = CascadeKind.COURSE_REMOVED, **gone: UUID) -> BeginCascade:
    cascade_id = uuid4()
    wish = CascadeWish(cascade_id=cascade_id, kind=kind, actor="admin:7", **(gone or {"course_id": PHOTOGRAPHY}))
    return BeginCascade(wish=wish, workflow_id=f"cascade-{cascade_id}")


@contextmanager
def counted_statements(engine: AsyncEngine) -> Iterator[list[str]]:
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


async def test_it_begins_once_and_takes_the_course_off_sale(cascades: CascadeActivities) -> None:
    sessions = cascades.sessions
    _, places = await write_places(sessions, 6)
    await set_places(sessions, places[:1], EnrollmentStatus.SUSPENDED)
    await set_places(sessions, places[1:2], EnrollmentStatus.COMPLETED)
    await set_places(sessions, places[2:3], EnrollmentStatus.CANCELED)
    step = a_step()
    begun = await cascades.begin_cascade(step)
    assert (begun.total, begun.left) == (4, 4)
    assert await cascades.begin_cascade(step) == begun
    async with sessions() as session:
        assert (await session.get_one(Course, PHOTOGRAPHY)).status == CourseStatus.RETIRED
        assert (await session.execute(select(func.count()).select_from(CascadePlace))).scalar_one() == 4
        audited = select(func.count()).where(col(AuditEntry.subject_kind).in_(("cascade", "course")))
        assert (await session.execute(audited)).scalar_one() == 2
    page = await cascades.taken_places(CascadePage(cascade_id=step.wish.cascade_id))
    assert set(page.ids) == {places[0], *places[3:]}


async def test_as_many_statements_for_many_places_as_for_one(cascades: CascadeActivities, engine: AsyncEngine) -> None:
    said: list[int] = []
    for count in (1, 400):
        await write_places(cascades.sessions, count, "spanish-a1" if count == 1 else "photography")
        course_id = sample_id("course", "spanish-a1" if count == 1 else "photography")
        with counted_statements(engine) as statements:
            assert (await cascades.begin_cascade(a_step(course_id=course_id))).total == count
        said.append(len(statements))
    assert said[0] == said[1] < 12


@pytest.mark.parametrize(
    ("kind", "status"),
    [(CascadeKind.TUTOR_BANNED, CourseStatus.RETIRED), (CascadeKind.TUTOR_SUSPENDED, CourseStatus.DRAFT)],
)
async def test_a_tutor_takes_all_courses_and_free_hours_along(
    cascades: CascadeActivities, kind: CascadeKind, status: CourseStatus
) -> None:
    async with cascades.sessions() as session:
        pack = await session.get_one(Course, sample_id("course", "piano-pack"))
    assert pack.tutor_id is not None
    step = a_step(kind, tutor_id=pack.tutor_id)
    assert (await cascades.begin_cascade(step)).total == 0
    async with cascades.sessions() as session:
        assert (await session.get_one(Course, pack.id)).status == status
        slots = set(
            (
                await session.execute(select(col(LessonSlot.status)).where(LessonSlot.tutor_id == pack.tutor_id))
            ).scalars()
        )  # type: ignore[arg-type]
    assert slots == {SlotStatus.CANCELED}
    marked = MarkCascade(
        cascade_id=step.wish.cascade_id, status=CascadeStatus.DONE, actor="admin:7", workflow_id=step.workflow_id
    )
    for _ in range(2):
        await cascades.mark_cascade(marked)
    async with cascades.sessions() as session:
        cascade = await session.get_one(Cascade, step.wish.cascade_id)
    assert (cascade.status, cascade.ended_at is None) == (CascadeStatus.DONE, False)


async def test_an_order_that_can_still_be_paid_is_found_also_a_moment_later(cascades: CascadeActivities) -> None:
    sessions, step = cascades.sessions, a_step()
    await cascades.begin_cascade(step)
    order_id, places = await write_places(sessions, 2)
    await set_places(sessions, places, EnrollmentStatus.PENDING_PAYMENT)
    async with sessions.begin() as session:
        open_again = {"status": OrderStatus.PENDING_PAYMENT, "completed_at": None}
        await session.execute(update(Order).where(col(Order.id) == order_id).values(**open_again))
    page = CascadePage(cascade_id=step.wish.cascade_id)
    assert (await cascades.open_orders(page)).ids == (order_id,)
    assert (await cascades.count_cascade(page)).left == 2
    assert (await cascades.taken_places(page)).ids == ()


@pytest.mark.parametrize("share", [RefundShare.PRO_RATA, RefundShare.FULL])
async def test_the_preview_is_what_happens(cascades: CascadeActivities, share: RefundShare) -> None:
    sessions, chance = cascades.sessions, random.Random("a preview")  # noqa: S311
    _, places = await write_places(sessions, 40)
    lessons = await lessons_of(sessions, "photography")
    records = [
        {"enrollment_id": place, "lesson_id": lesson, "outcome": chance.choice(list(LessonOutcome)),
         "recorded_by": "tutor:7"}
        for place in places for lesson in lessons[: chance.randint(0, len(lessons))]
    ]  # fmt: skip
    async with sessions.begin() as session:
        await session.execute(insert(LessonRecord), records)
    await set_places(sessions, places[:5], EnrollmentStatus.SUSPENDED)
    async with sessions() as session:
        preview = await preview_cascade(session, None, PHOTOGRAPHY, share)
        assert (await session.execute(select(func.count()).select_from(Cascade))).scalar_one() == 0
    assert preview.places == {"active": 35, "suspended": 5}
    requests, step = RefundRequestActivities(sessions), a_step()
    await cascades.begin_cascade(step)
    granted = 0
    for place in places:
        wish = RefundWish(
            request_id=cascade_request_id_for(step.wish.cascade_id, place), enrollment_id=place,
            cause=RefundCause.COURSE_REMOVED, actor="admin:7", terms=RefundTerms(share=share),
            cascade_id=step.wish.cascade_id,
        )  # fmt: skip
        answer = await requests.request_refund(RequestRefund(wish=wish, workflow_id=f"refund-{place}"))
        assert answer.amount is not None
        granted += answer.amount.amount
    assert preview.amounts == {"EUR": granted}
    assert (granted == 40 * PRICE) is (share is RefundShare.FULL)


async def test_a_place_is_settled_once_it_is_over(cascades: CascadeActivities) -> None:
    _, places = await write_places(cascades.sessions, 3)
    await set_places(cascades.sessions, places[:1], EnrollmentStatus.CANCELED)
    assert (await cascades.settled_places(LookAtPlaces(enrollment_ids=tuple(places)))).ids == (places[0],)
    async with cascades.sessions() as session:
        assert (await session.get_one(Enrollment, places[1])).status == EnrollmentStatus.ACTIVE
