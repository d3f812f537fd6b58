"""The ledger of mails, broken on purpose: never a second copy, and never a claim that nobody can back."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest
from aiosmtplib import SMTP
from sqlalchemy import select, update
from sqlmodel import col
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from activities.documents import DocumentActivities
from activities.files import FileStore
from activities.mail import MailActivities, SmtpSettings
from activities.mail_ledger import MailLedger
from models.identifiers import mail_id_for
from models.messages.documents import RenderReceipt
from models.messages.mail import MailReport, SendMail
from models.tables import AuditEntry, Document, Mail
from models.tables.columns import now
from models.vocabulary import MailStatus, MailTemplate
from sandbox.mailbox import Faults, Mailbox
from sandbox.sample_academy import sample_id
from tests.fresh_record import load_academy
from tests.integration.completed_orders import change_person, complete_order

PAYER = sample_id("person", "lukasz")
SECRETS = ("Łukasz", "Żółciński", "lukasz.zolcinski", "students.test")


@pytest.fixture
async def mails(sessions: Sessions, mailbox: Mailbox, tmp_path: Path) -> MailActivities:
    await load_academy(sessions)
    return MailActivities(
        sessions,
        FileStore((tmp_path / "files").as_uri()),
        SmtpSettings.from_url(mailbox.smtp_url, "TutorHub Academy <academy@registrar.test>", "registrar.test"),
        "https://academy.test/orders/{order_id}",
    )


@pytest.fixture
async def request_(mails: MailActivities) -> SendMail:
    """The confirmation of a completed order with its receipt."""
    return await confirmation(mails)


async def confirmation(mails: MailActivities, *, with_file: bool = True) -> SendMail:
    order_id, completed = await complete_order(
        mails.sessions, courses=[("spanish-a1", "lukasz"), ("thesis-seminar", "layla")], coupon="WELCOME10"
    )
    if with_file:
        with ThreadPoolExecutor(1) as executor:
            documents = DocumentActivities(mails.sessions, mails.files, executor)
            await documents.render_receipt(RenderReceipt(receipt_id=completed.receipt_id))
    return SendMail(
        recipient_id=PAYER,
        template=MailTemplate.ORDER_CONFIRMATION,
        subject_id=order_id,
        workflow_id=f"order-{order_id}",
    )


async def row(mails: MailActivities) -> Mail:
    async with mails.sessions() as session:
        return (await session.execute(select(Mail))).scalar_one()


async def story(mails: MailActivities) -> list[tuple[str | None, str, str]]:
    """The mail's states as the audit log tells them."""
    async with mails.sessions() as session:
        entries = await session.execute(
            select(AuditEntry).where(col(AuditEntry.subject_kind) == "mail").order_by(col(AuditEntry.id))
        )
        return [(entry.from_state, entry.to_state, entry.reason) for entry in entries.scalars()]


async def failure(sending: object) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await sending  # type: ignore[misc]
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


async def test_the_mail_arrives_whole(mails: MailActivities, mailbox: Mailbox, request_: SendMail) -> None:
    report = await mails.send_mail(request_)
    mail_id = mail_id_for(PAYER, MailTemplate.ORDER_CONFIRMATION, request_.subject_id)
    assert report == MailReport(mail_id=mail_id, status=MailStatus.SENT)
    [mail] = mailbox.mails()
    message = mail.message
    assert message["Message-ID"] == f"<{mail_id}@registrar.test>"
    assert str(message["To"]) == "Łukasz Żółciński <lukasz.zolcinski@students.test>"
    assert message["From"] == "TutorHub Academy <academy@registrar.test>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["Content-Language"] == "pl"
    assert message["Date"].datetime <= now()
    assert "Zamówienie O-" in message["Subject"]
    [(name, media_type, pdf)] = mail.attachments
    assert (name, media_type) == (f"receipt-R-{now().year}-000001.pdf", "application/pdf")
    assert pdf.startswith(b"%PDF-")
    text, html = mail.part("plain"), mail.part("html")
    assert text is not None
    assert html is not None
    for body in (text, html):
        assert f"https://academy.test/orders/{request_.subject_id}" in body
    kept = await row(mails)
    assert kept.sent_at is not None
    assert kept.handed_over_at is not None
    assert await story(mails) == [(None, "queued", "mail queued"), ("queued", "sent", "mail sent")]


async def test_a_repeat_sends_nothing(mails: MailActivities, mailbox: Mailbox, request_: SendMail) -> None:
    first = await mails.send_mail(request_)
    assert await mails.send_mail(request_) == first
    assert len(mailbox.messages()) == 1


