"""What abandoned carts were worth and what came back, counted by hand."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col

from activities.database import Sessions
from models.identifiers import new_id
from models.tables import Mail, Order, Person
from models.vocabulary import CartStatus, MailStatus, MailTemplate, Role
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.carts_on_record import write_academy, write_cart
from tests.api.orders_on_record import School, write_order, write_school

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
ADDRESS = "/v1/carts/report?from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z"


@pytest.fixture
async def school(sessions: Sessions) -> School:
    await write_academy(sessions)
    return await write_school(sessions)


async def somebody(sessions: Sessions) -> UUID:
    person = Person(email=f"{new_id()}@example.org", full_name="Somebody")
    async with sessions.begin() as session:
        session.add(person)
    return person.id


async def left(sessions: Sessions, status: CartStatus, at: datetime, amount: int, **more: object) -> UUID:
    return await write_cart(sessions, await somebody(sessions), status=status, at=at, total_amount=amount, **more)


async def mail(sessions: Sessions, cart_id: UUID, number: int, status: MailStatus, reason: str | None) -> None:
    async with sessions.begin() as session:
        session.add(
            Mail(
                recipient_id=await somebody(sessions),
                template=MailTemplate.CART_REMINDER,
                subject_id=cart_id,
                occasion=str(number),
                status=status,
                status_reason=reason,
                sent_at=MARCH if status is MailStatus.SENT else None,
                workflow_id=f"cart-{cart_id}",
            )
        )


async def test_carts_are_counted_by_when_they_were_abandoned(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1, paid=True)
    test_order = await write_order(sessions, school, school.boris, 2, paid=True)
    async with sessions.begin() as session:
        await session.execute(update(Order).where(col(Order.id) == test_order).values(is_test=True))
    first = await left(sessions, CartStatus.ABANDONED, MARCH, 5000)
    lost = await left(sessions, CartStatus.LOST, APRIL - timedelta(seconds=1), 2500)
    await left(sessions, CartStatus.RECOVERED, MARCH + timedelta(days=3), 13000, order_id=order_id)
    await left(sessions, CartStatus.ORDERED, MARCH + timedelta(days=3), 700, order_id=order_id)
    await left(sessions, CartStatus.ABANDONED, MARCH + timedelta(days=5), 9000, currency="JPY")
    outside = [
        await left(sessions, CartStatus.ABANDONED, MARCH - timedelta(seconds=1), 1),
        await left(sessions, CartStatus.ABANDONED, APRIL, 1),
        await left(sessions, CartStatus.OPEN, MARCH + timedelta(days=1), 1),
        await left(sessions, CartStatus.RECOVERED, MARCH + timedelta(days=1), 1, order_id=test_order),
    ]
    await mail(sessions, first, 1, MailStatus.SENT, None)
    await mail(sessions, first, 2, MailStatus.SKIPPED, "sold_out")
    await mail(sessions, lost, 1, MailStatus.SKIPPED, "no_consent")
    await mail(sessions, lost, 2, MailStatus.SKIPPED, "no_consent")
    for cart_id in outside:
        await mail(sessions, cart_id, 1, MailStatus.SKIPPED, "capped")
    report = (await client.get(ADDRESS, headers=as_staff(settings))).raise_for_status().json()
    assert report["totals"] == [
        {
            "currency": "EUR",
            "recoverable_count": 4,
            "recoverable_amount": 21200,
            "recoverable": "€212.00",
            "recovered_count": 1,
            # What was paid, not what was in the cart.
            "recovered_amount": 14000,
            "recovered": "€140.00",
        },
        {
            "currency": "JPY",
            "recoverable_count": 1,
            "recoverable_amount": 9000,
            "recoverable": "¥9,000",
            "recovered_count": 0,
            "recovered_amount": 0,
            "recovered": "¥0",
        },
    ]
    assert report["mails_sent"] == 1
    assert report["mails_skipped"] == [{"reason": "no_consent", "count": 2}, {"reason": "sold_out", "count": 1}]


async def test_an_order_counts_once_and_a_cart_that_was_replaced_not_at_all(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1, paid=True)
    for amount in (5000, 9000):
        await left(sessions, CartStatus.RECOVERED, MARCH, amount, order_id=order_id)
    await left(sessions, CartStatus.CLEARED, MARCH, 700, status_reason="superseded")
    await left(sessions, CartStatus.CLEARED, MARCH, 70, status_reason="no_thanks")
    [euros] = (await client.get(ADDRESS, headers=as_staff(settings))).raise_for_status().json()["totals"]
    assert (euros["recoverable_count"], euros["recoverable_amount"]) == (3, 14070)
    assert (euros["recovered_count"], euros["recovered_amount"]) == (1, 14000)


async def test_a_month_back_from_now_unless_said(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    await write_cart(sessions, school.anna, school.course)
    report = (await client.get("/v1/carts/report", headers=as_(settings, "platform", Role.SERVICE))).json()
    begins, ends = (datetime.fromisoformat(report[name]) for name in ("begins_at", "ends_at"))
    assert ends - begins == timedelta(days=30)
    assert report["totals"][0]["recoverable_count"] == 1


async def test_who_may_read_it_and_what_may_be_asked(client: httpx.AsyncClient, settings: Settings) -> None:
    student = await client.get(ADDRESS, headers=as_student(settings, new_id()))
    assert student.json()["reason"] == "role_not_allowed"
    for query in ("from=2026-04-01T00:00:00Z&to=2026-03-01T00:00:00Z", "from=yesterday", "since=2026-03-01T00:00:00Z"):
        answer = await client.get(f"/v1/carts/report?{query}", headers=as_staff(settings))
        assert answer.json()["reason"] == "invalid_request"
    assert (await client.get(ADDRESS, headers=as_staff(settings))).json()["totals"] == []
