"""Mails: every one of them, right in every language, and harmless whatever people are called."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities import mail_rendering
from activities.calendar import MEDIA_TYPE, MEDIA_TYPE_PARAMETERS
from activities.errand import PublicPages
from activities.letters import EVERY_LETTER, LETTERS
from activities.mail_message import Attachment, InvalidAddressError, compose, mailbox
from activities.mail_rendering import RenderedMail, Words
from activities.one_line import one_line
from activities.translations import Texts, languages, texts_for
from models.vocabulary import (
    ApplicationDocumentKind,
    ApplicationStatus,
    CertificateOrigin,
    EnrollmentStatus,
    ExportReport,
    MailTemplate,
    PaymentMethod,
    ReviewReason,
    RevocationReason,
    TaskKind,
)
from sandbox.application_mail_samples import a_rejected_document, write_about_application
from sandbox.learning_mail_samples import LESSON_PAGE
from sandbox.mail_samples import (
    CHECKOUT,
    LANGUAGES,
    NOW,
    PUBLIC,
    a_date,
    a_line,
    a_wish,
    an_id,
    asked_for,
    facts_for,
    money_back,
    order_facts,
    write_about_task,
)
from sandbox.sample_mails import write
from tests.unit.names import NAMES, STEERING

ABOUT_NO_ORDER = {*MailTemplate} - {*LETTERS}
MAIL_ID = UUID("00000000-0000-5000-8000-000000000001")
VOID = {"meta", "br", "img", "link", "hr"}
HOSTILE = [*NAMES, *STEERING, '" onmouseover="alert(1)', "</style><img src=x>", "&lt;b&gt;"]


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
        return " ".join("".join(self.words).split())

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]


def test_every_mail_has_its_letter_and_its_pair_of_templates() -> None:
    assert sorted(EVERY_LETTER) == sorted(MailTemplate)
    written = {path.name.split(".")[0] for path in Path("templates/mail").glob("*.j2")} - {"layout", "parts"}
    assert written == set(MailTemplate)


@cache
def in_language(template: MailTemplate, language: str) -> RenderedMail:
    """A mail as a test order has it, written once for all that look at it."""
    return write(template, locale=language, is_test=True)


@pytest.mark.parametrize("template", MailTemplate)
def test_every_mail_is_whole_in_every_language(template: MailTemplate) -> None:
    for language in LANGUAGES:
        mail = in_language(template, language)
        outline = Outline(mail.html)
        [(_, page)] = [element for element in outline.elements if element[0] == "html"]
        assert (page["lang"], page["dir"]) == (language, "rtl" if language == "ar" else "ltr")
        assert mail.language == language
        assert "number" not in mail.subject, language
        for said in (mail.subject, outline.text, mail.text):
            assert not re.search(r"[{}]|\bNone\b|Undefined|Markup", said), language
            assert one_line(said) == " ".join(said.split()), language
        test_note = texts_for("mail", language)["test_note"]
        for body in (outline.text, mail.text):
            assert (test_note in body) or template in ABOUT_NO_ORDER, language
            assert "hello@tutorhub-academy.test" in body, language
            assert "10969 Berlin" in body, language
            assert ("O-2026-000057" in body) or template in {MailTemplate.INVOICE_REMINDER, *ABOUT_NO_ORDER}, language
        assert "\n\n\n" not in mail.text, language


def words_of(*texts: str) -> set[str]:
    return set(re.findall(r"\w+", " ".join(texts)))


@pytest.mark.parametrize("template", MailTemplate)
def test_html_and_plain_text_tell_the_same(template: MailTemplate) -> None:
    mail = write(template)
    texts = texts_for("mail", "en").texts
    headings = [
        text for key, text in texts.items() if key.startswith(template) and key.endswith(("preheader", "title"))
    ]
    shown, told = (
        words_of(*Outline(mail.html).words),
        words_of(re.sub(r"https://(academy|checkout|temporal)\S+", "", mail.text)),
    )
    assert told <= shown
    assert shown <= told | words_of(mail.subject, *headings)


def test_all_languages_have_the_same_texts() -> None:
    known = {language: texts_for("mail", language).texts for language in languages("mail")}
    assert set(known) == set(LANGUAGES)
    for texts in known.values():
        assert texts.keys() == known["en"].keys()
        for key, text in texts.items():
            assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", known["en"][key])), key
            assert text == one_line(text)


class Watched(Mapping[str, str]):
    """Texts that remember what was read of them."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts, self.read = texts, set[str]()

    def __getitem__(self, key: str) -> str:
        self.read.add(key)
        return self.texts[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)


