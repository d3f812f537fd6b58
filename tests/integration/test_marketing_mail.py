"""Marketing mail in the ledger: held up, dropped, and looked at once more in the transaction that hands it over."""

import asyncio
import random
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import col
from temporalio.exceptions import ApplicationError

from activities.cart_record import buy_carts
from activities.carts import CartActivities
from activities.database import Sessions
from activities.files import FileStore
from activities.mail import MailActivities, SmtpSettings
from activities.mail_ledger import MailLedger
from activities.marketing_mail import HeldUp, held_up
from activities.orders import OrderActivities
from activities.subscriptions import token_of, unsubscribe
from models.messages.mail import MailReport
from models.tables import Cart, Mail, Order, Person
from models.vocabulary import CartStatus, ConsentMode, ConsentSource, MailList, MailStatus, MailTemplate
from sandbox.mailbox import Faults, Mailbox
from tests.eventually import eventually
from tests.integration.cart_steps import (
    Clock,
    abandon,
    abandoned,
    agree,
    cart_of,
    change,
    configure,
    end,
    mails_of,
    remind,
    reminder,
    set_clock,
    write_plain_letters,
)
from tests.integration.order_steps import (
    LUKASZ,
    completing,
    enroll,
    line,
    newcomers,
    person,
    placing,
    statements_of,
)

pytestmark = pytest.mark.usefixtures("unasked")

LIST = MailList.CART


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    write_plain_letters(monkeypatch)
    return set_clock(monkeypatch)


@pytest.fixture
async def carts(orders: OrderActivities, clock: Clock) -> CartActivities:
    return CartActivities(orders.sessions)


@pytest.fixture
def mails(carts: CartActivities, mailbox: Mailbox, tmp_path: Path) -> MailActivities:
    smtp = SmtpSettings.from_url(mailbox.smtp_url, "TutorHub Academy <academy@registrar.test>", "registrar.test")
    return MailActivities(carts.sessions, FileStore((tmp_path / "files").as_uri()), smtp, None)


@pytest.fixture
async def wanted(carts: CartActivities) -> UUID:
    """An abandoned cart of somebody who wants to be reminded."""
    await agree(carts.sessions)
    return await abandoned(carts)


async def had(sessions: Sessions, *moments: datetime, whose: UUID = LUKASZ) -> None:
    """Marketing mail of other jobs that the person has got."""
    async with sessions.begin() as session:
        session.add_all(
            Mail(
                recipient_id=whose, template=MailTemplate.CART_REMINDER, subject_id=uuid4(), occasion="1",
                status=MailStatus.SENT, workflow_id="drip", list=MailList.LEARNING, handed_over_at=at, sent_at=at,
            )
            for at in moments
        )  # fmt: skip


async def the_mail(sessions: Sessions, cart_id: UUID) -> Mail:
    async with sessions() as session:
        return (await session.execute(select(Mail).where(col(Mail.subject_id) == cart_id))).scalar_one()


async def test_a_reminder_arrives_once_and_is_counted(
    mails: MailActivities, mailbox: Mailbox, sessions: Sessions, wanted: UUID, clock: Clock
) -> None:
    report = await remind(mails, wanted)
    assert report.status is MailStatus.SENT
    assert await remind(mails, wanted) == report
    assert len(mailbox.messages()) == 1
    cart, mail = await cart_of(sessions, wanted), await the_mail(sessions, wanted)
    assert (cart.reminders, cart.reminded_at) == (1, clock.moment)
    assert (mail.list, mail.handed_over_at, mail.deferred_until) == ("cart", clock.moment, None)


async def test_who_has_had_one_waits_and_then_gets_it(
    mails: MailActivities, mailbox: Mailbox, sessions: Sessions, wanted: UUID, clock: Clock
) -> None:
    await had(sessions, clock.moment - timedelta(hours=15))
    free = clock.moment + timedelta(hours=1)
    for _ in range(2):
        report = await remind(mails, wanted)
        assert (report.status, report.reason, report.deferred_until) == (MailStatus.QUEUED, "capped", free)
    mail = await the_mail(sessions, wanted)
    assert (mail.deferred_until, mail.deferred_reason, mail.status_reason) == (free, "capped", None)
    assert mailbox.messages() == []
    clock.goes_on(hours=1)
    assert (await remind(mails, wanted)).status is MailStatus.SENT
    assert (await the_mail(sessions, wanted)).deferred_until is None


