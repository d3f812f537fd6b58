"""Placing what has conditions: a tutor's pack, payment by invoice, a course with an approver."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.database import Sessions
from activities.orders import OrderActivities
from models.errors import Reason
from models.messages.orders import GrantApproval
from models.money import Money
from models.tables import (
    Document,
    Invoice,
    Payment,
)
from models.tables.columns import now
from models.vocabulary import PaymentMethod
from rules.holds import APPROVAL_HOLD, PACK_HOLD
from rules.invoicing import cancelled_at, due_day
from tests.integration.order_steps import (
    LUKASZ,
    add_slots,
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


# ---- tutors' packs ----


@pytest.mark.parametrize(("key", "may"), [("grace", True), ("layla", False), ("haruka", False), ("lukasz", False)])
async def test_the_latest_decision_of_the_tutor_lets_in(
    orders: OrderActivities, engine: AsyncEngine, sessions: Sessions, key: str, may: bool
) -> None:
    student = person(key)
    slots = [slot.id for slot in (await slots_of(sessions, "violin-pack"))[:4]]
    step = placing(line("violin-pack", student, *slots), payer=student)
    if may:
        placed = await orders.place_order(step)
        assert placed.hold_expires_at is not None
        assert placed.hold_expires_at - now() > PACK_HOLD - timedelta(minutes=1)
    else:
        await refuses(orders, engine, step, Reason.SCREENING_REQUIRED)


@pytest.mark.parametrize(
    ("code", "chosen", "changes", "reason"),
    [
        ("piano-pack", (0, 1, 2, 3, 4), {"max_daily_lessons": 1}, Reason.TOO_MANY_LESSONS_A_DAY),
        ("violin-pack", (0, 2, 4, 8), {}, Reason.TOO_FEW_LESSONS_A_WEEK),
        ("violin-pack", (0, 2, 4, 8), {"min_weekly_classes": None}, Reason.LESSONS_TOO_FAR_APART),
    ],
)
async def test_the_pace_of_a_pack_is_kept(
    orders: OrderActivities,
    engine: AsyncEngine,
    sessions: Sessions,
    code: str,
    chosen: tuple[int, ...],
    changes: dict[str, object],
    reason: Reason,
) -> None:
    slots = await slots_of(sessions, code)
    if changes:
        await set_course(sessions, code, **changes)
    step = placing(line(code, GRACE, *(slots[index].id for index in chosen)), payer=GRACE)
    await refuses(orders, engine, step, reason)


async def test_the_days_of_a_pack_are_the_academys(orders: OrderActivities, sessions: Sessions) -> None:
    await set_course(sessions, "violin-pack", lessons_included=2)
    evening = (datetime.now(BERLIN) + timedelta(days=9)).replace(hour=23, minute=30)
    late, early = await add_slots(sessions, "violin-pack", evening, evening + timedelta(hours=1))
    assert evening.astimezone(UTC).date() == (evening + timedelta(hours=1)).astimezone(UTC).date()
    placed = await orders.place_order(placing(line("violin-pack", GRACE, late, early), payer=GRACE))
    assert placed.refusal is None


# ---- invoices ----


async def test_a_trusted_payer_is_billed(orders: OrderActivities, engine: AsyncEngine, sessions: Sessions) -> None:
    step = placing(line("company-workshop", GRACE), payer=COMPANY, method=PaymentMethod.INVOICE)
    placed = await orders.place_order(step)
    assert placed.invoice is not None
    assert (placed.invoice.due_on, placed.invoice.zone) == (due_day(now(), BERLIN), "Europe/Berlin")
    assert placed.hold_expires_at == cancelled_at(placed.invoice.due_on, BERLIN)
    assert await orders.place_order(step) == placed
    written = await rows_written(engine)
    assert (written["invoices"], written["documents"], written["payments"]) == (1, 1, 0)
    async with sessions() as session:
        invoice = (await session.execute(select(Invoice))).scalar_one()
        assert (invoice.amount, invoice.currency, invoice.status) == (240000, "EUR", "open")
        assert invoice.due_on == placed.invoice.due_on
        document = await session.get_one(Document, placed.invoice.document_id)
        assert (document.kind, document.number) == ("invoice", f"I-{datetime.now(BERLIN).year}-000001")
        [place] = await enrollments_of(sessions, step)
        assert place.status == "pending_payment"


async def test_a_test_invoice_counts_in_its_own_series(orders: OrderActivities, sessions: Sessions) -> None:
    step = placing(line("spanish-a1", COMPANY), payer=COMPANY, method=PaymentMethod.INVOICE, is_test=True)
    await orders.place_order(step)
    async with sessions() as session:
        assert (await session.execute(select(col(Document.number)))).scalar_one().startswith("TEST-I-")


@pytest.mark.parametrize("by", ["staff:erika", "admin:root", "service:shop"])
async def test_the_academy_may_grant_an_invoice(orders: OrderActivities, by: str) -> None:
    placed = await orders.place_order(placing(line("spanish-a1"), method=PaymentMethod.INVOICE, by=by))
    assert placed.invoice is not None


@pytest.mark.parametrize("by", [f"student:{LUKASZ}", f"tutor:{LUKASZ}", "system"])
async def test_others_may_not(orders: OrderActivities, engine: AsyncEngine, by: str) -> None:
    step = placing(line("spanish-a1"), method=PaymentMethod.INVOICE, by=by)
    await refuses(orders, engine, step, Reason.INVOICE_NOT_ALLOWED)


async def test_nothing_to_pay_is_not_billed(orders: OrderActivities, engine: AsyncEngine) -> None:
    step = placing(line("study-skills", COMPANY), payer=COMPANY, method=PaymentMethod.INVOICE)
    placed = await orders.place_order(step)
    assert (placed.total, placed.invoice) == (Money(amount=0, currency="EUR"), None)
    written = await rows_written(engine)
    assert (written["invoices"], written["documents"], written["payments"]) == (0, 0, 0)


# ---- approval ----


async def test_one_approver_is_enough_for_the_whole_order_to_wait(orders: OrderActivities, sessions: Sessions) -> None:
    step = placing(line("teacher-training"), line("spanish-a1"))
    placed = await orders.place_order(step)
    assert placed.approver_ids == (person("maya"),)
    assert placed.hold_expires_at is not None
    assert APPROVAL_HOLD - timedelta(minutes=1) < placed.hold_expires_at - now() < APPROVAL_HOLD
    assert [row.status for row in await enrollments_of(sessions, step)] == ["pending_approval"] * 2
    assert await orders.place_order(step) == placed
    await seats_add_up(sessions)
    async with sessions() as session:
        assert (await session.execute(select(col(Payment.amount)))).scalar_one() == 49900


async def test_every_approver_is_asked_once_also_of_a_bundle(orders: OrderActivities, sessions: Sessions) -> None:
    await set_course(sessions, "language-bundle", approver_id=person("maya"))
    await set_course(sessions, "french-a2", approver_id=person("finance"))
    step = placing(line("language-bundle"), line("language-bundle", GRACE))
    placed = await orders.place_order(step)
    assert set(placed.approver_ids) == {person("maya"), person("finance")}
    assert len(placed.approver_ids) == 2
    assert await orders.place_order(step) == placed


async def test_access_that_one_has_needs_no_approval(orders: OrderActivities, sessions: Sessions) -> None:
    await set_course(sessions, "teacher-training", approver_id=None)
    await enroll(sessions, orders, "teacher-training")
    await set_course(sessions, "teacher-training", approver_id=person("maya"))
    placed = await orders.place_order(step := placing(line("teacher-training"), line("spanish-a1")))
    assert placed.approver_ids == ()
    assert await orders.place_order(step) == placed


async def test_an_approver_who_comes_later_does_not_change_the_answer(
    orders: OrderActivities, sessions: Sessions
) -> None:
    placed = await orders.place_order(step := placing(line("spanish-a1")))
    await set_course(sessions, "spanish-a1", approver_id=person("maya"))
    assert await orders.place_order(step) == placed


async def test_the_invoice_waits_for_the_approval_and_is_issued_once(
    orders: OrderActivities, engine: AsyncEngine
) -> None:
    step = placing(line("teacher-training", COMPANY), payer=COMPANY, method=PaymentMethod.INVOICE)
    placed = await orders.place_order(step)
    assert (len(placed.approver_ids), placed.invoice) == (1, None)
    written = await rows_written(engine)
    assert (written["invoices"], written["documents"], written["payments"]) == (0, 0, 0)
    grant = GrantApproval(order_id=step.request.order_id, actor="tutor:maya", workflow_id=step.workflow_id)
    approved = await orders.grant_approval(grant)
    assert approved.invoice is not None
    assert approved.hold_expires_at == cancelled_at(approved.invoice.due_on, BERLIN)
    assert await orders.grant_approval(grant) == approved
    written = await rows_written(engine)
    assert (written["invoices"], written["documents"]) == (1, 1)
    again = await orders.place_order(step)
    assert (again.approver_ids, again.invoice) == (placed.approver_ids, approved.invoice)
