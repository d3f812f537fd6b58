"""The check that every confirmation, receipt and certificate of the last days really went out, and what mends it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.certificate_jobs import wake_certificates
from activities.check_runs import begin_run, end_run
from activities.critical_papers import (
    MissingMail,
    MissingPaper,
    Span,
    missing_mails,
    missing_papers,
    unsent_mails,
)
from activities.database import Sessions
from activities.findings import Found, record_findings
from activities.mail_ledger import reopen
from models.messages.checks import LookOverMail, MailToSend, PutRightAgain, ToPutRight
from models.tables import Finding, Mail
from models.vocabulary import CheckKind, FindingKind, FindingStatus, MailTemplate
from rules.critical_mail import LOOKED_BACK, PATIENCE

_CHECK = CheckKind.CRITICAL_MAIL
_SCOPE = "week"
# In one run, so that a mail server that was set up wrongly does not fill the list of tasks; the rest is for the next.
_MOST = 500

ThingT = TypeVar("ThingT")


@dataclass(frozen=True)
class _Known:
    """What is open of these kinds, by its id, with what it is about; and what a person has called right as it is."""

    subjects: Mapping[UUID, UUID]
    accepted: Collection[UUID]

    def first(self, found: Sequence[tuple[Found, ThingT]]) -> list[tuple[Found, ThingT]]:
        """As many as one run takes, those that are open already before all others, so that none is thought gone."""
        wrong = [each for each in found if each[0].id not in self.accepted]
        return sorted(wrong, key=lambda each: each[0].id not in self.subjects)[:_MOST]


@dataclass
class CriticalMailActivities:
    """Each look is one transaction, as of the moment that the check is scheduled for. It may be repeated."""

    sessions: Sessions

    @activity.defn
    async def check_papers(self, step: LookOverMail) -> ToPutRight:
        """Find receipts, credit notes and certificates that have no file an hour after they were issued.

        The documents are to be made at once; the jobs of the certificates are woken, to make theirs.
        """
        kinds = (FindingKind.PAPER_MISSING,)
        async with self.sessions.begin() as session:
            run_id, known = await _begin(session, step), await _known(session, kinds)
            missing = known.first(
                [(_no_paper(each), each) for each in await missing_papers(session, _span(step, known))]
            )
            found = [each for each, _ in missing]
            await _record(session, run_id, kinds, found, known, step)
        return await _to_make([paper for _, paper in missing])

    @activity.defn
    async def check_mails(self, step: LookOverMail) -> ToPutRight:
        """Find mails that were never begun, and those that have waited an hour, came back, or are of unknown end.

        The former are to be sent at once. With that the run is over.
        """
        kinds = (FindingKind.MAIL_MISSING, FindingKind.MAIL_NOT_SENT)
        async with self.sessions.begin() as session:
            run_id, known = await _begin(session, step), await _known(session, kinds)
            span = _span(step, known)
            missing = known.first([(_no_mail(each), each) for each in await missing_mails(session, span)])
            unsent = known.first([(_not_sent(each), each) for each in await unsent_mails(session, span)])
            found = [each for each, _ in (*missing, *unsent)]
            await _record(session, run_id, kinds, found, known, step)
            counts = {"papers_missing": step.papers, "mails_missing": len(missing), "mails_not_sent": len(unsent)}
            await end_run(session, run_id, counts)
        return ToPutRight(mails=tuple(each.mail for _, each in missing), found=len(found))

    @activity.defn
    async def put_right_again(self, step: PutRightAgain) -> ToPutRight:
        """What a person wants done about a finding that they say is mended: the mail goes out once more, also one that
        came back or may have arrived; the paper is made."""
        async with self.sessions.begin() as session:
            finding = await session.get_one(Finding, step.finding_id)
            just_this = Span(finding.opened_at, finding.opened_at, (finding.subject_id,))
            if finding.kind == FindingKind.MAIL_NOT_SENT:
                by, job = step.actor, step.workflow_id
                mail = await reopen(session, finding.subject_id, times=step.times, actor=by, workflow_id=job)
                return ToPutRight(mails=() if mail is None else (_to_send(mail),))
            if finding.kind == FindingKind.MAIL_MISSING:
                missing = [each for each in await missing_mails(session, just_this) if _no_mail(each).id == finding.id]
                return ToPutRight(mails=tuple(each.mail for each in missing))
            papers = [each for each in await missing_papers(session, just_this) if _no_paper(each).id == finding.id]
        return await _to_make(papers)


async def _begin(session: AsyncSession, step: LookOverMail) -> UUID:
    since, until = step.moment - LOOKED_BACK, step.moment - PATIENCE
    return await begin_run(session, step.workflow_id, _CHECK, _SCOPE, since, until)


async def _record(
    session: AsyncSession,
    run_id: UUID,
    kinds: Collection[FindingKind],
    found: Sequence[Found],
    known: _Known,
    step: LookOverMail,
) -> None:
    """Runs go side by side: what another one has found since this one began to look is not gone."""
    job, open_ones = step.workflow_id, known.subjects
    await record_findings(session, run_id, _CHECK, kinds, found, workflow_id=job, examined=open_ones)


async def _known(session: AsyncSession, kinds: Collection[FindingKind]) -> _Known:
    query = select(col(Finding.id), col(Finding.subject_id), col(Finding.status)).where(
        col(Finding.found_by) == _CHECK,
        col(Finding.kind).in_(kinds),
        col(Finding.status) != FindingStatus.RESOLVED,
    )
    rows = (await session.execute(query)).all()
    return _Known(
        {row.id: row.subject_id for row in rows if row.status == FindingStatus.OPEN},
        {row.id for row in rows if row.status == FindingStatus.ACCEPTED},
    )


def _span(step: LookOverMail, known: _Known) -> Span:
    """The week before, but for what is not late yet; and what is an open finding, however old."""
    return Span(step.moment - LOOKED_BACK, step.moment - PATIENCE, tuple(known.subjects.values()))


async def _to_make(papers: Sequence[MissingPaper]) -> ToPutRight:
    """The documents; the jobs of certificates are told to make theirs."""
    places = sorted({each.enrollment_id for each in papers if each.enrollment_id is not None})
    if places:
        await wake_certificates(activity.client(), activity.info().task_queue, places)
    documents = tuple(each.document_id for each in papers if each.document_id is not None)
    return ToPutRight(document_ids=documents, found=len(papers))


def _to_send(mail: Mail) -> MailToSend:
    return MailToSend(
        recipient_id=mail.recipient_id,
        template=MailTemplate(mail.template),
        subject_id=mail.subject_id,
        occasion=mail.occasion,
    )


def _no_paper(missing: MissingPaper) -> Found:
    return Found(
        kind=FindingKind.PAPER_MISSING,
        about=str(missing.subject_id),
        subject_kind=missing.subject_kind,
        subject_id=missing.subject_id,
        reason=f"A {missing.what} has no file. See why its job cannot make it, then decide.",
        job_id=missing.job_id,
        is_healing=True,
    )


def _no_mail(missing: MissingMail) -> Found:
    return Found(
        kind=FindingKind.MAIL_MISSING,
        about=str(missing.mail_id),
        subject_kind=missing.subject_kind,
        subject_id=missing.mail.subject_id,
        reason=f"The mail {missing.mail.template} was never begun. See what its job does, then decide.",
        job_id=missing.job_id,
        is_healing=True,
    )


def _not_sent(mail: Mail) -> Found:
    why = f" ({mail.status_reason})" if mail.status_reason else ""
    return Found(
        kind=FindingKind.MAIL_NOT_SENT,
        about=str(mail.id),
        subject_kind="mail",
        subject_id=mail.id,
        reason=f"The mail {mail.template} is {mail.status}{why}. `retry` has it sent once more.",
        job_id=mail.workflow_id,
    )
