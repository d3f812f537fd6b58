"""The reminder of a cart, from the record to the mailbox: its prices, its links, its headers, its few statements."""

import re
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.cart_coupons import cart_coupon_offer, make_cart_coupon
from activities.cart_letters import CartLetterFacts, facts_of_cart
from activities.cart_links import read_no_thanks_token, read_recovery_token
from activities.cart_pricing import Priced, offer_of
from activities.errand import PublicPages
from activities.files import FileStore
from activities.mail import MailActivities, SmtpSettings
from activities.orders import OrderActivities
from activities.subscriptions import subscribe, token_of
from models.identifiers import cart_coupon_id, cart_order_id
from models.tables import Cart, CartLine, Coupon, Mail, Person
from models.tables.columns import now
from models.vocabulary import CartStatus, ConsentSource, MailList, MailStatus, MailTemplate
from sandbox.cart_scenes import awake_zone
from sandbox.mailbox import Mailbox
from sandbox.maildir import StoredMail
from tests.integration.letter_steps import arrived, send, text_of
from tests.integration.order_steps import course, line, person, placing, set_course, statements_of

SECRET = "a secret of the tests that is long enough"
EMILE, GRACE = person("emile"), person("grace")
PUBLIC = PublicPages("https://registrar.test/back", SECRET)


@pytest.fixture
async def mails(orders: OrderActivities, mailbox: Mailbox, tmp_path: Path) -> MailActivities:
    return MailActivities(
        orders.sessions,
        FileStore((tmp_path / "files").as_uri()),
        SmtpSettings.from_url(mailbox.smtp_url, "TutorHub Academy <academy@registrar.test>", "registrar.test"),
        None,
        public_pages=PUBLIC,
    )


async def left(mails: MailActivities, *codes: str, seen: int = 4900, coupon_code: str | None = None) -> Cart:
    """Émile, awake and taxed as in Germany, has agreed to reminders and left these courses an hour ago."""
    moment = now()
    cart = Cart(
        id=uuid4(), person_id=EMILE, status=CartStatus.ABANDONED, currency="EUR", total_amount=seen * len(codes),
        changed_at=moment - timedelta(hours=2), abandoned_at=moment - timedelta(hours=1), workflow_id="cart-x",
        coupon_code=coupon_code,
    )  # fmt: skip
    async with mails.sessions.begin() as session:
        await session.execute(
            update(Person).where(col(Person.id) == EMILE).values(time_zone=awake_zone(moment), country="DE")
        )
        await subscribe(session, EMILE, MailList.CART, source=ConsentSource.ACCOUNT, actor="system")
        session.add(cart)
        await session.flush()
        for position, code in enumerate(codes):
            session.add(CartLine(cart_id=cart.id, course_id=course(code), position=position, price_amount=seen))
    return cart


async def reminded(mails: MailActivities, mailbox: Mailbox, cart: Cart, occasion: str = "1") -> StoredMail:
    return await arrived(mails, mailbox, MailTemplate.CART_REMINDER, cart.id, to=EMILE, occasion=occasion)


def linked(mail: StoredMail, page: str) -> str:
    """The token in the link to this page."""
    [token] = re.findall(rf"https://registrar\.test/back/v1/{page}/([A-Za-z0-9._-]+)", text_of(mail))
    return str(token)


async def test_it_tells_the_prices_of_now_and_leads_back_out_and_away(mails: MailActivities, mailbox: Mailbox) -> None:
    cart = await left(mails, "spanish-a1", "french-a2")
    mail = await reminded(mails, mailbox, cart)
    told = text_of(mail)
    assert "- Spanish A1" in told
    assert "€59.00 (was €49.00 when you chose it)" in told
    assert "Total: €108.00" in told
    for read, page in ((read_recovery_token, "carts/recover"), (read_no_thanks_token, "carts/no-thanks")):
        link = read(SECRET, linked(mail, page), now())
        assert (link.cart_id, link.number) == (cart.id, 1)
    assert "/v1/carts/recover/" in told
    assert "?utm_source=registrar&utm_medium=email&utm_campaign=cart" in told
    async with mails.sessions() as session:
        assert linked(mail, "unsubscribe") == await token_of(session, EMILE, MailList.CART)


async def test_a_mail_program_finds_how_to_leave_the_list(mails: MailActivities, mailbox: Mailbox) -> None:
    mail = await reminded(mails, mailbox, await left(mails, "spanish-a1"))
    headers = message_from_bytes(mail.message.as_bytes(), policy=default)
    assert headers["List-Unsubscribe"] == f"<https://registrar.test/back/v1/unsubscribe/{linked(mail, 'unsubscribe')}>"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["List-Id"] == "<cart.registrar.test>"


