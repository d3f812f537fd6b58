"""Links in mails about carts: what they show, what they refuse, and that looking changes nothing."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, update
from sqlmodel import col
from temporalio.client import Client, WorkflowUpdateFailedError

from activities.cart_links import no_thanks_token, recovery_token
from activities.database import Sessions
from activities.translations import languages
from api import create_app
from models.errors import Reason, refusal
from models.identifiers import cart_coupon_id, cart_order_id
from models.messages.orders import OrderRequest
from models.tables import AuditEntry, Cart, CartLine, Coupon, Course, Enrollment, Order, OrderLine, Payment, Person
from models.tables.columns import now
from models.vocabulary import CartStatus, CouponKind, EnrollmentStatus, PaymentStatus, RefundPolicy
from rules.cart import LINK_VALID_FOR, LOST_AFTER
from settings import Settings
from tests.api.carts_on_record import TakingTemporal, write_academy, write_cart, write_cart_order
from tests.api.orders_on_record import School, write_order, write_school

SECRET = "a-link-secret-of-at-least-thirty-two-bytes"
LANGUAGES = ["en", "de", "pl", "ar", "zh"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"link_secret": SecretStr(SECRET), "stripe_api_base": "http://127.0.0.1:12111"})


@pytest.fixture
async def school(sessions: Sessions) -> School:
    await write_academy(sessions)
    return await write_school(sessions)


@pytest.fixture
def recorder(sessions: Sessions) -> TakingTemporal:
    """Places orders as the workflow's step does; takes `clear` without a word, as a run that does nothing yet."""
    recorder = TakingTemporal()

    async def work(asked: object) -> object:
        if isinstance(asked, OrderRequest):
            await write_cart_order(sessions, asked, f"https://checkout.stripe.test/{asked.order_id}")
        return None

    recorder.work = work
    return recorder


def recovery(cart_id: UUID) -> str:
    return f"/v1/carts/recover/{recovery_token(SECRET, cart_id, 1, now())}"


def no_thanks(cart_id: UUID) -> str:
    return f"/v1/carts/no-thanks/{no_thanks_token(SECRET, cart_id, 1, now())}"


def said_in(language: str) -> dict[str, str]:
    folder = Path(__file__).parents[2] / "templates" / "pages" / "locales"
    texts: dict[str, str] = json.loads((folder / f"{language}.json").read_text(encoding="utf-8"))
    return texts


def seen(page: httpx.Response) -> str:
    [value] = re.findall(r'name="seen" value="([^"]*)"', page.text)
    return str(value)


async def rows(sessions: Sessions) -> dict[str, int]:
    async with sessions() as session:
        return {
            table.__name__: (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (Cart, CartLine, Order, AuditEntry)
        }


async def change(sessions: Sessions, cart_id: UUID, **values: object) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Cart).where(col(Cart.id) == cart_id).values(**values))


