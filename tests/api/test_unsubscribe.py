"""Saying no to mails: with a mail program's own button, on the page, through the API; and saying yes again."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import cast
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select
from sqlmodel import col

from activities.database import Sessions
from activities.subscriptions import complain, subscribe, token_of
from models.tables import Consent, Subscription
from models.vocabulary import CartStatus, ConsentSource, MailList, Role
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.carts_on_record import write_cart
from tests.api.orders_on_record import School, write_school
from tests.api.recording_temporal import RecordingTemporal, unreachable


@pytest.fixture
async def school(sessions: Sessions) -> School:
    return await write_school(sessions)


async def link_of(sessions: Sessions, person_id: UUID, mail_list: MailList = MailList.CART) -> str:
    async with sessions.begin() as session:
        token = await token_of(session, person_id, mail_list)
    return f"http://registrar.test/v1/unsubscribe/{token}"


async def said(sessions: Sessions) -> list[tuple[bool, str, str | None]]:
    """Every yes and no in the record, the first first."""
    async with sessions() as session:
        rows = (await session.execute(select(Consent).order_by(col(Consent.created_at), col(Consent.id)))).scalars()
        return [(row.is_given, row.source, row.text_version) for row in rows]


async def is_withdrawn(sessions: Sessions, person_id: UUID, mail_list: MailList = MailList.CART) -> bool:
    async with sessions() as session:
        found = await session.get(Subscription, (person_id, mail_list))
    return found is not None and found.withdrawn_at is not None


def mailed(address: str) -> bytes:
    """A mail as it arrives, with the headers of RFC 8058 folded as servers fold them."""
    mail = EmailMessage(policy=default)
    mail["Subject"] = "Your cart"
    mail["To"] = "anna@example.org"
    mail["List-Unsubscribe"] = f"<mailto:unsubscribe@registrar.test>, <{address}>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content("Hello.")
    return mail.as_bytes()


async def click_unsubscribe(client: httpx.AsyncClient, mail: bytes, *, as_multipart: bool = False) -> httpx.Response:
    """What a mail program does when its button is clicked (RFC 8058, 3.2): the POST, without login, cookie, referrer or
    any redirect, of exactly the pair in the header."""
    read = cast(EmailMessage, message_from_bytes(mail, policy=default))
    addresses = re.findall(r"<([^>]+)>", str(read["List-Unsubscribe"]))
    [address] = [each for each in addresses if urlsplit(each).scheme in {"http", "https"}]
    name, _, value = str(read["List-Unsubscribe-Post"]).partition("=")
    if as_multipart:
        return await client.post(address, files={name: (None, value)}, follow_redirects=False)
    return await client.post(
        address,
        content=f"{name}={value}",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        follow_redirects=False,
    )


@pytest.mark.parametrize("as_multipart", [False, True])
async def test_a_mail_programs_one_click(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: RecordingTemporal, as_multipart: bool
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    await write_cart(sessions, school.boris, school.course)
    await write_cart(sessions, school.anna, status=CartStatus.LOST)
    mail = mailed(await link_of(sessions, school.anna))
    for _ in range(3):
        answer = await click_unsubscribe(client, mail, as_multipart=as_multipart)
        assert answer.status_code == 200
        assert not answer.cookies
    assert await is_withdrawn(sessions, school.anna)
    assert not await is_withdrawn(sessions, school.boris)
    assert await said(sessions) == [(False, "one_click", None)]
    assert recorder.signals == [(f"cart-{cart_id}", "unsubscribed")]


async def test_it_counts_though_temporal_is_away(
    client: httpx.AsyncClient, sessions: Sessions, school: School, recorder: RecordingTemporal
) -> None:
    await write_cart(sessions, school.anna, school.course)
    recorder.failure = unreachable()
    answer = await click_unsubscribe(client, mailed(await link_of(sessions, school.anna)))
    assert answer.status_code == 200
    assert await is_withdrawn(sessions, school.anna)


async def test_looking_at_the_link_says_nothing(client: httpx.AsyncClient, sessions: Sessions, school: School) -> None:
    """Mail scanners follow every link, and some fill in no form but send HEAD."""
    address = await link_of(sessions, school.anna)
    for _ in range(2):
        page = await client.get(address)
        assert (page.status_code, (await client.head(address)).status_code) == (200, 200)
        assert f'action="{urlsplit(address).path}"' in page.text
        assert "anna" not in page.text
    assert not await is_withdrawn(sessions, school.anna)
    assert await said(sessions) == []


async def test_the_page_has_a_way_back(client: httpx.AsyncClient, sessions: Sessions, school: School) -> None:
    address = await link_of(sessions, school.anna, MailList.ANNOUNCEMENTS)
    done = await client.post(address)
    assert "You are unsubscribed." in done.text
    assert "Announcements" in done.text
    assert (await client.get(address)).text == done.text
    [back] = re.findall(r'action="([^"]+)"', done.text)
    assert back == f"{urlsplit(address).path}/undo"
    again = await client.post(back)
    assert "You are subscribed again." in again.text
    assert not await is_withdrawn(sessions, school.anna, MailList.ANNOUNCEMENTS)
    # There was no yes before, so there is none now, however often the button is pressed.
    await client.post(back)
    assert await said(sessions) == [(False, "unsubscribe_page", None)]


async def test_the_way_back_restores_the_words_that_were_agreed_to(
    client: httpx.AsyncClient, sessions: Sessions, school: School
) -> None:
    address = await link_of(sessions, school.anna)
    async with sessions.begin() as session:
        await subscribe(
            session, school.anna, MailList.CART, source=ConsentSource.CHECKOUT, text_version="v1", actor="service:p"
        )
    for _ in range(2):
        await client.post(address)
        await client.post(f"{address}/undo")
    yes, no, again = (True, "checkout", "v1"), (False, "unsubscribe_page", None), (True, "unsubscribe_page", "v1")
    assert await said(sessions) == [yes, no, again, no, again]
    assert not await is_withdrawn(sessions, school.anna)


async def test_a_link_undoes_neither_a_complaint_nor_what_was_said_elsewhere(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    for mail_list in (MailList.CART, MailList.LEARNING):
        address = await link_of(sessions, school.anna, mail_list)
        if mail_list is MailList.CART:
            await client.post(address)
            async with sessions.begin() as session:
                await complain(session, school.anna, list_=mail_list, actor="service:p")
        else:
            no = f"/v1/people/{school.anna}/subscriptions/{mail_list}"
            await client.put(no, json={"is_subscribed": False}, headers=as_student(settings, school.anna))
        pages = [await client.get(address), await client.post(address), await client.post(f"{address}/undo")]
        assert all("tell our staff" in page.text and "<form" not in page.text for page in pages)
        assert await is_withdrawn(sessions, school.anna, mail_list)


@pytest.mark.parametrize("sent_as", ["multipart/form-data", "multipart/form-data; boundary=x", "text/plain", "?"])
async def test_no_body_is_refused(client: httpx.AsyncClient, sessions: Sessions, school: School, sent_as: str) -> None:
    address, body = await link_of(sessions, school.anna), b"List-Unsubscribe=One-Click\xff\x00"
    answer = await client.post(address, content=body, headers={"Content-Type": sent_as})
    assert answer.status_code == 200
    assert await said(sessions) == [(False, "one_click", None)]


async def test_unknown_links_tell_nothing(client: httpx.AsyncClient, sessions: Sessions, school: School) -> None:
    good = await link_of(sessions, school.anna)
    bad = ["x", good.rsplit("/", 1)[1][:-1], good.rsplit("/", 1)[1].swapcase(), "a" * 500, "%00"]
    answers = [await client.get(f"/v1/unsubscribe/{token}") for token in bad[:-1]]
    answers += [await client.post(f"/v1/unsubscribe/{token}") for token in bad[:-1]]
    answers += [await client.post(f"/v1/unsubscribe/{token}/undo") for token in bad[:-1]]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert (await client.get("/v1/unsubscribe/%00")).status_code == 404
    assert await said(sessions) == []


async def test_a_yes_and_a_no_through_the_api(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, recorder: RecordingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    address, anna = f"/v1/people/{school.anna}/subscriptions/cart", as_student(settings, school.anna)
    unasked = (await client.get(address, headers=anna)).json()
    assert (unasked["standing"], unasked["since"], unasked["consents"]) == ("unasked", None, [])
    yes = {"is_subscribed": True, "source": "checkout", "text_version": "cart-2026-01"}
    for _ in range(2):
        asked = await client.put(address, json=yes, headers=anna)
        assert (asked.status_code, asked.json()["standing"]) == (200, "subscribed"), asked.text
    assert recorder.signals == []
    no = await client.put(address, json={"is_subscribed": False}, headers=as_staff(settings))
    assert no.json()["standing"] == "unsubscribed"
    assert [each["source"] for each in no.json()["consents"]] == ["account", "checkout"]
    assert await said(sessions) == [(True, "checkout", "cart-2026-01"), (False, "account", None)]
    assert recorder.signals == [(f"cart-{cart_id}", "unsubscribed")]


async def test_a_complaint_ends_it_and_is_reported_by_the_platform(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    async with sessions.begin() as session:
        await subscribe(
            session,
            school.anna,
            MailList.CART,
            source=ConsentSource.CHECKOUT,
            text_version="v1",
            actor=f"student:{school.anna}",
        )
    address = f"/v1/people/{school.anna}/complaints"
    for _ in range(2):
        reported = await client.post(
            address, json={"list": "cart"}, headers=as_(settings, "feedback-loop", Role.SERVICE)
        )
        assert (reported.status_code, reported.json()["standing"]) == (200, "complained"), reported.text
    assert [each[:2] for each in await said(sessions)] == [(True, "checkout"), (False, "complaint")]
    async with sessions.begin() as session:
        await complain(session, school.anna, list_=MailList.CART, actor="staff:frida")
    assert len(await said(sessions)) == 2


async def test_whose_word_counts(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    address, no = f"/v1/people/{school.anna}/subscriptions/cart", {"is_subscribed": False}
    anna, boris, tutor = (
        as_student(settings, school.anna),
        as_student(settings, school.boris),
        as_(settings, school.anna, Role.TUTOR),
    )
    assert (await client.get(address, headers=boris)).json()["reason"] == "not_found"
    assert (await client.put(address, json=no, headers=boris)).json()["reason"] == "not_found"
    nobody = f"/v1/people/{uuid4()}/subscriptions/cart"
    assert (await client.put(nobody, json=no, headers=as_staff(settings))).json()["reason"] == "not_found"
    for body, headers, reason in (
        ({**no, "source": "staff"}, anna, "role_not_allowed"),
        ({**no, "source": "one_click"}, as_staff(settings), "role_not_allowed"),
        ({"is_subscribed": True}, anna, "invalid_request"),
        ({**no, "token": "x"}, anna, "invalid_request"),
    ):
        assert (await client.put(address, json=body, headers=headers)).json()["reason"] == reason
    unknown = await client.get(f"/v1/people/{school.anna}/subscriptions/spam", headers=anna)
    assert unknown.json()["reason"] == "invalid_request"
    complaint = await client.post(f"/v1/people/{school.anna}/complaints", json={"list": "cart"}, headers=anna)
    assert complaint.json()["reason"] == "role_not_allowed"
    assert await said(sessions) == []
    assert (await client.get(address, headers=tutor)).status_code == 200
