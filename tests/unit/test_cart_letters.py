"""The mail about a cart that was left: what it says, when it is not sent, and the headers that let people leave."""

import re
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from uuid import UUID

import pytest

from activities.cart_letters import cart_reminder
from activities.errand import Draft, PublicPages, Skipped
from activities.letters import set_letter
from activities.mail_message import Mailing, compose, mailbox
from activities.mail_rendering import RenderedMail
from models.errors import Reason
from models.tables import CartSettings
from models.vocabulary import CartStatus, MailList, MailTemplate
from rules.decision import Refused
from sandbox.cart_mail_samples import STANDING, a_cart_coupon, a_quote, cart_errand, write_about_cart
from sandbox.mail_samples import LANGUAGES, NOW, PUBLIC, an_id
from sandbox.sample_mails import write

MAIL_ID = UUID("00000000-0000-5000-8000-000000000001")


def plain(mail: RenderedMail) -> str:
    return mail.text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ")


def settings(**chosen: object) -> CartSettings:
    return CartSettings.model_validate(
        {"academy_id": an_id("academy"), "delays_minutes": [60, 1440, 4320], "consent_mode": "opt_in", **chosen}
    )


def test_a_reminder_says_what_was_left_at_the_prices_of_now() -> None:
    told = plain(write_about_cart())
    assert "- Spanish for beginners: €49.00\n" in told
    assert "- Watercolor painting: €59.00 (was €69.00 when you chose it)\n" in told
    assert "The link works until Wednesday, March 4, 2026, 12:00 PM (Dublin time)" in told
    assert "Total: €108.00\n" in told
    assert "code" not in told
    assert "placed an order" not in told


def test_one_course_needs_no_total_and_may_be_free() -> None:
    told = plain(write_about_cart(quote=a_quote(("Free course", 0)), seen={an_id("Free course"): 1000}))
    assert "- Free course: Free of charge (was €10.00 when you chose it)\n" in told
    assert "Total" not in told
    assert "- Dear: €10.00\n" in plain(write_about_cart(quote=a_quote(("Dear", 1000)), seen={an_id("Dear"): None}))


def test_prices_of_another_currency_are_not_compared() -> None:
    quote = a_quote(("Here", 1000), currency="USD")
    assert "was" not in plain(write_about_cart(quote=quote, seen={an_id("Here"): 900}))


@pytest.mark.parametrize(
    ("occasion", "delays", "subject"),
    [
        ("1", [60, 1440, 4320], "is still here"),
        ("2", [60, 1440, 4320], "thinking it over"),
        ("3", [60, 1440, 4320], "last mail"),
        ("2", [60, 1440], "last mail"),
        ("1", [60], "is still here"),
        ("5", [60], "last mail"),
    ],
)
def test_the_last_one_says_that_it_is_the_last(occasion: str, delays: list[int], subject: str) -> None:
    assert subject in write_about_cart(occasion=occasion, settings=settings(delays_minutes=delays)).subject


def test_without_settings_there_are_three() -> None:
    assert "thinking it over" in write_about_cart(occasion="2").subject
    assert "last mail" in write_about_cart(occasion="3").subject


def test_a_coupon_is_told_with_its_end_where_the_reader_is() -> None:
    told = plain(write_about_cart(occasion="3", coupon=a_cart_coupon(), zone="Asia/Tokyo"))
    assert "With the code CART-7QK2M9 you pay 10% less." in told
    assert "ends on Tuesday, March 3, 2026, 9:00 PM (Tokyo time)" in told
    assert "CART-7QK2M9" not in plain(write_about_cart(occasion="3"))


def links(mail: RenderedMail) -> dict[str, str]:
    """The addresses under the texts of the HTML, by the page they lead to."""
    found = re.findall(r'href="([^"]+)"', mail.html)
    return {re.sub(r"^.*/v1/((?:carts/)?[a-z-]+)/.*$", r"\1", each): each.replace("&amp;", "&") for each in found}


def test_the_three_links_lead_to_our_pages_and_the_campaign_is_named_on_the_way_back_alone() -> None:
    named = settings(utm_source="registrar & co", utm_medium="email", utm_campaign="")
    mail = write_about_cart(settings=named, pages=replace(PUBLIC, url="https://academy.test/"))
    found = links(mail)
    assert set(found) == {"carts/recover", "carts/no-thanks", "unsubscribe"}
    assert found["carts/recover"].endswith("?utm_source=registrar+%26+co&utm_medium=email")
    assert "utm" not in found["carts/no-thanks"] + found["unsubscribe"]
    assert found["unsubscribe"] == "https://academy.test/v1/unsubscribe/k7Wj2mQpX9sVtR4bN8cYhA"
    assert all(address in mail.text for address in found.values())
    assert "?" not in links(write_about_cart())["carts/recover"]