async def test_nobody_is_woken_in_their_own_zone(
    mails: MailActivities, sessions: Sessions, carts: CartActivities, wanted: UUID, clock: Clock
) -> None:
    haruka = person("haruka")
    await agree(sessions, haruka)
    cart_id = await abandoned(carts, whose=haruka)
    report = await remind(mails, cart_id, to=haruka)
    assert (report.reason, report.deferred_until) == ("quiet_hours", clock.moment + timedelta(hours=11))
    async with sessions.begin() as session:
        await session.execute(update(Person).values(time_zone="Atlantis/Capital"))
    assert (await remind(mails, cart_id, to=haruka)).status is MailStatus.SENT


async def test_what_would_be_a_day_late_is_dropped(
    mails: MailActivities, mailbox: Mailbox, sessions: Sessions, wanted: UUID, clock: Clock
) -> None:
    await had(sessions, *(clock.moment - timedelta(days=days) for days in (1, 3, 5)))
    report = await remind(mails, wanted)
    assert (report.status, report.reason, report.deferred_until) == (MailStatus.SKIPPED, "capped", None)
    assert await remind(mails, wanted) == report
    assert (await cart_of(sessions, wanted)).reminders == 1
    assert mailbox.messages() == []


async def test_a_mail_that_was_put_off_is_dropped_a_day_after_it_was_wanted(
    mails: MailActivities, sessions: Sessions, wanted: UUID, clock: Clock
) -> None:
    await had(sessions, clock.moment - timedelta(hours=1))
    assert (await remind(mails, wanted)).deferred_until is not None
    clock.goes_on(hours=20)
    await had(sessions, clock.moment - timedelta(hours=2))
    report = await remind(mails, wanted)
    assert (report.status, report.reason) == (MailStatus.SKIPPED, "capped")


async def test_three_jobs_at_once_one_mail_now(
    mails: MailActivities, mailbox: Mailbox, sessions: Sessions, carts: CartActivities, wanted: UUID, clock: Clock
) -> None:
    reports = await asyncio.gather(*(remind(mails, wanted, number) for number in (1, 2, 3)))
    assert sorted(report.status for report in reports) == ["queued", "queued", "sent"]
    assert {report.deferred_until for report in reports} > {None}
    assert len(mailbox.messages()) == 1


@pytest.mark.parametrize("mode", [ConsentMode.SOFT_OPT_IN, ConsentMode.OPT_IN, ConsentMode.OFF])
async def test_consent_by_mode(
    mails: MailActivities, orders: OrderActivities, sessions: Sessions, carts: CartActivities, clock: Clock,
    mode: ConsentMode,
) -> None:  # fmt: skip
    grace = person("grace")
    await configure(sessions, consent_mode=mode)
    await enroll(sessions, orders, "photography")
    clock.goes_on(days=2)
    customer, stranger = await abandoned(carts), await abandoned(carts, whose=grace)
    clock.goes_on(hours=4)
    got = [(await remind(mails, customer)).reason, (await remind(mails, stranger, to=grace)).reason]
    no = "no_consent"
    assert got == {"opt_in": [no, no], "soft_opt_in": [None, no], "off": [None, None]}[mode.value]


@pytest.mark.parametrize("what", ["bought", "unsubscribed", "cleared", "active_again", "sold_out"])
async def test_what_happens_between_the_letter_and_its_claim_stops_it(
    mails: MailActivities, mailbox: Mailbox, orders: OrderActivities, sessions: Sessions, carts: CartActivities,
    wanted: UUID, monkeypatch: pytest.MonkeyPatch, what: str,
) -> None:  # fmt: skip
    """The first look has passed, the server has taken sender and recipient."""
    hand_over = MailLedger.hand_over

    async def something_happens(ledger: MailLedger, mail_id: UUID) -> datetime | MailReport | None:
        match what:
            case "bought":
                await enroll(sessions, orders, "photography")
            case "unsubscribed":
                async with sessions.begin() as session:
                    token = await token_of(session, LUKASZ, LIST)
                    await unsubscribe(session, token, source=ConsentSource.ONE_CLICK)
            case "cleared":
                await end(carts, wanted)
            case "active_again":
                await change(carts, wanted, "spanish-a1")
            case "sold_out":
                async with sessions.begin() as session:
                    await session.execute(text("UPDATE courses SET status = 'retired'"))
        return await hand_over(ledger, mail_id)

    monkeypatch.setattr(MailLedger, "hand_over", something_happens)
    if what in ("cleared", "active_again"):
        # Whoever ended the cart has ended its mails, too.
        with pytest.raises(ApplicationError, match="another attempt"):
            await remind(mails, wanted)
    report = await remind(mails, wanted)
    assert (report.status, report.reason) == (MailStatus.SKIPPED, what)
    assert mailbox.messages() == []
    assert (await cart_of(sessions, wanted)).reminders == 1


