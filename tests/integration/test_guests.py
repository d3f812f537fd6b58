"""Guests: forgotten with their last cart, and the same person when they return."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.carts import CartActivities
from activities.database import Sessions
from activities.guests import guest_person, keep_account
from activities.orders import OrderActivities
from activities.subscriptions import standing_of, token_of, withdraw
from models.errors import Reason
from models.tables import Cart, Coupon, Mail, Person
from models.vocabulary import CartStatus, ConsentSource, MailList, MailStatus, MailTemplate
from tests.integration.cart_steps import (
    Clock,
    abandon,
    abandoned,
    agree,
    change,
    check,
    configure,
    end,
    fill,
    lines_of,
    set_clock,
)
from tests.integration.order_steps import LUKASZ, completing, line, placing

pytestmark = pytest.mark.usefixtures("unasked")

KEY = "of digests"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch)


@pytest.fixture
async def carts(orders: OrderActivities, clock: Clock) -> CartActivities:
    """The steps of carts, at noon."""
    return CartActivities(orders.sessions)


async def a_guest(
    sessions: Sessions, email: str = "Gast@guests.test", *, zone: str | None = "Asia/Tokyo", secret: str | None = KEY
) -> UUID:
    async with sessions.begin() as session:
        return await guest_person(
            session, email, full_name="Gerda Gast", locale="de", time_zone=zone, secret=secret
        )  # fmt: skip


async def the_person(sessions: Sessions, person_id: UUID) -> Person:
    async with sessions() as session:
        return await session.get_one(Person, person_id)


@pytest.mark.parametrize("status", [CartStatus.LOST, CartStatus.CLEARED])
async def test_no_personal_word_of_a_guest_is_left(
    carts: CartActivities, sessions: Sessions, engine: AsyncEngine, status: CartStatus
) -> None:
    guest = await a_guest(sessions)
    await agree(sessions, guest)
    await configure(sessions, coupon_percent=10)
    cart_id = await abandoned(carts, whose=guest)
    assert (await check(carts, cart_id, 3)).skipped is None
    await end(carts, cart_id, status, "no_thanks")
    async with engine.connect() as connection:
        for table in (Person, Cart, Coupon):
            rows = (await connection.execute(select(table))).all()
            assert not [row for row in rows if "gerda" in str(row).lower() or "gast@" in str(row).lower()]
    assert (await change(carts, cart_id, "spanish-a1", whose=guest)).refusal is Reason.UNKNOWN_PERSON
    assert await a_guest(sessions) == guest
    assert (await change(carts, cart_id, "spanish-a1", whose=guest)).refusal is Reason.CART_OVER
    assert (await change(carts, uuid4(), "spanish-a1", whose=guest)).status is CartStatus.OPEN


async def test_what_a_forgotten_guest_has_said_holds_when_they_return(
    carts: CartActivities, sessions: Sessions
) -> None:
    guest, refusing = await a_guest(sessions), await a_guest(sessions, "no@guests.test", secret=None)
    async with sessions.begin() as session:
        token = await token_of(session, guest, MailList.CART)
        for person_id in (guest, refusing):
            await withdraw(session, person_id, MailList.LEARNING, source=ConsentSource.ACCOUNT, actor="service:p")
        session.add(
            Mail(
                recipient_id=guest, template=MailTemplate.CART_REMINDER, subject_id=uuid4(), occasion="1",
                status=MailStatus.BOUNCED, workflow_id="w", list=MailList.CART,
            )
        )  # fmt: skip
    for person_id in (guest, refusing):
        await end(carts, await abandoned(carts, whose=person_id))
        assert (await the_person(sessions, person_id)).full_name == "erased"
    assert await a_guest(sessions, "GAST@guests.test") == guest
    assert await a_guest(sessions, "NO@guests.test") == refusing
    for person_id in (guest, refusing):
        assert (await the_person(sessions, person_id)).full_name == "Gerda Gast"
    async with sessions.begin() as session:
        assert await token_of(session, guest, MailList.CART) == token
        assert (await standing_of(session, guest, MailList.CART)).bounced
        assert (await standing_of(session, guest, MailList.LEARNING)).withdrawn


async def test_without_the_key_a_forgotten_guest_is_a_stranger(carts: CartActivities, sessions: Sessions) -> None:
    for secret, other in ((None, None), (KEY, "rotated")):
        email = f"{other}@guests.test"
        guest = await a_guest(sessions, email, secret=secret)
        await end(carts, await abandoned(carts, whose=guest))
        assert await a_guest(sessions, email, secret=other) != guest


async def test_a_forgotten_guest_who_has_an_account_now_is_the_account(
    carts: CartActivities, sessions: Sessions
) -> None:
    guest = await a_guest(sessions)
    await end(carts, await abandoned(carts, whose=guest))
    account = Person(email="gast@Guests.test", full_name="Gerda Gast")
    async with sessions.begin() as session:
        session.add(account)
    assert await a_guest(sessions) == account.id


async def test_a_corrected_address_is_nobody_elses(sessions: Sessions) -> None:
    guest = await a_guest(sessions)
    async with sessions.begin() as session:
        await session.execute(update(Person).where(col(Person.id) == guest).values(email="gerda@guests.test"))
    assert await a_guest(sessions, "gerda@guests.test") == guest
    assert await a_guest(sessions) != guest


async def test_an_emptied_cart_of_a_guest_may_be_filled_again_and_forgets_them_when_it_is_lost(
    carts: CartActivities, sessions: Sessions
) -> None:
    guest = await a_guest(sessions)
    await agree(sessions, guest)
    cart_id = await fill(carts, whose=guest)
    assert (await change(carts, cart_id, whose=guest)).status is CartStatus.OPEN
    assert await lines_of(sessions, cart_id) == []
    assert (await change(carts, cart_id, "french-a2", whose=guest)).status is CartStatus.OPEN
    assert (await the_person(sessions, guest)).full_name == "Gerda Gast"
    await change(carts, cart_id, whose=guest)
    assert (await abandon(carts, cart_id)).status is CartStatus.ABANDONED
    assert (await check(carts, cart_id)).skipped == "cleared"
    await end(carts, cart_id)
    assert (await the_person(sessions, guest)).full_name == "erased"


async def test_a_guest_is_found_again_and_an_account_is_never_changed(
    carts: CartActivities, sessions: Sessions
) -> None:
    same = await asyncio.gather(*(a_guest(sessions, spelled) for spelled in ("a@guests.test", "A@Guests.test") * 5))
    assert len(set(same)) == 1
    before = await the_person(sessions, LUKASZ)
    assert await a_guest(sessions, before.email.upper()) == LUKASZ
    after = await the_person(sessions, LUKASZ)
    assert (after.full_name, after.is_guest, after.updated_at) == (before.full_name, False, before.updated_at)


@pytest.mark.parametrize("email", ["İpek@guests.test", "ΝΙΚΟΣ@guests.test"])
async def test_letters_whose_lower_case_is_disputed(carts: CartActivities, sessions: Sessions, email: str) -> None:
    guest = await a_guest(sessions, email)
    assert await a_guest(sessions, email) == guest
    await end(carts, await abandoned(carts, whose=guest))
    assert await a_guest(sessions, email) == guest


async def test_a_guest_without_a_zone_has_the_academys(sessions: Sessions) -> None:
    assert (await the_person(sessions, await a_guest(sessions, zone=None))).time_zone == "Europe/Berlin"


async def test_whoever_comes_with_a_token_is_no_guest_any_more(carts: CartActivities, sessions: Sessions) -> None:
    guest, gone = await a_guest(sessions), await a_guest(sessions, "gone@guests.test")
    await end(carts, await abandoned(carts, whose=gone))
    async with sessions.begin() as session:
        for person_id in (guest, gone):
            await keep_account(session, person_id)
    assert (await change(carts, uuid4(), "spanish-a1", whose=gone)).refusal is Reason.UNKNOWN_PERSON
    cart_id = await fill(carts, whose=guest)
    assert (await change(carts, cart_id, whose=guest)).status is CartStatus.CLEARED
    await end(carts, await abandoned(carts, whose=guest))
    assert (await the_person(sessions, guest)).email == "Gast@guests.test"


async def test_a_guest_who_bought_or_has_a_newer_cart_stays_known(
    carts: CartActivities, orders: OrderActivities, sessions: Sessions
) -> None:
    buyer, keen = await a_guest(sessions, "buyer@guests.test"), await a_guest(sessions, "keen@guests.test")
    step = placing(line("photography", buyer), payer=buyer)
    await orders.complete_order(completing(step, await orders.place_order(step)))
    await end(carts, await abandoned(carts, whose=buyer))
    assert (await the_person(sessions, buyer)).email == "buyer@guests.test"
    older = await abandoned(carts, whose=keen)
    assert (await change(carts, uuid4(), "french-a2", whose=keen)).superseded == (older,)
    assert (await the_person(sessions, keen)).email == "keen@guests.test"