def write_every_letter_about_a_certificate() -> None:
    for origin in CertificateOrigin:
        write(MailTemplate.CERTIFICATE_ISSUED, origin=origin)
    for reason in RevocationReason:
        write(MailTemplate.CERTIFICATE_REVOKED, reason=reason)
    write(MailTemplate.CERTIFICATE_NAME_NEEDED, occasion="3d")


def write_every_letter_about_an_application() -> None:
    """With every reason, kind of document and ending."""
    for reason in ReviewReason:
        write_about_application(MailTemplate.APPLICATION_REJECTED, reasons=(reason,))
    for document in ApplicationDocumentKind:
        refused = (a_rejected_document(document, ReviewReason.OTHER),)
        write_about_application(MailTemplate.APPLICATION_INFO_REQUESTED, rejected=refused)
    write_about_application(MailTemplate.APPLICATION_REJECTED, reapply_at=NOW + timedelta(days=90), erase_at=NOW)
    for occasion in ("draft_expired", "info_expired", "withdrawn", "expired"):
        ended = ApplicationStatus.WITHDRAWN if occasion == "withdrawn" else ApplicationStatus.EXPIRED
        write_about_application(MailTemplate.APPLICATION_CLOSED, occasion=occasion, status=ended)


def write_every_letter_to_learners() -> None:
    """About one lesson and many, and to those who have completed their course."""
    for lessons in (1, 14):
        write(MailTemplate.LESSONS_RELEASED, lessons=lessons)
    for ending in (MailTemplate.ACCESS_ENDING, MailTemplate.ACCESS_ENDED):
        write(ending, completed_at=NOW)


def write_every_letter_with_a_report() -> None:
    for report in (ExportReport.SALES, ExportReport.FINANCE, ExportReport.STATEMENT):
        write(MailTemplate.EXPORT_READY, occasion=report)
    write(MailTemplate.EXPORT_READY, pages=PublicPages(PUBLIC.url, None))


