"""What the holder of certificates gets: their PDFs, and each mail once."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from temporalio.exceptions import ActivityError

from models.messages.certificates import MAX_LETTERS, CertificateMail, CertificateStart, CertificatesTended
from models.vocabulary import MailTemplate
from workflows import certificate_steps as record
from workflows.mailing import Outbox, send_mail

_SUMMARIES = {
    MailTemplate.CERTIFICATE_ISSUED: "Mail the certificate",
    MailTemplate.CERTIFICATE_NAME_NEEDED: "Ask the learner to confirm their name",
    MailTemplate.CERTIFICATE_EXPIRING: "Mail that the certificate expires soon",
    MailTemplate.CERTIFICATE_EXPIRED: "Mail that the certificate has expired",
    MailTemplate.CERTIFICATE_REVOKED: "Mail that the certificate is revoked",
    MailTemplate.CERTIFICATE_CORRECTION_REJECTED: "Mail that the name stays as it is",
}


class CertificatePapers:
    """Those of one run. `when_rendered` hears of every PDF that was made."""

    def __init__(self, start: CertificateStart, outbox: Outbox, when_rendered: Callable[[], None]) -> None:
        self.student_id = start.student_id
        self._outbox = outbox
        self._when_rendered = when_rendered
        self._rendering: dict[UUID, asyncio.Task[None]] = {}
        # The record may have been read just before one of these was done.
        self._rendered: set[UUID] = set()
        self._unrenderable: set[UUID] = set()
        self._letters = list(start.letters)
        self._posted: set[CertificateMail] = set()

    @property
    def are_rendered_now(self) -> bool:
        """Whether a PDF is being made."""
        return bool(self._rendering)

    @property
    def cannot_be_rendered(self) -> bool:
        """Whether a PDF cannot be made until something is mended."""
        return bool(self._unrenderable)

    @property
    def letters(self) -> tuple[CertificateMail, ...]:
        """The mails that wait for a PDF, as many as another run takes over."""
        return tuple(self._letters[:MAX_LETTERS])

    def follow(self, tended: CertificatesTended) -> None:
        """Have rendered and mailed what the record asks for, and the letters in hand whose PDF is there."""
        self.student_id = tended.student_id or self.student_id
        for certificate_id in tended.unrendered:
            if not self._is_tried(certificate_id):
                self._rendering[certificate_id] = asyncio.create_task(self._render(certificate_id))
        for mail in tended.mails:
            self.post(mail)
        letters, self._letters = self._letters, []
        for mail in letters:
            if mail.certificate_id in tended.unrendered and mail.template is MailTemplate.CERTIFICATE_ISSUED:
                self._letters.append(mail)
            else:
                self.post(mail)

    def _is_tried(self, certificate_id: UUID) -> bool:
        return any(certificate_id in tried for tried in (self._rendering, self._rendered, self._unrenderable))

    async def _render(self, certificate_id: UUID) -> None:
        try:
            await record.render(certificate_id)
            self._rendered.add(certificate_id)
            self._when_rendered()
        except ActivityError:
            self._unrenderable.add(certificate_id)
        finally:
            del self._rendering[certificate_id]

    def render_again(self) -> None:
        """What could not be rendered may have been mended."""
        self._unrenderable.clear()

    def keep(self, letter: CertificateMail) -> None:
        """Have it posted with the next look, once its PDF is there."""
        self._letters.append(letter)

    def post(self, mail: CertificateMail) -> None:
        """Have it sent, unless this run has had it sent already: the ledger hears of it only after a while.

        As long as nobody knows whom it is for, it is kept for the next look.
        """
        if self.student_id is None:
            self.keep(mail)
        elif mail not in self._posted:
            self._posted.add(mail)
            summary = _SUMMARIES.get(mail.template, f"Mail: {mail.template}")
            sending = send_mail(
                self.student_id, mail.template, mail.certificate_id, summary=summary, occasion=mail.occasion
            )
            self._outbox.post(sending)