async def test_the_recovery_page_shows_the_courses_and_changes_nothing_but_the_click(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    before = await rows(sessions)
    address = recovery(cart_id)
    head = await client.head(address)
    async with sessions() as session:
        assert (head.status_code, head.content) == (200, b"")
        assert (await session.get_one(Cart, cart_id)).clicked_at is None
    for early in ({"Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}):
        assert (await client.get(address, headers=early)).status_code == 200
    async with sessions() as session:
        assert (await session.get_one(Cart, cart_id)).clicked_at is None
    page = await client.get(address)
    assert page.status_code == 200
    assert "Course" in page.text
    assert "€50.00" in page.text
    assert f'action="{address}"' in page.text
    assert "anna" not in page.text.replace(address, "")
    assert await rows(sessions) == before
    assert recorder.updates == recorder.signals == recorder.started == []
    async with sessions() as session:
        assert (await session.get_one(Cart, cart_id)).clicked_at is not None


async def test_the_page_is_safe_and_its_form_may_lead_to_stripe(
    client: httpx.AsyncClient, sessions: Sessions, school: School
) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Course).values(title='<script>alert("1")</script>'))
    cart_id = await write_cart(sessions, school.anna, school.course)
    page = await client.get(recovery(cart_id))
    assert "<script>" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "form-action 'self' https: http://127.0.0.1:12111;" in policy
    assert "default-src 'none'" in policy
    assert (page.headers["Cache-Control"], page.headers["Referrer-Policy"]) == ("no-store", "no-referrer")


async def test_one_order_however_often_the_button_is_clicked(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    address = recovery(cart_id)
    form = {"seen": seen(await client.get(address))}
    for _ in range(2):
        sent_on = await client.post(address, data=form)
        assert sent_on.status_code == 303, sent_on.text
        assert sent_on.headers["Location"] == f"https://checkout.stripe.test/{cart_order_id(cart_id, 1)}"
    assert len(recorder.updates) == 1
    async with sessions() as session:
        [order] = (await session.execute(select(Order))).scalars()
    assert (order.id, order.payer_id) == (cart_order_id(cart_id, 1), school.anna)
    # Who comes back sees the order that is waiting, though its place is taken now, by this very order.
    page = await client.get(address)
    assert "€50.00" in page.text
    assert "Go to payment" in page.text


async def test_an_unpaid_order_of_this_cart_is_not_in_its_own_way(
    client: httpx.AsyncClient, sessions: Sessions, school: School
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    await client.post(recovery(cart_id))
    async with sessions.begin() as session:
        line = (await session.execute(select(OrderLine))).scalar_one()
        session.add(
            Enrollment(
                order_line_id=line.id,
                course_id=school.course,
                student_id=school.anna,
                status=EnrollmentStatus.PENDING_PAYMENT,
                refund_policy=RefundPolicy.WINDOW,
            )
        )
        await session.execute(update(Course).where(col(Course.id) == school.course).values(capacity=3, seats_taken=3))
    # A change after the order: what it offers now is not what was ordered.
    await change(sessions, cart_id, changed_at=now() + timedelta(seconds=1))
    page = await client.get(recovery(cart_id))
    assert "Go to payment" in page.text
    assert "You have this course already" not in page.text
    assert "Not available" not in page.text


async def test_a_price_that_changed_is_told_and_asked_again(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course, price=4000)
    address = recovery(cart_id)
    page = await client.get(address)
    assert "€50.00" in page.text
    assert "It was <bdi>€40.00</bdi> when you left." in page.text
    async with sessions.begin() as session:
        await session.execute(update(Course).where(col(Course.id) == school.course).values(price_amount=6000))
    shown_again = await client.post(address, data={"seen": seen(page)})
    assert shown_again.status_code == 409
    assert "Something has changed" in shown_again.text
    assert "€60.00" in shown_again.text
    assert recorder.updates == []
    assert (await client.post(address, data={"seen": seen(shown_again)})).status_code == 303


async def test_a_price_of_another_currency_is_not_compared(
    client: httpx.AsyncClient, sessions: Sessions, school: School
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course, price=4000, currency="USD")
    assert "when you left" not in (await client.get(recovery(cart_id))).text


async def test_the_page_never_leads_to_a_payment_of_another_price(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    address = recovery(cart_id)
    await client.post(address)
    placed = len(recorder.updates)
    async with sessions.begin() as session:
        await session.execute(update(Course).where(col(Course.id) == school.course).values(price_amount=4000))
    page = await client.get(address)
    assert "€40.00" in page.text
    await client.post(address, data={"seen": seen(page)})
    assert len(recorder.updates) == placed + 1
    assert recorder.signals == [(f"order-{cart_order_id(cart_id, 1)}", "cancel")]


async def test_an_order_in_other_hands_has_nothing_to_pay(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    address = recovery(cart_id)
    await client.post(address)
    async with sessions.begin() as session:
        await session.execute(update(Payment).values(status=PaymentStatus.PROCESSING))
    for page in (await client.get(address), await client.post(address)):
        assert "Your order is placed" in page.text
        assert "<form" not in page.text
    async with sessions.begin() as session:
        other = Course(
            code="O",
            title="Other",
            category="c",
            kind="self_paced",
            status="published",
            price_amount=900,
            currency="EUR",
        )
        session.add(other)
        await session.flush()
        session.add(CartLine(cart_id=cart_id, course_id=other.id, position=2))
    page = await client.get(address)
    assert "An order of this cart is being worked on" in page.text
    assert "<form" not in page.text
    refused = await client.post(address)
    assert (refused.status_code, "is being worked on" in refused.text) == (409, True)
    assert recorder.signals == []


async def test_a_course_that_needs_a_meeting_says_so(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    async with sessions.begin() as session:
        await session.execute(update(Course).values(preliminary_meeting_required=True))
    for page in (await client.get(recovery(cart_id)), await client.post(recovery(cart_id))):
        assert "The tutor has to meet you" in page.text
        assert "Something has changed" not in page.text
        assert "<form" not in page.text
    assert recorder.updates == []


async def test_a_refused_payment_is_no_change(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    recorder.failures = [WorkflowUpdateFailedError(refusal(Reason.AMOUNT_TOO_SMALL, "Too small."))]
    refused = await client.post(recovery(cart_id))
    assert (refused.status_code, "cannot be ordered here" in refused.text) == (422, True)
    assert "Something has changed" not in refused.text


async def test_what_is_gone_is_left_out(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.pack, school.course)
    page = await client.get(recovery(cart_id))
    assert "choose the lesson hours" in page.text
    assert "left out" in page.text
    assert (await client.post(recovery(cart_id), data={"seen": seen(page)})).status_code == 303
    [(_, _)] = recorder.updates
    async with sessions() as session:
        assert (await session.execute(select(col(OrderLine.course_id)))).scalars().all() == [school.course]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"capacity": 3}, "Not available any more"),
        ({"status": "retired"}, "Not available any more"),
        ({"enrollment_closes_at": now() - timedelta(days=1)}, "Not available any more"),
    ],
)
async def test_a_cart_of_which_nothing_is_left_has_no_button(
    client: httpx.AsyncClient,
    sessions: Sessions,
    school: School,
    recorder: TakingTemporal,
    values: dict[str, object],
    told: str,
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    async with sessions.begin() as session:
        await session.execute(update(Course).where(col(Course.id) == school.course).values(**values))
    page = await client.get(recovery(cart_id))
    assert page.status_code == 200
    assert told in page.text
    assert "<form" not in page.text
    assert (await client.post(recovery(cart_id))).status_code == 409
    assert recorder.updates == []


async def test_the_coupon_of_the_last_mail_is_taken_off(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course, coupon_code="GONE")
    async with sessions.begin() as session:
        session.add_all(
            Coupon(
                id=coupon_id,
                code=code,
                kind=CouponKind.PERCENT_AMOUNT,
                percent=percent,
                usage_limit=1,
                allowed_emails=emails,
            )
            for coupon_id, code, percent, emails in (
                (cart_coupon_id(cart_id), "BACK-7Q", 10, ["anna@example.org"]),
                (uuid4(), "GONE", 50, ["boris@example.org"]),
            )
        )
    page = await client.get(recovery(cart_id))
    assert "BACK-7Q" in page.text
    assert "€45.00" in page.text
    await client.post(recovery(cart_id), data={"seen": seen(page)})
    [(workflow_id, _)] = recorder.updates
    assert workflow_id == f"order-{cart_order_id(cart_id, 1)}"


async def test_while_no_worker_answers_one_may_try_again(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    recorder.work = None
    page = await client.post(recovery(cart_id))
    assert page.status_code == 503
    assert page.headers["Retry-After"]
    assert "Try again" in page.text


@pytest.mark.parametrize("kind", [recovery, no_thanks])
async def test_links_that_are_not_good(
    client: httpx.AsyncClient, sessions: Sessions, school: School, kind: Callable[[UUID], str]
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    good, make = kind(cart_id), recovery_token if kind is recovery else no_thanks_token
    folder = good.rsplit("/", 1)[0]
    other = no_thanks(cart_id) if kind is recovery else recovery(cart_id)
    header, body, signature = good.rsplit("/", 1)[1].split(".")
    bad = {
        "nonsense": "x",
        "another purpose": other.rsplit("/", 1)[1],
        "another secret": make("b" * 32, cart_id, 1, now()),
        "no such cart": make(SECRET, uuid4(), 1, now()),
        "changed": f"{header}.{body[:-2]}AA.{signature}",
        "cut": f"{header}.{body}.{signature[:-3]}",
        "unsigned": f"{header}.{body}.",
    }
    pages = {name: await client.get(f"{folder}/{token}") for name, token in bad.items()}
    assert {name: page.status_code for name, page in pages.items()} == dict.fromkeys(bad, 404)
    assert len({page.text for page in pages.values()}) == 1
    for token in bad.values():
        assert (await client.post(f"{folder}/{token}")).status_code == 404
    good_for = LINK_VALID_FOR if kind is recovery else LOST_AFTER
    old = make(SECRET, cart_id, 1, now() - good_for - timedelta(seconds=1))
    expired = await client.get(f"{folder}/{old}", headers={"Accept-Language": "fr, de-AT;q=0.9, en"})
    assert (expired.status_code, 'lang="de"' in expired.text) == (410, True)
    assert "abgelaufen" in expired.text
    assert (await client.post(f"{folder}/{old}")).status_code == 410
    assert (await client.get(f"{folder}/{make(SECRET, cart_id, 1, now() - timedelta(hours=71))}")).status_code == 200


async def test_a_link_of_a_cart_that_was_bought_or_cleared_is_used_up(
    client: httpx.AsyncClient, sessions: Sessions, school: School
) -> None:
    order_id = await write_order(sessions, school, school.anna, 1, paid=True)
    bought = await write_cart(sessions, school.anna, school.course, status=CartStatus.RECOVERED, order_id=order_id)
    cleared = await write_cart(sessions, school.anna, status=CartStatus.CLEARED)
    for cart_id in (bought, cleared):
        for answer in (await client.get(recovery(cart_id)), await client.post(recovery(cart_id))):
            assert (answer.status_code, "nothing left to do" in answer.text) == (410, True)
    assert (await client.post(no_thanks(bought))).status_code == 410
    assert (await client.post(no_thanks(cleared))).status_code == 200


async def test_without_a_secret_no_link_is_good(
    settings: Settings, sessions: Sessions, recorder: TakingTemporal, school: School
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    bare = settings.model_copy(update={"link_secret": None})
    app = create_app(bare, temporal=cast(Client, recorder), sessions=sessions)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://registrar.test") as client:
        assert (await client.get(recovery(cart_id))).status_code == 404


@pytest.mark.parametrize("is_anybody_there", [True, False])
async def test_no_thanks_deletes_what_is_in_the_cart_before_the_answer(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: TakingTemporal, is_anybody_there: bool
) -> None:
    if not is_anybody_there:
        recorder.work = None
    cart_id = await write_cart(sessions, school.anna, school.course)
    address = no_thanks(cart_id)
    assert (await client.head(address)).status_code == 200
    question = await client.get(address)
    assert f'<form method="post" action="{address}">' in question.text
    assert "form-action 'self'" in question.headers["Content-Security-Policy"]
    async with sessions() as session:
        assert (await session.get_one(Cart, cart_id)).status == CartStatus.ABANDONED
    for _ in range(2):
        answer = await client.post(address)
        assert (answer.status_code, "The cart is deleted." in answer.text) == (200, True)
    assert recorder.updates == [(f"cart-{cart_id}", "clear")]
    async with sessions() as session:
        cart = await session.get_one(Cart, cart_id)
        assert (cart.status, cart.status_reason) == (CartStatus.CLEARED, "no_thanks")
        assert cart.erased_at is not None
        assert (await session.execute(select(CartLine))).all() == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_pages_speak_the_persons_language(
    client: httpx.AsyncClient, sessions: Sessions, school: School, language: str
) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Person).values(locale=language))
    cart_id = await write_cart(sessions, school.anna, school.course, price=4000)
    texts = said_in(language)
    direction = "rtl" if language == "ar" else "ltr"
    for address, subject in ((recovery(cart_id), "recovery"), (no_thanks(cart_id), "no_thanks")):
        page = await client.get(address)
        assert f'<html lang="{language}" dir="{direction}">' in page.text
        assert texts[f"{subject}.heading"] in page.text


def test_every_language_says_the_same() -> None:
    assert languages("pages") == set(LANGUAGES)
    told = {language: said_in(language) for language in LANGUAGES}
    placeholders = {
        language: {key: sorted(re.findall(r"{(\w+)}", text)) for key, text in texts.items()}
        for language, texts in told.items()
    }
    assert all(each == placeholders["en"] for each in placeholders.values())
    assert all(text.strip() for texts in told.values() for text in texts.values())
