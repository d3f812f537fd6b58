"""The ledger of mails: at most one copy per recipient, template and fact, and the truth about each (DESIGN §3.10).

A mail is `queued` until its end is known. Just before its body is handed to the mail server, `handed_over_at` says so;
whoever finds a queued mail with that mark knows that nobody can know whether it arrived. There is no second copy unless
a person says so (`reopen`). Every change of state is made here, with its audit row.

Marketing mail is looked at once more in the transaction that hands it over, with its recipient locked: it may have to
wait (`deferred_until`) or not go out at all. Whoever changes such a mail locks its recipient first.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.marketing_mail import count_reminder, held_up, uncount_reminder
from activities.people import lock_people
from activities.subscriptions import token_of
from models.identifiers import mail_id_for
from models.messages.mail import MailReport, SendMail
from models.tables import AuditEntry, Cart, Mail
from models.tables.columns import now
from models.vocabulary import MailList, MailStatus, MailTemplate
from rules.lifecycle import may_follow, require_transition
from rules.marketing import LISTS

# Longer than an attempt may take: whoever handed a mail over before has ended since.
_LONGEST_ATTEMPT = timedelta(minutes=10)
_HANGS = (
    col(Mail.status) == MailStatus.QUEUED,
    col(Mail.handed_over_at).is_(None),
    col(Mail.deferred_until).is_(None),
)
# Why a mail was skipped that somebody has let go of, so that its job goes on.
BY_OPERATOR = "operator"


@dataclass
class MailLedger:
    """Each method is one transaction. `list_` is that of marketing mail; a transactional one is on none.

    `clock` tells the time (UTC) where it is not the wall's.
    """

    sessions: Sessions
    list_: MailList | None = None
    clock: Callable[[], datetime] | None = None

    @property
    def moment(self) -> datetime:
        """Now."""
        return now() if self.clock is None else self.clock()

    async def open(self, request: SendMail) -> MailReport:
        """Queue the mail unless it is known already, and say how it stands. Only if `queued` may it be sent.

        A mail that an earlier attempt handed over without learning its end becomes `unknown` here.
        """
        mail_id = mail_id_for(request.recipient_id, request.template, request.subject_id, request.occasion)
        moment = self.moment
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
            list=self.list_,
        )
        async with self.sessions.begin() as session:
            if self.list_ is not None:
                await lock_people(session, [request.recipient_id])
                await token_of(session, request.recipient_id, self.list_)
            made = await session.execute(wanted.on_conflict_do_nothing().returning(Mail))
            if (mail := made.scalar_one_or_none()) is not None:
                await _audit(session, mail_id, None, MailStatus.QUEUED, "mail queued", request.workflow_id)
                return _report(mail)
            mail = await session.get_one(Mail, mail_id, with_for_update=True)
            if mail.status == MailStatus.QUEUED and mail.handed_over_at is not None:
                await settle(session, mail, MailStatus.UNKNOWN, "interrupted", request.workflow_id)
            return _report(mail)

    async def look(self, mail_id: UUID) -> MailReport | None:
        """How a queued marketing mail stands that must not go now: deferred, or over. None if it may be written, as
        every transactional mail may."""
        if self.list_ is None:
            return None
        async with self.sessions.begin() as session:
            mail = await self._locked(session, mail_id)
            return await _look(session, mail, self.moment) if mail.status == MailStatus.QUEUED else _report(mail)

    async def hand_over(self, mail_id: UUID) -> datetime | MailReport | None:
        """Mark the mail as being handed over now; none if another attempt is ahead, then it must not be sent.

        Marketing mail is looked at once more: it may not go after all, then the report says why.
        """
        if self.list_ is not None:
            return await self._hand_over_marketing(mail_id)
        moment = self.moment
        claim = (
            update(Mail)
            .where(col(Mail.id) == mail_id, col(Mail.status) == MailStatus.QUEUED, col(Mail.handed_over_at).is_(None))
            .values(handed_over_at=moment, updated_at=moment)
            .returning(col(Mail.id))
        )
        async with self.sessions.begin() as session:
            return moment if (await session.execute(claim)).first() is not None else None

    async def _hand_over_marketing(self, mail_id: UUID) -> datetime | MailReport | None:
        async with self.sessions.begin() as session:
            mail = await self._locked(session, mail_id)
            # With the lock: what was committed before this moment is seen, what comes later comes after the mail.
            moment = self.moment
            if mail.status != MailStatus.QUEUED or mail.handed_over_at is not None:
                return None
            held = await _look(session, mail, moment)
            if held is None:
                mail.handed_over_at = mail.updated_at = moment
                await count_reminder(session, mail, sent_at=moment)
            return held or moment

    async def take_back(self, mail_id: UUID, handed_over_at: datetime) -> None:
        """The server has surely not accepted what was handed over at that moment: the mail may be tried again."""
        async with self.sessions.begin() as session:
            mail = await self._locked(session, mail_id)
            if mail.status == MailStatus.QUEUED and mail.handed_over_at == handed_over_at:
                mail.handed_over_at, mail.updated_at = None, self.moment
                await uncount_reminder(session, mail, sent_at=handed_over_at)

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
            mail = await self._locked(session, mail_id)
            # The attempt that handed a mail over may learn its end after another one had to call it unknown.
            late = mail.status == MailStatus.UNKNOWN and handed_over_at is not None
            is_ours = mail.handed_over_at == handed_over_at and (mail.status == MailStatus.QUEUED or late)
            if is_ours and may_follow(MailStatus(mail.status), status):
                await settle(session, mail, status, reason, workflow_id)
            return _report(mail)

    async def _locked(self, session: AsyncSession, mail_id: UUID) -> Mail:
        """The mail, locked; its recipient before it where it is marketing."""
        if self.list_ is not None:
            await lock_people(session, select(col(Mail.recipient_id)).where(col(Mail.id) == mail_id))
        return await session.get_one(Mail, mail_id, with_for_update=True)


async def reopen(session: AsyncSession, mail_id: UUID, *, times: int, actor: str, workflow_id: str) -> Mail | None:
    """Let a mail that came back, or whose end nobody knows, be sent once more, since a person says so; none if there is
    no such transactional mail.

    Each of their words counts once: `times` tells those that are said in one job apart. One that is still waiting, or
    being sent, goes its way, and one that has arrived or need not go out stays as it is.
    """
    mail = await session.get(Mail, mail_id, with_for_update=True, populate_existing=True)
    if mail is None or mail.list is not None:
        return None
    reason = f"sent again by hand, {times}"
    was_heard = exists().where(
        col(AuditEntry.subject_kind) == "mail",
        col(AuditEntry.subject_id) == mail_id,
        col(AuditEntry.reason) == reason,
        col(AuditEntry.workflow_id) == workflow_id,
    )
    if await session.scalar(select(was_heard)):
        return mail
    handed_over_at = mail.handed_over_at if mail.status == MailStatus.QUEUED else None
    if handed_over_at is not None and handed_over_at < now() - _LONGEST_ATTEMPT:
        await settle(session, mail, MailStatus.UNKNOWN, "interrupted", workflow_id)
    before = MailStatus(mail.status)
    if may_follow(before, MailStatus.QUEUED):
        mail.status, mail.status_reason, mail.handed_over_at, mail.updated_at = MailStatus.QUEUED, None, None, now()
        # It hangs with whoever sends it now, and it is there that it can be skipped.
        mail.workflow_id = workflow_id
        change = StateChange("mail", mail_id, before, MailStatus.QUEUED)
        await write_audit(session, [change], actor=actor, reason=reason, workflow_id=workflow_id)
    return mail


async def skip_reminder(
    session: AsyncSession, cart: Cart, number: int, reason: str, workflow_id: str, moment: datetime
) -> None:
    """A mail about a cart will not be sent, and the ledger says why. One that has come to its end before, or is being
    sent, is left alone. Wants the person locked."""
    template, occasion = MailTemplate.CART_REMINDER, str(number)
    mail_id = mail_id_for(cart.person_id, template, cart.id, occasion)
    mail = await session.get(Mail, mail_id, with_for_update=True)
    if mail is None:
        mail = Mail(
            id=mail_id,
            created_at=moment,
            recipient_id=cart.person_id,
            template=template,
            subject_id=cart.id,
            occasion=occasion,
            workflow_id=workflow_id,
            list=LISTS[template],
        )
        session.add(mail)
        await session.flush()
        await _audit(session, mail_id, None, MailStatus.QUEUED, "mail queued", workflow_id)
    if mail.status == MailStatus.QUEUED and mail.handed_over_at is None:
        await settle(session, mail, MailStatus.SKIPPED, reason, workflow_id)


async def skip_waiting_reminders(
    session: AsyncSession, cart_ids: Collection[UUID], reason: str, workflow_id: str
) -> None:
    """What the ledger still wants to send about these carts, is not sent. Wants their people locked."""
    waiting = select(Mail).where(
        col(Mail.template) == MailTemplate.CART_REMINDER,
        col(Mail.subject_id).in_(cart_ids),
        col(Mail.recipient_id).in_(select(col(Cart.person_id)).where(col(Cart.id).in_(cart_ids))),
        col(Mail.status) == MailStatus.QUEUED,
        col(Mail.handed_over_at).is_(None),
    )
    for mail in (await session.execute(waiting.order_by(col(Mail.id)).with_for_update())).scalars().all():
        await settle(session, mail, MailStatus.SKIPPED, reason, workflow_id)


async def _look(session: AsyncSession, mail: Mail, moment: datetime) -> MailReport | None:
    """Whether the locked mail is held up, written down if it is."""
    held = await held_up(session, mail, moment)
    if held is None or held.until is not None:
        mail.deferred_until = None if held is None else held.until
        mail.deferred_reason = None if held is None else held.reason
        mail.updated_at = moment
    else:
        await settle(session, mail, MailStatus.SKIPPED, held.reason, mail.workflow_id)
    await session.flush()
    return None if held is None else _report(mail)


async def hanging_mails(session: AsyncSession, workflow_id: str) -> Sequence[UUID]:
    """What a job wants to send and has not.

    One that is being handed over comes to its end by itself, and one that is only deferred hangs nowhere.
    """
    query = select(col(Mail.id)).where(col(Mail.workflow_id) == workflow_id, *_HANGS).order_by(col(Mail.id))
    return (await session.execute(query)).scalars().all()


async def skip_hanging(session: AsyncSession, mail_ids: Sequence[UUID], workflow_id: str, *, actor: str) -> int:
    """These mails of a job are not sent, as far as they still hang; answers how many that were."""
    hanging = select(Mail).where(col(Mail.id).in_(mail_ids), *_HANGS)
    marketed = hanging.with_only_columns(col(Mail.recipient_id)).where(col(Mail.list).is_not(None))
    await lock_people(session, marketed)
    mails = (await session.execute(hanging.order_by(col(Mail.id)).with_for_update())).scalars().all()
    for mail in mails:
        await settle(session, mail, MailStatus.SKIPPED, BY_OPERATOR, workflow_id, actor=actor)
    return len(mails)


async def settle(
    session: AsyncSession,
    mail: Mail,
    status: MailStatus,
    reason: str | None,
    workflow_id: str,
    *,
    actor: str = "system",
) -> None:
    """Write the end of a locked mail."""
    before = MailStatus(mail.status)
    require_transition(before, status)
    mail.status, mail.status_reason, mail.updated_at = status, reason, now()
    mail.sent_at = mail.updated_at if status is MailStatus.SENT else None
    mail.deferred_until = mail.deferred_reason = None
    await _audit(session, mail.id, before, status, reason or f"mail {status}", workflow_id, actor)
    await count_reminder(session, mail)


async def _audit(
    session: AsyncSession,
    mail_id: UUID,
    before: MailStatus | None,
    after: MailStatus,
    reason: str,
    workflow_id: str,
    actor: str = "system",
) -> None:
    change = StateChange("mail", mail_id, before, after)
    await write_audit(session, [change], actor=actor, reason=reason, workflow_id=workflow_id)


def _report(mail: Mail) -> MailReport:
    return MailReport(
        mail_id=mail.id,
        status=MailStatus(mail.status),
        reason=mail.status_reason or mail.deferred_reason,
        deferred_until=mail.deferred_until,
    )
