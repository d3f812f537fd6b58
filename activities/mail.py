"""The step that sends a mail, at most once in all time, and knows when it does not know."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Self
from urllib.parse import unquote, urlsplit
from uuid import UUID

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPRecipientRefused, SMTPResponseException
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.calendar import FILE_NAME, MEDIA_TYPE, MEDIA_TYPE_PARAMETERS, calendar_file
from activities.database import Sessions
from activities.errand import (
    NO_PUBLIC_PAGES,
    Addressed,
    Draft,
    MailWithoutSubjectError,
    Pages,
    PublicPages,
    Skipped,
    Told,
)
from activities.files import FileStore
from activities.letters import letter_of, set_letter
from activities.mail_ledger import MailLedger
from activities.mail_message import Attachment, InvalidAddressError, compose, mailbox
from models.messages.mail import MailReport, SendMail
from models.tables import Document
from models.tables.columns import now
from models.vocabulary import DocumentKind, MailStatus
from rules.marketing import LISTS

_SECONDS_PER_COMMAND = 20
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
# 5xx answers about us, not about the recipient or the message: an operator mends them, then the mail goes out.
_ABOUT_US = {530, 534, 535, 538}


@dataclass(frozen=True)
class SmtpSettings:
    """How to reach the mail server, and as whom. The password never shows in `repr`."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    encrypted: bool
    sender: Address
    domain: str

    @classmethod
    def from_url(cls, url: str, mail_from: str, mail_domain: str) -> Self:
        """From `smtp://user:password@host:587` (STARTTLS when offered) or `smtps://…`, and `Name <address>`.

        Raises `ValueError` for another scheme, a missing host or a sender that is no address.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("SMTP_URL must be smtp://… or smtps://… with a host")
        encrypted = parts.scheme == "smtps"
        return cls(
            host=parts.hostname,
            port=parts.port or (465 if encrypted else 587),
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            encrypted=encrypted,
            sender=mailbox(*parseaddr(mail_from)),
            domain=mail_domain,
        )

    @property
    def must_start_tls(self) -> bool | None:
        """Whether STARTTLS is a must; none leaves it to the server. A password leaves this machine only encrypted."""
        if self.encrypted:
            return False
        return True if self.username is not None and not self.is_here else None

    @property
    def is_here(self) -> bool:
        """Whether the server runs on this machine."""
        return self.host in _THIS_MACHINE

    def client(self) -> SMTP:
        """A client of the server, which signs in when it connects."""
        return SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username,
            password=self.password,
            use_tls=self.encrypted,
            start_tls=self.must_start_tls,
            local_hostname=self.domain,
            timeout=_SECONDS_PER_COMMAND,
        )


@dataclass(frozen=True)
class _SealedLetter:
    mail_id: UUID
    workflow_id: str
    recipient: Address
    message: bytes


@dataclass
class MailActivities:
    """Steps that send mail."""

    sessions: Sessions
    files: FileStore
    smtp: SmtpSettings
    order_page_url: str | None
    job_page_url: str | None = None
    application_page_url: str | None = None
    lesson_page_url: str | None = None
    public_pages: PublicPages = NO_PUBLIC_PAGES
    clock: Callable[[], datetime] | None = None

    @activity.defn
    async def send_mail(self, request: SendMail) -> MailReport:
        """Send the mail, unless it was sent before, and say what became of it.

        What it says is read now. The end is `sent`, `bounced` (the server refused it for good), `unknown` (the
        connection was lost while the server had the mail in hand; there is never a second copy) or `skipped` (what it
        should tell is not true any more; the reason says what is). Marketing mail that the person may not get yet stays
        `queued`, and the report says until when and why. What may pass is raised as a retryable
        `ApplicationError`, without any personal data: `receipt_not_ready` and `document_not_ready` while a file to be
        attached is not there. Raises the non-retryable `MailWithoutSubjectError`.
        """
        ledger = MailLedger(self.sessions, LISTS.get(request.template), self.clock)
        report = await ledger.open(request)
        if report.status is not MailStatus.QUEUED:
            return report
        try:
            letter = await self._write(request, report.mail_id)
        except InvalidAddressError:
            return await ledger.settle(
                report.mail_id, MailStatus.BOUNCED, reason="address_invalid", workflow_id=request.workflow_id
            )
        except MailWithoutSubjectError:
            await ledger.settle(
                report.mail_id, MailStatus.SKIPPED, reason="not_theirs", workflow_id=request.workflow_id
            )
            raise
        if isinstance(letter, Skipped):
            return await ledger.settle(
                report.mail_id, MailStatus.SKIPPED, reason=letter.reason, workflow_id=request.workflow_id
            )
        if (held := await ledger.look(report.mail_id)) is not None:
            return held
        async with self._connected() as client:
            return await self._send(client, letter, ledger)

    async def _write(self, request: SendMail, mail_id: UUID) -> _SealedLetter | Skipped:
        pages = Pages(
            self.order_page_url, self.job_page_url, self.application_page_url, self.lesson_page_url, self.public_pages
        )
        moment = now() if self.clock is None else self.clock()
        async with self.sessions() as session:
            errand, draft = await letter_of(request.template).written(session, request, moment, pages)
        if isinstance(draft, Skipped):
            return draft
        recipient = mailbox(errand.recipient.full_name, errand.recipient.email)
        attachments = [await self._attach(paper) for paper in draft.papers]
        # Setting a mail takes some ten milliseconds of the processor, which the event loop has not got.
        message = await asyncio.to_thread(self._compose, request, mail_id, errand, draft, recipient, attachments)
        return _SealedLetter(mail_id, request.workflow_id, recipient, message)

    async def _attach(self, paper: Document) -> Attachment:
        if paper.file_key is None:
            type_ = "receipt_not_ready" if paper.kind == DocumentKind.RECEIPT else "document_not_ready"
            raise ApplicationError(f"the {paper.kind.replace('_', ' ')} has no file yet", type=type_)
        data = await self.files.get(paper.file_key, digest=paper.sha256)
        return Attachment(f"{paper.kind.replace('_', '-')}-{paper.number}.pdf", data)

    def _compose(
        self,
        request: SendMail,
        mail_id: UUID,
        errand: Addressed[Told],
        draft: Draft,
        recipient: Address,
        attachments: list[Attachment],
    ) -> bytes:
        if draft.dates:
            dates = calendar_file(draft.dates, self.smtp.domain)
            attachments = [*attachments, Attachment(FILE_NAME, dates, MEDIA_TYPE, MEDIA_TYPE_PARAMETERS)]
        return compose(
            set_letter(request.template, errand, draft),
            mail_id=mail_id,
            domain=self.smtp.domain,
            sender=self.smtp.sender,
            recipient=recipient,
            moment=errand.moment,
            attachments=attachments,
            mailing=draft.mailing,
        )

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[SMTP]:
        """A connection on which the server has greeted, encrypted and let us in as far as it wants that."""
        client = self.smtp.client()
        try:
            try:
                await client.connect()
            except (SMTPException, OSError) as error:
                raise _passing(error, "connecting") from None
            yield client
            with suppress(SMTPException, OSError):
                await client.quit()
        finally:
            client.close()

    async def _send(self, client: SMTP, letter: _SealedLetter, ledger: MailLedger) -> MailReport:
        try:
            await client.mail(self.smtp.sender.addr_spec)
            await client.rcpt(letter.recipient.addr_spec)
        except SMTPRecipientRefused as error:
            if not _is_final(error.code):
                raise _passing(error, "RCPT") from None
            return await ledger.settle(
                letter.mail_id, MailStatus.BOUNCED, reason=f"smtp_{error.code}", workflow_id=letter.workflow_id
            )
        except (SMTPException, OSError) as error:
            raise _passing(error, "MAIL or RCPT") from None
        handed_over_at = await ledger.hand_over(letter.mail_id)
        if isinstance(handed_over_at, MailReport):
            return handed_over_at
        if handed_over_at is None:
            raise ApplicationError("another attempt is sending this mail", type="mail_under_way")
        try:
            status, reason = await _deliver(client, letter.message)
        except ApplicationError:
            await ledger.take_back(letter.mail_id, handed_over_at)
            raise
        return await ledger.settle(
            letter.mail_id, status, reason=reason, workflow_id=letter.workflow_id, handed_over_at=handed_over_at
        )


async def _deliver(client: SMTP, message: bytes) -> tuple[MailStatus, str | None]:
    """Hand the message over: its end and the reason. Raises `ApplicationError` if it was surely not accepted."""
    if not client.is_connected:
        raise ApplicationError("the mail server was lost before DATA", type="smtp_unreachable")
    try:
        await client.data(message)
    except SMTPDataError as error:
        if _is_final(error.code):
            return MailStatus.BOUNCED, f"smtp_{error.code}"
        if 400 <= error.code < 600:
            raise _passing(error, "DATA") from None
        return MailStatus.UNKNOWN, f"smtp_{error.code}"
    except (SMTPException, OSError):
        return MailStatus.UNKNOWN, "connection_lost"
    return MailStatus.SENT, None


def _is_final(code: int) -> bool:
    return 500 <= code < 600 and code not in _ABOUT_US


def _passing(error: Exception, step: str) -> ApplicationError:
    """A failure that may pass, told by its kind and code: the server's own words may quote an address."""
    if isinstance(error, SMTPResponseException):
        return ApplicationError(f"the mail server answered {error.code} at {step}", type=f"smtp_{error.code}")
    return ApplicationError(f"the mail server was lost at {step} ({type(error).__name__})", type="smtp_unreachable")
