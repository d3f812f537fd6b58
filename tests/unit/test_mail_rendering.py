"""Mails: right in every language, and harmless whatever people are called."""

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.mail_message import Attachment, InvalidAddressError, compose, mailbox
from activities.mail_rendering import (
    ConfirmedLine,
    OrderConfirmation,
    RenderedMail,
    Sender,
    render_order_confirmation,
)
from activities.one_line import one_line
from activities.translations import languages, texts_for
from models.money import Money
from tests.unit.names import NAMES, STEERING

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAIL_ID = UUID("00000000-0000-5000-8000-000000000001")
VOID = {"meta", "br", "img", "link", "hr"}


def facts(
    *, locale: str = "en", name: str = "Grace Hopper", title: str = "Spanish for beginners", student: str | None = None,
    starts_at: datetime | None = None, amount: int = 12900, currency: str = "EUR", is_test: bool = False,
) -> OrderConfirmation:  # fmt: skip
    price = Money(amount=amount, currency=currency)
    return OrderConfirmation(
        name=name,
        locale=locale,
        moment=NOW,
        academy=Sender(
            name="TutorHub Academy",
            legal_name="TutorHub Academy GmbH",
            address="Lindenstraße 12\n10969 Berlin",
            email="hello@tutorhub-academy.test",
        ),
        order_number="O-2026-000057",
        receipt_number="R-2026-000042",
        order_url="https://academy.test/v1/orders/1?a=b&c=d",
        lines=(
            ConfirmedLine(
                title=title, student_name=student, price=price, starts_at=starts_at, time_zone="Europe/Dublin"
            ),
        ),
        total=price,
        is_test=is_test,
    )