def test_every_text_is_said_by_some_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(texts_for("mail", "en").texts)
    monkeypatch.setattr(mail_rendering, "texts_for", lambda *_: Texts("en", "en", watched))
    for template in MailTemplate:
        write(template, is_test=True)
    write_every_letter_to_learners()
    write_every_letter_with_a_report()
    confirmed = facts_for(MailTemplate.ORDER_CONFIRMATION, amount=0)
    others = (
        a_line(2, "Bundle", confirmed.payer, parts=("One",), held=("Two",)),
        a_line(3, "Held", confirmed.payer, status=None, entitled=True),
        a_line(4, "Lost", confirmed.payer, status=EnrollmentStatus.CANCELED),
        a_line(5, "Lost and free", confirmed.payer, status=EnrollmentStatus.CANCELED, amount=0),
        a_line(6, "Later", confirmed.payer, starts_at=NOW + timedelta(days=9)),
    )
    dates = tuple(a_date(week) for week in range(1, 20))
    write(MailTemplate.ORDER_CONFIRMATION, replace(confirmed, lines=others, dates=dates))
    write(MailTemplate.APPROVAL_REQUESTED, occasion="reminder_1")
    for reason in ("denied:not_eligible", "denied:course_full", "approval_expired"):
        write(MailTemplate.ORDER_DENIED, reason=reason)
    for reason in ("invoice_unpaid", "hold_expired"):
        write(MailTemplate.ORDER_CANCELLED, reason=reason)
    for code in ("insufficient_funds", "expired_card", "incorrect_cvc", "incorrect_number", "authentication_required"):
        declined = facts_for(MailTemplate.PAYMENT_DECLINED)
        assert declined.payment is not None
        declined.payment.decline_code = code
        write(MailTemplate.PAYMENT_DECLINED, declined, moment=NOW + timedelta(hours=1))
    for occasion in ("before_3", "after_1", "after_7"):
        facts = facts_for(MailTemplate.INVOICE_REMINDER)
        assert facts.invoice is not None
        facts.invoice.paid_amount = 1
        write(MailTemplate.INVOICE_REMINDER, facts, occasion=occasion)
    reasons = (
        "seat_lost",
        "provisioning_failed",
        "double_payment",
        "amount_differs",
        "paid_too_late",
        "cancelled",
        "requested",
        "made_in_stripe",
        "x",
    )
    back = replace(order_facts(), refunds=tuple(money_back(reason=reason) for reason in reasons))
    write(MailTemplate.REFUND, back)
    place = back.places[0]
    academy = (
        a_wish(place, cause=cause, decided_by="staff:7") for cause in ("goodwill", "tutor_banned", "course_removed")
    )
    granted = (
        *academy,
        a_wish(place, quoted="The tutor has left.", goes_on=True),
        a_wish(place, decided_by="staff:7", access="kept"),
        a_wish(place, decided_by="staff:7", grounds=("overridden",)),
    )
    write(MailTemplate.REFUND, asked_for(back, *granted))
    for told in (
        a_wish(place, access="kept", tutor_ids=frozenset({back.recipient.id})),
        a_wish(place, contact_id=back.recipient.id),
    ):
        write(MailTemplate.REFUND_NOTICE, replace(back, wishes=(told,)))
    by_hand = order_facts(method=PaymentMethod.INVOICE)
    write(MailTemplate.REFUND, by_hand)
    for status in ("pending", "requires_action"):
        write(MailTemplate.REFUND, replace(order_facts(), refunds=(money_back(status=status),)))
    for status in ("failed", "canceled"):
        write(MailTemplate.REFUND_RETURNED, replace(order_facts(), refunds=(money_back(status=status),)))
    for number in ("I-2026-000007", "C-2026-000003"):
        write(MailTemplate.DOCUMENT_COPY, subject_id=an_id(number))
    for kind in TaskKind:
        write_about_task(kind=kind)
    for occasion in ("escalation", "second_escalation"):
        write_about_task(occasion=occasion, moment=NOW + timedelta(days=3), assignee=f"staff:{an_id('Grace Hopper')}")
    write_every_letter_about_an_application()
    for occasion in ("1", "2", "3"):
        write(MailTemplate.CART_REMINDER, occasion=occasion)
    write_every_letter_about_a_certificate()
    assert watched.texts.keys() - watched.read == set()


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("en-IE", "en"), ("pl", "pl"), ("pl-PL", "pl"), ("de-AT", "de"), ("ar-KW", "ar"), ("zh-Hans-CN", "zh"),
        ("ja", "en"), ("uk", "en"), ("", "en"), ("EN-us", "en"), ("x", "en"), ("../de", "en"),
    ],
)  # fmt: skip
def test_the_language_is_the_best_we_have(locale: str, language: str) -> None:
    assert write(MailTemplate.PAYMENT_PROCESSING, locale=locale).language == language


