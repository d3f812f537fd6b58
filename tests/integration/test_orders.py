"""The order in PostgreSQL once it is placed: completed once, repeated without harm, or released."""

import asyncio

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.database import Sessions
from activities.orders import OrderActivities
from models.errors import IllegalTransitionError
from models.tables import AuditEntry, Course, Document, Enrollment, Payment
from tests.fresh_record import load_academy
from tests.integration.order_steps import (
    STUDENTS,
    completing,
    course,
    line,
    placing,
    releasing,
    seats_add_up,
    statements_of,
)


@pytest.fixture
async def orders(sessions: Sessions) -> OrderActivities:
    await load_academy(sessions)
    return OrderActivities(sessions)


async def test_completing_twice_gives_one_receipt_and_the_same_answer(
    orders: OrderActivities, sessions: Sessions
) -> None:
    step = placing(line("python-cohort"), line("python-cohort", STUDENTS[1]))
    placed = await orders.place_order(step)
    answers = await asyncio.gather(*(orders.complete_order(completing(step, placed)) for _ in range(5)))
    assert len({(answer.receipt_id, frozenset(answer.enrollment_ids)) for answer in answers}) == 1
    assert len(answers[0].enrollment_ids) == 2
    async with sessions() as session:
        payment = (await session.execute(select(Payment))).scalar_one()
        assert (payment.status, payment.captured_amount, payment.checkout_url) == ("succeeded", 158000, None)
        enrollments = (await session.execute(select(Enrollment))).scalars().all()
        starts = (
            await session.execute(select(col(Course.starts_at)).where(col(Course.id) == course("python-cohort")))
        ).scalar_one()
        assert starts is not None
        assert {row.status for row in enrollments} == {"active"}
        assert all(row.access_ends_at is not None and (row.access_ends_at - starts).days == 365 for row in enrollments)
        assert (await session.execute(select(func.count()).select_from(Document))).scalar_one() == 1
        steps = (
            await session.execute(
                select(col(AuditEntry.from_state), col(AuditEntry.to_state))
                .where(col(AuditEntry.subject_kind) == "order")
                .order_by(col(AuditEntry.created_at))
            )
        ).all()
        assert [tuple(change) for change in steps] == [(None, "pending_payment"), ("pending_payment", "completed")]
    # Its job was reset, and wants to give the seats back.
    assert await orders.release_order(releasing(step)) == "completed"
    await seats_add_up(sessions)


async def test_a_released_order_is_never_completed(orders: OrderActivities, sessions: Sessions) -> None:
    step = placing(line("thesis-seminar"))
    placed = await orders.place_order(step)
    await orders.release_order(releasing(step))
    with pytest.raises(IllegalTransitionError):
        await orders.complete_order(completing(step, placed))
    await seats_add_up(sessions)
    again = placing(line("thesis-seminar", STUDENTS[2]), payer=STUDENTS[2])
    assert (await orders.place_order(again)).refusal is None


async def test_the_audit_log_cannot_be_rewritten(orders: OrderActivities, sessions: Sessions) -> None:
    await orders.place_order(placing(line("spanish-a1")))
    for statement in ("UPDATE audit_log SET actor = 'nobody'", "DELETE FROM audit_log"):
        with pytest.raises(DBAPIError, match="written once"):
            async with sessions.begin() as session:
                await session.execute(text(statement))


@pytest.mark.parametrize("size", [1, 6])
async def test_the_statements_of_completing_do_not_grow_with_the_lines(
    orders: OrderActivities, engine: AsyncEngine, size: int
) -> None:
    step = placing(*(line("python-cohort", student) for student in STUDENTS[:size]))
    placed = await orders.place_order(step)
    with statements_of(engine) as sent:
        await orders.complete_order(completing(step, placed))
    assert len(sent) == 12