@pytest.mark.parametrize("status", [MailStatus.BOUNCED, MailStatus.SKIPPED, MailStatus.UNKNOWN])
async def test_a_known_end_stands(
    mails: MailActivities, mailbox: Mailbox, request_: SendMail, status: MailStatus
) -> None:
    ledger = MailLedger(mails.sessions)
    queued = await ledger.open(request_)
    await ledger.settle(queued.mail_id, status, reason="because", workflow_id=request_.workflow_id)
    assert await mails.send_mail(request_) == MailReport(mail_id=queued.mail_id, status=status, reason="because")
    assert mailbox.messages() == []


async def test_dying_after_the_250_is_unknown_and_one_copy(
    mails: MailActivities, mailbox: Mailbox, request_: SendMail, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object, **__: object) -> MailReport:
        raise RuntimeError("the process died")

    with monkeypatch.context() as broken:
        broken.setattr(MailLedger, "settle", die)
        with pytest.raises(RuntimeError):
            await mails.send_mail(request_)
    assert (await row(mails)).status == MailStatus.QUEUED
    for _ in range(3):
        report = await mails.send_mail(request_)
        assert (report.status, report.reason) == (MailStatus.UNKNOWN, "interrupted")
    assert len(mailbox.messages()) == 1
    assert (await story(mails))[-1] == ("queued", "unknown", "interrupted")


async def test_losing_the_connection_in_data_is_unknown(
    mails: MailActivities, mailbox: Mailbox, request_: SendMail
) -> None:
    mailbox.faults = Faults(drop_after_storing=True, times=1)
    for _ in range(2):
        report = await mails.send_mail(request_)
        assert report.status is MailStatus.UNKNOWN
    assert report.reason == "connection_lost"
    assert len(mailbox.messages()) == 1


@pytest.mark.parametrize(
    "faults",
    [
        lambda: Faults(reply_to_recipient="450 4.2.1 lukasz.zolcinski@students.test try later", times=1),
        lambda: Faults(reply_to_data="451 4.3.0 lukasz.zolcinski@students.test try later", times=1),
        lambda: Faults(reply_to_recipient="530 5.7.0 Authentication required", times=1),
    ],
)
async def test_what_passes_is_tried_again_and_one_copy_arrives(
    mails: MailActivities, mailbox: Mailbox, request_: SendMail, faults: Callable[[], Faults]
) -> None:
    mailbox.faults = faults()
    error = await failure(mails.send_mail(request_))
    assert not error.non_retryable
    assert (await row(mails)).handed_over_at is None
    assert (await mails.send_mail(request_)).status is MailStatus.SENT
    assert len(mailbox.messages()) == 1


@pytest.mark.parametrize(
    "faults",
    [
        lambda: Faults(reply_to_recipient="550 5.1.1 lukasz.zolcinski@students.test unknown", times=1),
        lambda: Faults(reply_to_data="550 5.7.1 lukasz.zolcinski@students.test spam", times=1),
    ],
)
async def test_a_final_refusal_bounces_without_the_servers_words(
    mails: MailActivities, mailbox: Mailbox, request_: SendMail, faults: Callable[[], Faults]
) -> None:
    mailbox.faults = faults()
    for _ in range(2):
        report = await mails.send_mail(request_)
        assert (report.status, report.reason) == (MailStatus.BOUNCED, "smtp_550")
    assert mailbox.messages() == []
    assert (await story(mails))[-1] == ("queued", "bounced", "smtp_550")


async def test_no_server_is_tried_again(mails: MailActivities, request_: SendMail) -> None:
    mails.smtp = SmtpSettings.from_url("smtp://127.0.0.1:1", "academy@registrar.test", "registrar.test")
    assert (await failure(mails.send_mail(request_))).type == "smtp_unreachable"
    assert (await row(mails)).handed_over_at is None