@pytest.mark.parametrize("template", MailTemplate)
def test_whatever_people_are_called_is_text(template: MailTemplate) -> None:
    calm = write(template, name="Ada Lovelace and her friends", title="Course")
    tags, lines = Outline(calm.html).tags, len(calm.text.splitlines())
    for text in HOSTILE:
        mail = write(template, name=text, title=text)
        outline = Outline(mail.html)
        assert outline.tags == tags, text
        assert one_line(text) in outline.text
        assert one_line(text) in mail.text
        assert len(mail.text.splitlines()) == lines, text
        steering = set("\u202e\u202c\u2066\u2069\0\a\r") & {*mail.html, *mail.text, *mail.subject}
        assert steering == set(), text


def test_an_academy_and_its_bank_are_text_too() -> None:
    facts = facts_for(MailTemplate.INVOICE)
    facts.academy.name = facts.academy.legal_name = "<script>alert(1)</script>"
    facts.academy.payment_instructions = "<b>Bank</b>\n{{ 7 * 7 }}"
    mail = write(MailTemplate.INVOICE, facts)
    assert Outline(mail.html).tags == Outline(write(MailTemplate.INVOICE).html).tags
    assert "{{ 7 * 7 }}" in Outline(mail.html).text


@pytest.mark.parametrize("template", MailTemplate)
def test_styles_are_inlined_and_nothing_is_fetched(template: MailTemplate) -> None:
    html = write(template).html
    styled = {tag for tag, attributes in Outline(html).elements if "style" in attributes}
    assert {"body", "table", "td", "h1"} <= styled
    assert "prefers-color-scheme: dark" in html.replace("prefers-color-scheme:dark", "prefers-color-scheme: dark")
    assert not re.search(r"\b(src|background|action)\s*=|url\(|@import|<link|<script|<form", html)


@pytest.mark.parametrize("template", MailTemplate)
def test_links_lead_to_the_web_and_nowhere_else(template: MailTemplate) -> None:
    page = "https://academy.test/orders/00000000-0000-7000-8000-000000000001?a=b&c=d"
    mail = write(template)
    links = [attributes["href"] for tag, attributes in Outline(mail.html).elements if tag == "a"]
    application = page.replace("/orders/", "/applications/")
    jobs = {
        f"https://temporal.test/workflows/{job}-00000000-0000-7000-8000-000000000001"
        for job in ("order", "tutor-application")
    }
    ours = {address for address in links if address and address.startswith(f"{PUBLIC.url}/v1/")}
    told = {
        MailTemplate.CART_REMINDER: 3,
        MailTemplate.LESSONS_RELEASED: 1,
        MailTemplate.CERTIFICATE_ISSUED: 1,
        MailTemplate.EXPORT_READY: 2,
    }
    assert len(ours) == told.get(template, 0)
    lessons = {LESSON_PAGE.replace("{lesson_id}", str(an_id(f"lesson {number}"))) for number in (1, 2, 3)}
    check = f"{PUBLIC.url}/verify/01J9Z3V6T1Q8N4W2X7C5B0KDMH"
    assert set(links) <= {page, application, CHECKOUT, "https://meet.test/1", check, *jobs, *ours, *lessons}
    assert all(address is not None and address in mail.text for address in links)


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.test",
        "ftp://x.test",
        "https://",
        "http://[",
        "https://x.test/\na",
    ],
)
def test_an_address_that_is_not_of_the_web_becomes_no_link(address: str) -> None:
    facts = facts_for(MailTemplate.ORDER_APPROVED)
    assert facts.payment is not None
    facts.payment.checkout_url = address
    for mail in (
        write(MailTemplate.ORDER_APPROVED, facts, page=None),
        write(MailTemplate.ORDER_APPROVED, facts, page=address),
        write(
            MailTemplate.ORDER_CONFIRMATION,
            replace(facts_for(MailTemplate.ORDER_CONFIRMATION), dates=(a_date(1, location=address),)),
            page=None,
        ),
    ):
        assert "a" not in Outline(mail.html).tags