async def test_a_server_that_is_busy_takes_nothing_back_from_the_person(
    mails: MailActivities, mailbox: Mailbox, sessions: Sessions, wanted: UUID
) -> None:
    mailbox.faults = Faults(reply_to_data="451 4.3.0 try later", times=1)
    with pytest.raises(ApplicationError):
        await remind(mails, wanted)
    cart = await cart_of(sessions, wanted)
    assert (cart.reminders, cart.reminded_at) == (0, None)
    assert (await remind(mails, wanted)).status is MailStatus.SENT
    assert len(mailbox.messages()) == 1


async def test_a_waiting_mail_ends_with_its_cart(
    mails: MailActivities, sessions: Sessions, carts: CartActivities, wanted: UUID, clock: Clock
) -> None:
    await had(sessions, clock.moment - timedelta(hours=15))
    await remind(mails, wanted)
    await change(carts, wanted, "french-a2")
    assert await mails_of(sessions, wanted) == [("1", "skipped", "active_again")]
    assert (await abandon(carts, wanted)).first_reminder == 2


async def test_a_transactional_mail_is_neither_counted_nor_held_up(
    mails: MailActivities, sessions: Sessions, wanted: UUID, clock: Clock, engine: AsyncEngine
) -> None:
    request = reminder(uuid4()).model_copy(update={"template": MailTemplate.ORDER_CONFIRMATION})
    clock.goes_on(hours=11)
    with statements_of(engine) as sent:
        assert (await mails.send_mail(request)).status is MailStatus.SENT
    # Queued and audited; handed over; read with a lock, ended and audited.
    assert len(sent) == 6
    async with sessions() as session:
        [mail] = (await session.execute(select(Mail))).scalars()
        assert mail.list is None
    clock.goes_on(hours=11)
    assert (await remind(mails, wanted)).status is MailStatus.SENT


async def test_the_statements_of_a_reminder_do_not_grow_with_what_was_had(
    mails: MailActivities, sessions: Sessions, carts: CartActivities, wanted: UUID, clock: Clock, engine: AsyncEngine
) -> None:
    with statements_of(engine) as first:
        await remind(mails, wanted)
    clock.goes_on(days=7)
    await had(sessions, *(clock.moment - timedelta(days=8 + days) for days in range(20)))
    with statements_of(engine) as second:
        assert (await remind(mails, wanted, 2)).status is MailStatus.SENT
    assert len(first) == len(second)


async def _waits_for_a_lock(engine: AsyncEngine) -> None:
    async def somebody_waits() -> bool:
        async with engine.connect() as connection:
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool((await connection.execute(waiting)).scalar_one())

    await eventually(somebody_waits)


@pytest.mark.parametrize("rival", ["purchase", "unsubscribing", "no_thanks"])
async def test_nothing_is_committed_between_the_last_look_and_the_claim(
    mails: MailActivities, orders: OrderActivities, sessions: Sessions, carts: CartActivities, wanted: UUID,
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, rival: str,
) -> None:  # fmt: skip
    step = placing(line("photography"))
    paid = completing(step, await orders.place_order(step))
    ledger = MailLedger(sessions, LIST)
    queued = await ledger.open(reminder(wanted))
    rivals: list[asyncio.Task[None]] = []

    async def stop() -> None:
        if rival == "purchase":
            await orders.complete_order(paid)
        elif rival == "no_thanks":
            await end(carts, wanted, CartStatus.CLEARED, "no_thanks")
        else:
            async with sessions.begin() as session:
                await unsubscribe(session, await token_of(session, LUKASZ, LIST), source=ConsentSource.ONE_CLICK)

    async def look_slowly(session: AsyncSession, mail: Mail, moment: datetime) -> HeldUp | None:
        found = await held_up(session, mail, moment)
        rivals.append(asyncio.create_task(stop()))
        await _waits_for_a_lock(engine)
        assert not rivals[0].done()
        return found

    monkeypatch.setattr("activities.mail_ledger.held_up", look_slowly)
    assert isinstance(await ledger.hand_over(queued.mail_id), datetime)
    await rivals[0]