async def test_the_price_is_that_of_an_order_with_the_coupon_of_the_cart(
    mails: MailActivities, mailbox: Mailbox
) -> None:
    told = text_of(await reminded(mails, mailbox, await left(mails, "spanish-a1", coupon_code="WELCOME10")))
    assert "€49.00" in told
    assert "Total: €44.10" in told
    assert "when you chose it" not in told


async def test_an_order_of_the_cart_that_was_not_paid_is_not_in_the_way(
    mails: MailActivities, mailbox: Mailbox, orders: OrderActivities
) -> None:
    cart = await left(mails, "thesis-seminar", seen=12000)
    step = placing(line("thesis-seminar", EMILE), payer=EMILE)
    request = step.request.model_copy(update={"order_id": cart_order_id(cart.id, 1)})
    assert (await orders.place_order(step.model_copy(update={"request": request}))).refusal is None
    await set_course(mails.sessions, "thesis-seminar", capacity=1, seats_taken=1)
    assert "€120.00" in text_of(await reminded(mails, mailbox, cart))


async def test_the_coupon_of_the_last_mail_is_good_for_two_days_from_then(
    mails: MailActivities, mailbox: Mailbox
) -> None:
    cart = await left(mails, "spanish-a1")
    offered = cart_coupon_offer(10)
    async with mails.sessions.begin() as session:
        await make_cart_coupon(session, cart, offered, now() - timedelta(days=1))
        before = await offer_of(session, cart, now())
    assert isinstance(before.whole, Priced)
    assert before.whole.coupon_code is None
    assert offered.code in text_of(await reminded(mails, mailbox, cart, "3"))
    async with mails.sessions() as session:
        [mail] = (await session.execute(select(Mail).where(col(Mail.subject_id) == cart.id))).scalars()
        coupon = await session.get_one(Coupon, cart_coupon_id(cart.id))
        after = await offer_of(session, cart, now())
    assert mail.handed_over_at is not None
    assert coupon.expires_at == mail.handed_over_at + timedelta(hours=48)
    assert isinstance(after.whole, Priced)
    assert (after.whole.coupon_code, after.whole.quote.total_amount) == (offered.code, 4410)


async def test_a_coupon_that_takes_off_no_more_than_the_persons_own_is_not_named(
    mails: MailActivities, mailbox: Mailbox
) -> None:
    cart = await left(mails, "spanish-a1", coupon_code="WELCOME10")
    offered = cart_coupon_offer(10)
    async with mails.sessions.begin() as session:
        await make_cart_coupon(session, cart, offered, now())
    told = text_of(await reminded(mails, mailbox, cart, "3"))
    assert offered.code not in told
    assert "Total: €44.10" in told


async def test_only_its_owner_gets_it(mails: MailActivities, mailbox: Mailbox) -> None:
    cart = await left(mails, "spanish-a1")
    for cart_id, whose in ((cart.id, GRACE), (uuid4(), EMILE)):
        with pytest.raises(Exception, match="nothing of this kind"):
            await send(mails, MailTemplate.CART_REMINDER, cart_id, to=whose, occasion="1")
    assert mailbox.mails() == []


@pytest.mark.parametrize(
    ("codes", "reason"),
    [(("spanish-a1", "python-cohort"), "cannot_be_bought"), (("thesis-seminar",), "sold_out"), ((), "cleared")],
)
async def test_nobody_is_invited_to_buy_what_cannot_be_bought(
    mails: MailActivities, mailbox: Mailbox, codes: tuple[str, ...], reason: str
) -> None:
    cart = await left(mails, *codes)
    await set_course(mails.sessions, "thesis-seminar", seats_taken=1)
    report = await send(mails, MailTemplate.CART_REMINDER, cart.id, to=EMILE, occasion="1")
    assert (report.status, report.reason) == (MailStatus.SKIPPED, reason)
    assert mailbox.mails() == []


async def facts(mails: MailActivities, cart: Cart) -> CartLetterFacts | None:
    async with mails.sessions() as session:
        return await facts_of_cart(session, cart.id, EMILE, now())


async def test_the_facts_take_as_many_statements_however_full_the_cart_is(
    mails: MailActivities, engine: AsyncEngine
) -> None:
    cart = await left(mails, "spanish-a1")
    with statements_of(engine) as few:
        await facts(mails, cart)
    async with mails.sessions.begin() as session:
        for position, code in enumerate(("french-a2", "language-bundle", "photography", "thesis-seminar"), start=1):
            session.add(CartLine(cart_id=cart.id, course_id=course(code), position=position))
    with statements_of(engine) as many:
        found = await facts(mails, cart)
    assert found is not None
    assert len(found.offer.lines) == 5
    assert len(few) == len(many) <= 12