def test_a_zone_nobody_knows_is_read_as_utc_and_said() -> None:
    for zone in ("Mars/Olympus", "", "../etc/passwd", "Europe"):
        words = Words("en", zone)
        assert words.city == "UTC"
        assert "12:00\N{NARROW NO-BREAK SPACE}PM (UTC time)" in words.moment(NOW)


def composed(mail: RenderedMail, name: str = "Grace Hopper") -> EmailMessage:
    raw = compose(
        mail,
        mail_id=MAIL_ID,
        domain="registrar.test",
        sender=mailbox("TutorHub Academy", "academy@registrar.test"),
        recipient=mailbox(name, "grace@students.test"),
        moment=NOW,
        attachments=[
            Attachment("receipt-R-2026-000042.pdf", b"%PDF-1.4 \x00\xff"),
            Attachment("lessons.ics", "BEGIN:VCALENDAR ü\r\n".encode(), MEDIA_TYPE, MEDIA_TYPE_PARAMETERS),
        ],
    )
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    message = message_from_bytes(raw, EmailMessage, policy=default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize("template", MailTemplate)
def test_the_message_is_whole(template: MailTemplate) -> None:
    for language in LANGUAGES:
        mail = in_language(template, language)
        message = composed(mail)
        assert message["Message-ID"] == f"<{MAIL_ID}@registrar.test>"
        assert message["Subject"] == mail.subject
        assert message["Content-Language"] == language
        assert message["Date"].datetime == NOW
        text, html = message.get_body(("plain",)), message.get_body(("html",))
        assert text is not None
        assert html is not None
        assert text.get_content().splitlines() == mail.text.splitlines(), language
        assert html.get_content().splitlines() == mail.html.splitlines(), language


def test_attachments_say_what_they_are() -> None:
    pdf, calendar = composed(write(MailTemplate.ORDER_CONFIRMATION)).iter_attachments()
    assert (pdf.get_content_type(), pdf.get_filename()) == ("application/pdf", "receipt-R-2026-000042.pdf")
    assert pdf.get_content() == b"%PDF-1.4 \x00\xff"
    assert (calendar.get_content_type(), calendar.get_filename()) == ("text/calendar", "lessons.ics")
    assert calendar["Content-Type"].params == {"charset": "utf-8", "method": "PUBLISH"}
    assert calendar.get_content() == "BEGIN:VCALENDAR ü\r\n"
    assert {pdf.get_content_disposition(), calendar.get_content_disposition()} == {"attachment"}


@given(st.text(max_size=200))
def test_no_name_adds_a_header_or_a_recipient(name: str) -> None:
    message = composed(RenderedMail("s", "<p>h</p>", "t", "en"), name)
    assert sorted(message.keys()) == _usual_headers()
    [recipient] = message["To"].addresses
    assert recipient.addr_spec == "grace@students.test"


@cache
def _usual_headers() -> list[str]:
    return sorted(composed(RenderedMail("s", "<p>h</p>", "t", "en")).keys())


@pytest.mark.parametrize(
    "name",
    [
        "Featherstonehaugh, Johannes Wolfgang Maximilian Alexander von und zu Hohenzollern, Esq.",
        "=?utf-8?q?evil=40x=2Ecom=2C?=",
        'a" <evil@x.test>, "b' * 6,
    ],
)
def test_a_name_reads_as_no_address_once_it_has_travelled(name: str) -> None:
    [recipient] = composed(RenderedMail("s", "<p>h</p>", "t", "en"), name)["To"].addresses
    assert recipient.addr_spec == "grace@students.test"


@given(st.text(max_size=60), st.text(max_size=60))
def test_an_address_is_plain_or_refused(local: str, domain: str) -> None:
    try:
        accepted = mailbox("", f"{local}@{domain}").addr_spec
    except InvalidAddressError as error:
        assert local == "" or local not in str(error) or len(local) < 3  # noqa: PT017 - the refusal quotes nothing
    else:
        assert re.fullmatch(r"[!-~]+@[a-zA-Z0-9.-]+", accepted)