async def test_a_claim_waits_for_the_purchase_that_is_being_written(
    mails: MailActivities, orders: OrderActivities, sessions: Sessions, wanted: UUID, engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    step = placing(line("photography"))
    paid = completing(step, await orders.place_order(step))
    ledger = MailLedger(sessions, LIST)
    queued = await ledger.open(reminder(wanted))
    claims: list[asyncio.Task[datetime | MailReport | None]] = []

    async def buy_slowly(session: AsyncSession, order: Order, *, workflow_id: str, moment: datetime) -> list[UUID]:
        claims.append(asyncio.create_task(ledger.hand_over(queued.mail_id)))
        await _waits_for_a_lock(engine)
        return await buy_carts(session, order, workflow_id=workflow_id, moment=moment)

    monkeypatch.setattr("activities.completing.buy_carts", buy_slowly)
    await orders.complete_order(paid)
    claimed = await claims[0]
    assert isinstance(claimed, MailReport)
    assert (claimed.status, claimed.reason) == (MailStatus.SKIPPED, "bought")


@pytest.mark.parametrize(("rival", "races"), [("purchase", 40), ("unsubscribing", 20)])
async def test_no_mail_is_claimed_after_what_stops_it_was_committed(
    mails: MailActivities, orders: OrderActivities, sessions: Sessions, carts: CartActivities, rival: str, races: int
) -> None:
    """Races on real connections: a claim that begins after the commit gives no mail, whichever way the two met."""
    people, chance = await newcomers(sessions, races), random.Random(6)  # noqa: S311 - no secret
    await agree(sessions, *people)
    sent = 0

    async def race(person_id: UUID) -> None:
        nonlocal sent
        cart_id = await abandoned(carts, whose=person_id)
        ledger = MailLedger(sessions, LIST)
        queued = await ledger.open(reminder(cart_id, to=person_id))
        step = placing(line("photography", person_id), payer=person_id)
        paid = completing(step, await orders.place_order(step)) if rival == "purchase" else None
        async with sessions.begin() as session:
            token = await token_of(session, person_id, LIST)
        committed = asyncio.Event()

        async def stop() -> None:
            await asyncio.sleep(chance.random() / 100)
            if paid is not None:
                await orders.complete_order(paid)
            else:
                async with sessions.begin() as session:
                    await unsubscribe(session, token, source=ConsentSource.ONE_CLICK)
            committed.set()

        async def claim() -> tuple[bool, datetime | MailReport | None]:
            await asyncio.sleep(chance.random() / 100)
            was_over = committed.is_set()
            return was_over, await ledger.hand_over(queued.mail_id)

        _, (was_over, claimed) = await asyncio.gather(stop(), claim())
        assert claimed is not None
        sent += isinstance(claimed, datetime)
        if was_over:
            assert isinstance(claimed, MailReport)

    for start in range(0, races, 10):
        await asyncio.gather(*(race(person_id) for person_id in people[start : start + 10]))
    # Both sides have won: else there was no race.
    assert 0 < sent < races


async def test_fifty_purchases_and_sends_at_once_never_block_each_other(
    mails: MailActivities, orders: OrderActivities, sessions: Sessions, carts: CartActivities
) -> None:
    """Parents buy for children who have carts themselves, in opposite directions."""
    people = await newcomers(sessions, 50)
    await agree(sessions, *people)
    ids = [await abandoned(carts, whose=person_id) for person_id in people]
    paid = []
    for index, payer in enumerate(people):
        child = people[index - 1] if index % 2 else people[(index + 1) % 50]
        step = placing(line("photography", child), payer=payer)
        paid.append(completing(step, await orders.place_order(step)))
    ledger = MailLedger(sessions, LIST)
    queued = [await ledger.open(reminder(cart, to=person_id)) for cart, person_id in zip(ids, people, strict=True)]
    done = await asyncio.gather(
        *(orders.complete_order(each) for each in paid), *(ledger.hand_over(each.mail_id) for each in queued)
    )
    assert len(done) == 100
    async with sessions() as session:
        assert set((await session.execute(select(col(Cart.status)))).scalars()) == {"ordered"}
        assert set((await session.execute(select(col(Order.status)))).scalars()) == {"completed"}