def test_the_texts_hold_no_address_of_the_reader() -> None:
    mail = write_about_cart()
    assert "grace@students.test" not in mail.html + mail.text + mail.subject


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"standing": replace(STANDING, is_bought=True)}, "bought"),
        ({"standing": replace(STANDING, status=CartStatus.OPEN)}, "active_again"),
        ({"standing": replace(STANDING, status=CartStatus.CLEARED)}, "cleared"),
        ({"standing": replace(STANDING, refused_because="unsubscribed")}, "unsubscribed"),
        ({"standing": replace(STANDING, is_watched=False)}, "not_watched"),
        ({"quote": Refused(Reason.MIXED_CURRENCIES, "EUR and USD")}, "cannot_be_bought"),
        ({"pages": PublicPages(PUBLIC.url, None)}, "no_link_secret"),
        ({"pages": PublicPages("", PUBLIC.link_secret)}, "no_public_url"),
        ({"pages": PublicPages("javascript:alert(1)", PUBLIC.link_secret)}, "no_public_url"),
    ],
)
def test_it_is_not_sent_when_it_would_be_wrong(changed: dict[str, object], reason: str) -> None:
    assert cart_reminder(cart_errand(**changed)) == Skipped(reason)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("occasion", ["1", "2", "3"])
def test_every_number_is_whole_in_every_language(language: str, occasion: str) -> None:
    mail = write(MailTemplate.CART_REMINDER, locale=language, occasion=occasion)
    assert mail.language == language
    assert ("CART-7QK2M9" in mail.text) == (occasion == "3")
    assert not re.search(r"[{}]|\bNone\b", mail.subject + mail.text)


# ---- as it travels ----


def travelled(mail: RenderedMail, mailing: Mailing | None) -> tuple[bytes, EmailMessage]:
    raw = compose(
        mail,
        mail_id=MAIL_ID,
        domain="registrar.test",
        sender=mailbox("TutorHub Academy", "academy@registrar.test"),
        recipient=mailbox("Grace Hopper", "grace@students.test"),
        moment=NOW,
        mailing=mailing,
    )
    message = message_from_bytes(raw, EmailMessage, policy=default)
    assert isinstance(message, EmailMessage)
    return raw, message


@pytest.mark.parametrize("host", ["https://a.test", f"https://registrar.{'academy' * 8}.example/{'way/' * 20}"])
def test_marketing_mail_can_be_left_with_one_click_however_long_the_address(host: str) -> None:
    errand = cart_errand(pages=replace(PUBLIC, url=host))
    draft = cart_reminder(errand)
    assert isinstance(draft, Draft)
    raw, message = travelled(set_letter(MailTemplate.CART_REMINDER, errand, draft), draft.mailing)
    address = f"{host.rstrip('/')}/v1/unsubscribe/k7Wj2mQpX9sVtR4bN8cYhA"
    assert message["List-Unsubscribe"] == f"<{address}>"
    assert f"\r\nList-Unsubscribe: <{address}>\r\n".encode() in raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    assert message["List-Id"] == "<cart.registrar.test>"
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_transactional_mail_belongs_to_no_list() -> None:
    raw, message = travelled(write(MailTemplate.PAYMENT_PROCESSING), None)
    assert not [name for name in message.keys() if name.lower().startswith("list-")]  # noqa: SIM118 - headers repeat
    marketing, _ = travelled(write(MailTemplate.PAYMENT_PROCESSING), Mailing(MailList.CART, "https://a.test/x"))
    boundary = re.compile(rb"={10,}[^\"\r\n-]*")
    without = re.sub(rb"List-[^\r]*\r\n", b"", marketing)
    assert boundary.sub(b"", without) == boundary.sub(b"", raw)


def test_the_key_of_a_link_is_not_printed() -> None:
    assert "k7Wj2mQpX9sVtR4bN8cYhA" not in repr(cart_errand().facts)
    assert "secret" not in repr(PUBLIC).replace("link_secret", "")
    assert "a.test" not in repr(Mailing(MailList.CART, "https://a.test/x"))


def test_a_link_is_signed_at_the_moment_of_its_mail() -> None:
    assert (
        links(write_about_cart())["carts/recover"]
        != links(write_about_cart(moment=NOW + timedelta(days=1)))["carts/recover"]
    )
