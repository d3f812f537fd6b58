"""The ledger of mails: at most one copy per recipient, template and fact, and the truth about each (DESIGN §3.10).

A mail is `queued` until its end is known. Just before its body is handed to the mail server, `handed_over_at` says so;
whoever finds a queued mail with that mark knows that nobody can know whether it arrived. Every change of state is made
here, with its audit row.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from models.identifiers import mail_id_for
from models.messages.mail import MailReport, SendMail
from models.tables import Mail
from models.tables.columns import now
from models.vocabulary import MailStatus
from rules.lifecycle import may_follow, require_transition


@dataclass
class MailLedger:
    """Each method is one transaction."""

    sessions: Sessions

    async def open(self, request: SendMail) -> MailReport:
        """Queue the mail unless it is known already, and say how it stands. Only if `queued` may it be sent.

        A mail that an earlier attempt handed over without learning its end becomes `unknown` here.
        """
        mail_id = mail_id_for(request.recipient_id, request.template, request.subject_id, request.occasion)
        moment = now()
        wanted = insert(Mail).values(
            id=mail_id,
            created_at=moment,
            updated_at=moment,
            recipient_id=request.recipient_id,
            template=request.template,
            subject_id=request.subject_id,
            occasion=request.occasion,
            status=MailStatus.QUEUED,
            workflow_id=request.workflow_id,
        )
        async with self.sessions.begin() as session:
            made = await session.execute(wanted.on_conflict_do_nothing().returning(col(Mail.id)))
            if made.first() is not None:
                await _audit(session, mail_id, None, MailStatus.QUEUED, "mail queued", request.workflow_id)
            mail = await session.get_one(Mail, mail_id, with_for_update=True)
            if mail.status == MailStatus.QUEUED and mail.handed_over_at is not None:
                await _settle(session, mail, MailStatus.UNKNOWN, "interrupted", request.workflow_id)
            return _report(mail)

    async def hand_over(self, mail_id: UUID) -> datetime | None:
        """Mark the mail as being handed over now; none if another attempt is ahead, then it must not be sent."""
        moment = now()
        claim = (
            update(Mail)
            .where(col(Mail.id) == mail_id, col(Mail.status) == MailStatus.QUEUED, col(Mail.handed_over_at).is_(None))
            .values(handed_over_at=moment, updated_at=moment)
            .returning(col(Mail.id))
        )
        async with self.sessions.begin() as session:
            return moment if (await session.execute(claim)).first() is not None else None

    async def take_back(self, mail_id: UUID, handed_over_at: datetime) -> None:
        """The server has surely not accepted what was handed over at that moment: the mail may be tried again."""
        async with self.sessions.begin() as session:
            await session.execute(
                update(Mail)
                .where(
                    col(Mail.id) == mail_id,
                    col(Mail.status) == MailStatus.QUEUED,
                    col(Mail.handed_over_at) == handed_over_at,
                )
                .values(handed_over_at=None, updated_at=now())
            )

    async def settle(
        self,
        mail_id: UUID,
        status: MailStatus,
        *,
        reason: str | None,
        workflow_id: str,
        handed_over_at: datetime | None = None,
    ) -> MailReport:
        """Write the mail's end, if it is this attempt's to write, and say how the mail stands now.

        `handed_over_at` is what `hand_over` returned to this attempt; none before that.
        """
        async with self.sessions.begin() as session:
            mail = await session.get_one(Mail, mail_id, with_for_update=True)
            # The attempt that handed a mail over may learn its end after another one had to call it unknown.
            late = mail.status == MailStatus.UNKNOWN and handed_over_at is not None
            is_ours = mail.handed_over_at == handed_over_at and (mail.status == MailStatus.QUEUED or late)
            if is_ours and may_follow(MailStatus(mail.status), status):
                await _settle(session, mail, status, reason, workflow_id)
            return _report(mail)


async def _settle(session: AsyncSession, mail: Mail, status: MailStatus, reason: str | None, workflow_id: str) -> None:
    before = MailStatus(mail.status)
    require_transition(before, status)
    mail.status, mail.status_reason, mail.updated_at = status, reason, now()
    mail.sent_at = mail.updated_at if status is MailStatus.SENT else None
    await _audit(session, mail.id, before, status, reason or f"mail {status}", workflow_id)


async def _audit(
    session: AsyncSession, mail_id: UUID, before: MailStatus | None, after: MailStatus, reason: str, workflow_id: str
) -> None:
    change = StateChange("mail", mail_id, before, after)
    await write_audit(session, [change], actor="system", reason=reason, workflow_id=workflow_id)


def _report(mail: Mail) -> MailReport:
    return MailReport(mail_id=mail.id, status=MailStatus(mail.status), reason=mail.status_reason)