async def test_a_server_lost_between_rcpt_and_data_is_tried_again(
    mails: MailActivities, mailbox: Mailbox, request_: SendMail, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over = MailLedger.hand_over

    async def lose_the_server(ledger: MailLedger, mail_id: UUID) -> datetime | None:
        open_connections[-1].close()
        return await hand_over(ledger, mail_id)

    open_connections: list[SMTP] = []

    class Watched(SMTP):
        async def connect(self, **options: object) -> object:  # type: ignore[override]
            open_connections.append(self)
            return await super().connect(**options)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr("activities.mail.SMTP", Watched)
        broken.setattr(MailLedger, "hand_over", lose_the_server)
        assert (await failure(mails.send_mail(request_))).type == "smtp_unreachable"
    assert (await row(mails)).handed_over_at is None
    assert (await mails.send_mail(request_)).status is MailStatus.SENT
    assert len(mailbox.messages()) == 1


async def test_attempts_at_once_send_at_most_one(mails: MailActivities, mailbox: Mailbox, request_: SendMail) -> None:
    ends = await asyncio.gather(*(mails.send_mail(request_) for _ in range(6)), return_exceptions=True)
    assert len(mailbox.messages()) == 1
    assert (await mails.send_mail(request_)).status is MailStatus.SENT
    assert any(isinstance(end, MailReport) and end.status is MailStatus.SENT for end in ends)
    for end in ends:
        assert isinstance(end, MailReport | ApplicationError)


async def test_the_attempt_that_sent_it_corrects_another_ones_unknown(
    mails: MailActivities, request_: SendMail, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(SMTP):
        async def data(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
            answer = await super().data(*arguments, **options)  # type: ignore[arg-type]
            other = await MailLedger(mails.sessions).open(request_)
            assert other.status is MailStatus.UNKNOWN
            return answer

    monkeypatch.setattr("activities.mail.SMTP", Slow)
    assert (await mails.send_mail(request_)).status is MailStatus.SENT
    assert [state for _, state, _ in await story(mails)] == ["queued", "unknown", "sent"]


@pytest.mark.parametrize(
    "address", ["no-at-sign", "two@@signs.test", "line\nfeed@x.test", "łukasz@x.test", "a@b", "@x.test"]
)
async def test_an_address_nobody_can_deliver_to_bounces(
    mails: MailActivities, mailbox: Mailbox, request_: SendMail, address: str
) -> None:
    await change_person(mails.sessions, "lukasz", email=address)
    report = await mails.send_mail(request_)
    assert (report.status, report.reason) == (MailStatus.BOUNCED, "address_invalid")
    assert mailbox.messages() == []


async def test_a_name_cannot_add_headers(mails: MailActivities, mailbox: Mailbox, request_: SendMail) -> None:
    await change_person(
        mails.sessions, "lukasz", full_name='Eve\r\nBcc: all@x.test\n"<eve@x.test>, \u202eX', email="eve@münchen.test"
    )
    assert (await mails.send_mail(request_)).status is MailStatus.SENT
    [message] = mailbox.messages()
    assert "Bcc" not in message
    [recipient] = message["To"].addresses
    assert recipient.addr_spec == "eve@xn--mnchen-3ya.test"
    assert recipient.display_name == "Eve Bcc all x.test eve x.test X"


async def test_without_its_receipt_the_mail_waits(mails: MailActivities, mailbox: Mailbox) -> None:
    request = await confirmation(mails, with_file=False)
    error = await failure(mails.send_mail(request))
    assert (error.type, error.non_retryable) == ("receipt_not_ready", False)
    assert mailbox.messages() == []


async def test_only_the_payer_gets_the_confirmation(mails: MailActivities, request_: SendMail) -> None:
    stranger = request_.model_copy(update={"recipient_id": sample_id("person", "grace")})
    error = await failure(mails.send_mail(stranger))
    assert (error.type, error.non_retryable) == ("mail_without_subject", True)


async def test_a_changed_receipt_is_never_mailed(mails: MailActivities, mailbox: Mailbox, request_: SendMail) -> None:
    async with mails.sessions.begin() as session:
        await session.execute(update(Document).values(sha256="0" * 64))
    assert (await failure(mails.send_mail(request_))).type == "file_mismatch"
    assert mailbox.messages() == []


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password", "encrypted", "tls"),
    [
        ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, None, None, False, None),
        ("smtp://u%40x:p%2Fw@mail.test", "mail.test", 587, "u@x", "p/w", False, True),
        ("smtps://u:s3cret@mail.test", "mail.test", 465, "u", "s3cret", True, False),
        ("smtp://u:s3cret@localhost:25", "localhost", 25, "u", "s3cret", False, None),
    ],
)
def test_the_address_of_the_server(
    url: str, host: str, port: int, user: str | None, password: str | None, encrypted: bool, tls: bool | None
) -> None:
    smtp = SmtpSettings.from_url(url, "A <a@x.test>", "x.test")
    assert (smtp.host, smtp.port, smtp.username, smtp.password) == (host, port, user, password)
    assert (smtp.encrypted, smtp.must_start_tls) == (encrypted, tls)
    assert password is None or password not in repr(smtp)


@pytest.mark.parametrize(("url", "sender"), [("http://x", "a@x.test"), ("smtp://", "a@x.test"), ("smtp://x", "nobody")])
def test_wrong_settings_are_noticed_at_the_start(url: str, sender: str) -> None:
    with pytest.raises(ValueError, match=r"SMTP_URL|address"):
        SmtpSettings.from_url(url, sender, "x.test")