class Outline(HTMLParser):
    """The elements and the text of a page; complains about anything left open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_it_says_what_happened_and_what_comes_next() -> None:
    mail = render_order_confirmation(facts())
    assert mail.subject == "Your order O-2026-000057 at TutorHub Academy"
    for body in (Outline(mail.html).text, mail.text):
        for said in (
            "Hello Grace Hopper,", "O-2026-000057", "Spanish for beginners", "€129.00", "Total paid",
            "Access is open now.", "Your receipt R-2026-000042 is attached", "TutorHub Academy GmbH",
            "Lindenstraße 12", "10969 Berlin", "hello@tutorhub-academy.test",
        ):  # fmt: skip
            assert said in body
    links = [attributes["href"] for tag, attributes in Outline(mail.html).elements if tag == "a"]
    assert links == ["https://academy.test/v1/orders/1?a=b&c=d"]
    assert "https://academy.test/v1/orders/1?a=b&c=d" in mail.text


def test_a_start_ahead_is_told_in_the_students_zone() -> None:
    mail = render_order_confirmation(facts(student="Aoife", starts_at=datetime(2026, 3, 29, 17, tzinfo=UTC)))
    for body in (Outline(mail.html).text, mail.text):
        assert "for Aoife" in body
        assert re.search(r"Starts on Sunday, March 29, 2026, 6:00\sPM \(Dublin time\)\.", body)
    begun = render_order_confirmation(facts(starts_at=NOW - timedelta(days=1)))
    assert "Access is open now." in begun.text


def test_free_and_test_orders_say_so() -> None:
    assert "Total paid: Free of charge" in render_order_confirmation(facts(amount=0)).text
    assert "no money was moved" in render_order_confirmation(facts(is_test=True)).html
    assert "no money was moved" not in render_order_confirmation(facts()).html


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("en-IE", "en"), ("pl", "pl"), ("pl-PL", "pl"), ("de-AT", "de"), ("ar-KW", "ar"), ("zh-Hans-CN", "zh"),
        ("ja", "en"), ("uk", "en"), ("", "en"), ("EN-us", "en"), ("x", "en"), ("../de", "en"),
    ],
)  # fmt: skip
def test_the_language_is_the_best_we_have(locale: str, language: str) -> None:
    mail = render_order_confirmation(facts(locale=locale))
    assert mail.language == language
    [(_, page)] = [element for element in Outline(mail.html).elements if element[0] == "html"]
    assert (page["lang"], page["dir"]) == (language, "rtl" if language == "ar" else "ltr")


def test_all_languages_have_the_same_texts() -> None:
    known = {language: texts_for("mail", language).texts for language in languages("mail")}
    assert set(known) == {"en", "de", "pl", "ar", "zh"}
    for texts in known.values():
        assert texts.keys() == known["en"].keys()
        for key, text in texts.items():
            assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", known["en"][key]))
            assert text == one_line(text)


@pytest.mark.parametrize("text", [*NAMES, *STEERING, '" onmouseover="alert(1)', "</style><img src=x>", "&lt;b&gt;"])
def test_whatever_people_are_called_is_text(text: str) -> None:
    calm = render_order_confirmation(facts(name="Ada", title="Course", student="Ben"))
    mail = render_order_confirmation(facts(name=text, title=text, student=text))
    assert [tag for tag, _ in Outline(mail.html).elements] == [tag for tag, _ in Outline(calm.html).elements]
    assert Outline(mail.html).text.count(one_line(text)) >= 3
    assert mail.text.count(one_line(text)) == 3
    assert len(mail.text.splitlines()) == len(calm.text.splitlines())
    for steering in "\u202e\u202c\u2066\u2069\0\a\r":
        assert steering not in mail.html + mail.text


def test_styles_are_inlined_and_the_screen_decides_the_rest() -> None:
    html = render_order_confirmation(facts()).html
    styled = {tag for tag, attributes in Outline(html).elements if "style" in attributes}
    assert {"body", "table", "td", "h1", "a"} <= styled
    assert "prefers-color-scheme: dark" in html.replace("prefers-color-scheme:dark", "prefers-color-scheme: dark")
    assert "http" not in re.sub(r'href="[^"]*"', "", html), "nothing is fetched when the mail is opened"


def composed(mail: RenderedMail, name: str = "Grace Hopper") -> EmailMessage:
    raw = compose(
        mail,
        mail_id=MAIL_ID,
        domain="registrar.test",
        sender=mailbox("TutorHub Academy", "academy@registrar.test"),
        recipient=mailbox(name, "grace@students.test"),
        moment=NOW,
        attachments=[Attachment("receipt-R-2026-000042.pdf", b"%PDF-1.4 \x00\xff")],
    )
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    message = message_from_bytes(raw, EmailMessage, policy=default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize("locale", ["en", "pl", "de", "ar", "zh"])
def test_the_message_is_whole(locale: str) -> None:
    mail = render_order_confirmation(facts(locale=locale))
    message = composed(mail)
    assert message["Message-ID"] == f"<{MAIL_ID}@registrar.test>"
    assert message["Subject"] == mail.subject
    assert message["Content-Language"] == mail.language
    assert message["Date"].datetime == NOW
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().splitlines() == mail.text.splitlines()
    assert html.get_content().splitlines() == mail.html.splitlines()
    [pdf] = message.iter_attachments()
    assert pdf.get_content() == b"%PDF-1.4 \x00\xff"
    assert pdf.get_content_disposition() == "attachment"


@given(st.text(max_size=200))
def test_no_name_adds_a_header_or_a_recipient(name: str) -> None:
    message = composed(RenderedMail("s", "<p>h</p>", "t", "en"), name)
    assert sorted(message.keys()) == sorted(composed(RenderedMail("s", "<p>h</p>", "t", "en")).keys())
    [recipient] = message["To"].addresses
    assert recipient.addr_spec == "grace@students.test"


@given(st.text(max_size=60), st.text(max_size=60))
def test_an_address_is_plain_or_refused(local: str, domain: str) -> None:
    try:
        accepted = mailbox("", f"{local}@{domain}").addr_spec
    except InvalidAddressError as error:
        assert local == "" or local not in str(error) or len(local) < 3  # noqa: PT017 - the refusal quotes nothing
    else:
        assert re.fullmatch(r"[!-~]+@[a-zA-Z0-9.-]+", accepted)
