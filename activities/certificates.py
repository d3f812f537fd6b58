"""The steps of certificates: issued, looked after, revoked, reinstated, renewed, corrected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.certificate_corrections import correct, decide, open_wishes
from activities.certificate_facts import (
    EnrollmentToCertify,
    enrollment_to_certify,
    facts_to_freeze,
    lock_enrollment,
    person_fields,
)
from activities.certificate_record import (
    BroughtCertificate,
    NewCertificate,
    Writing,
    brought_by,
    certificates_of,
    has_lapsed,
    latest_by_template,
    term_of,
    write_certificates,
)
from activities.certificate_steps import reinstate, renew, revoke
from activities.database import Sessions
from activities.legal_names import take_name_on_file
from activities.people import lock_people
from models.identifiers import certificate_id_for
from models.messages.certificates import (
    CertificateAnswer,
    CertificateMail,
    CertificatesIssued,
    CertificatesTended,
    CertificateStep,
    CorrectName,
    DecideCorrection,
    IssueCertificates,
    IssuedCertificate,
    ReinstateCertificate,
    RenewCertificate,
    RevokeCertificate,
    TendCertificates,
)
from models.tables import Certificate, Enrollment, Mail
from models.vocabulary import CertificateGround, CertificateOrigin, CertificateStatus, EnrollmentStatus, MailTemplate
from rules.certificates import (
    Candidate,
    due_notice,
    grounds_against,
    may_be_followed,
    next_notice,
    stamp,
    validity,
)
from rules.critical_mail import issued_again

_FIRST = "first"
_COUNTS_OR_DID = (CertificateStatus.ISSUED, CertificateStatus.EXPIRED)
_LOOKED_AFTER = (CertificateStatus.ISSUED, CertificateStatus.EXPIRED, CertificateStatus.REVOKED)
_MOST = 50


@dataclass
class CertificateActivities:
    """What becomes of the certificates of an enrollment, with its row locked.

    Each step may be repeated with the same moment: the second time finds the work done.
    """

    sessions: Sessions

    @activity.defn
    async def issue_certificates(self, step: IssueCertificates) -> CertificatesIssued:
        """Issue what the enrollment is due, by rules.certificates.grounds_against, or say what stands between.

        Answers the latest certificate of each kind. Of a kind that it has, or can renew, there is no second one; what
        was revoked is not issued anew; what has expired for good may be followed (`may_be_followed`). With
        `takes_name_on_file` the name on file is confirmed, if nothing else stands between.
        """
        async with self.sessions.begin() as session:
            if step.takes_name_on_file:
                await _lock_student(session, step.enrollment_id)
            around = await enrollment_to_certify(session, step.enrollment_id)
            if around is None:
                return CertificatesIssued(grounds=(CertificateGround.NOT_COMPLETED,))
            by = Writing(step.actor, step.moment, step.workflow_id)
            brought = await brought_by(session, around.enrollment.course_id)
            certificates = await certificates_of(session, step.enrollment_id, step.moment, step.workflow_id)
            grounds = _grounds(around, brought, certificates, step.origin, step.moment)
            if step.takes_name_on_file and grounds == (CertificateGround.NAME_UNCONFIRMED,):
                await take_name_on_file(session, around.student, by)
                grounds = ()
            if not grounds:
                certificates += await _issue_due(session, around, brought, certificates, step.origin, by)
                certificates.sort(key=lambda each: (each.issued_at, each.id))
            return CertificatesIssued(
                student_id=around.student.id, grounds=grounds, certificates=_as_they_stand(certificates, step.moment)
            )

    @activity.defn
    async def tend_certificates(self, step: TendCertificates) -> CertificatesTended:
        """Expire what is over, and say which PDFs are to be made, which mails are to be sent, and when to look again.

        A certificate is mailed once its PDF is there. Mails are those that the ledger does not know yet; of several
        about the same end only the latest. One that was revoked a second time is told a second time. Wishes for another
        name are those that no other job has put before a person. Answers nothing if there is no such enrollment.
        """
        async with self.sessions.begin() as session:
            student_id = await lock_enrollment(session, step.enrollment_id)
            if student_id is None:
                return CertificatesTended()
            certificates = await certificates_of(session, step.enrollment_id, step.moment, step.workflow_id)
            ours = [each for each in certificates if each.template_id is not None and each.status in _LOOKED_AFTER]
            wanted = _wanted_mails(ours, step.moment)
            for each in certificates:
                each.wakes_at = None
            # What is wanted from here on wakes the job anew.
            await session.flush()
            return CertificatesTended(
                student_id=student_id,
                wakes_at=_wakes_at(ours, step.moment),
                unrendered=tuple(each.id for each in ours if each.file_sha256 is None)[:_MOST],
                mails=tuple(await _unknown_to_ledger(session, student_id, wanted))[:_MOST],
                status=_status_of(certificates),
                corrections=tuple(await open_wishes(session, ours, step.workflow_id))[:_MOST],
            )

    @activity.defn
    async def change_certificate(self, step: CertificateStep) -> CertificateAnswer:
        """Write a change down: revoked, reinstated (expired at once if its time is over), renewed, or corrected.

        The answer names the certificate that it is about from now on. Refused with `not_found`,
        `certificate_not_issued`, `certificate_not_revoked`, `certificate_not_renewable`, and as
        rules.certificate_name.refused_correction says. Who wants a name that somebody has to look at is told so by
        `needs_person`, and `decide_correction` follows.
        """
        async with self.sessions.begin() as session:
            match step.wish:
                case RevokeCertificate():
                    return await revoke(session, step.wish, step)
                case ReinstateCertificate():
                    return await reinstate(session, step.wish, step)
                case RenewCertificate():
                    return await renew(session, step.wish, step)
                case CorrectName():
                    return await correct(session, step.wish, step)

    @activity.defn
    async def decide_correction(self, step: DecideCorrection) -> CertificateAnswer:
        """Write down what somebody decided about another name; a decision that is there already counts.

        Approved, the name on file is the new one, and a new certificate takes the place of one that is `issued`; any
        other stays as it is. Refused with `not_found` alone.
        """
        async with self.sessions.begin() as session:
            return await decide(session, step)


# ---- issuing ----


async def _lock_student(session: AsyncSession, enrollment_id: UUID) -> None:
    """People are locked before what refers to them (`activities/people.py`)."""
    query = select(col(Enrollment.student_id)).where(col(Enrollment.id) == enrollment_id)
    await lock_people(session, (await session.execute(query)).scalars().all())


def _grounds(
    around: EnrollmentToCertify,
    brought: Sequence[BroughtCertificate],
    certificates: Sequence[Certificate],
    origin: CertificateOrigin,
    moment: datetime,
) -> tuple[CertificateGround, ...]:
    latest, due = latest_by_template(certificates), _due(around, brought, certificates, origin, moment)
    lapsed = {template_id for template_id, each in latest.items() if has_lapsed(each, moment)}
    candidate = Candidate(
        status=EnrollmentStatus(around.enrollment.status),
        is_completed=around.enrollment.completed_at is not None,
        is_name_confirmed=around.legal_name is not None,
        templates=len(brought),
        due=len(due),
        has_certificate=any(each.status in _COUNTS_OR_DID and key not in lapsed for key, each in latest.items()),
        has_lapsed=any(each.template_id in lapsed for each in brought if each not in due),
        is_ending=around.is_ending,
    )
    return grounds_against(candidate, origin)


def _due(
    around: EnrollmentToCertify,
    brought: Sequence[BroughtCertificate],
    certificates: Sequence[Certificate],
    origin: CertificateOrigin,
    moment: datetime,
) -> list[BroughtCertificate]:
    """The kinds of which it has none, or one that has expired for good and may be followed anew."""
    latest, completed_at = latest_by_template(certificates), around.enrollment.completed_at
    return [
        each
        for each in brought
        if (last := latest.get(each.template_id)) is None
        or (has_lapsed(last, moment) and may_be_followed(last.issued_at, completed_at, origin))
    ]


async def _issue_due(
    session: AsyncSession,
    around: EnrollmentToCertify,
    brought: Sequence[BroughtCertificate],
    certificates: Sequence[Certificate],
    origin: CertificateOrigin,
    by: Writing,
) -> list[Certificate]:
    latest, name = latest_by_template(certificates), around.legal_name
    due = _due(around, brought, certificates, origin, by.moment)
    if not due or name is None:
        return []
    fields = await person_fields(session, around.student.id)
    wanted = []
    for each in due:
        valid = validity(by.moment, each.valid_days, each.grace_days, around.zone)
        before = latest[each.template_id].id if each.template_id in latest else None
        wanted.append(
            NewCertificate(
                certificate_id=certificate_id_for(around.enrollment.id, each.template_id, str(before or _FIRST)),
                template_id=each.template_id,
                version=each.version,
                origin=origin,
                series=each.series,
                validity=valid,
                facts=facts_to_freeze(around, name, fields, issued_at=by.moment, expires_at=valid.expires_at),
                predecessor_id=before,
            )
        )
    return await write_certificates(session, around, wanted, by, origin.value)


def _as_they_stand(certificates: Sequence[Certificate], moment: datetime) -> tuple[IssuedCertificate, ...]:
    """What was issued at this very moment is new, however often the step is repeated."""
    return tuple(
        IssuedCertificate(
            certificate_id=each.id,
            status=CertificateStatus(each.status),
            is_rendered=each.file_sha256 is not None,
            is_new=each.issued_at == moment,
        )
        for each in latest_by_template(certificates).values()
    )[:_MOST]


# ---- looking after ----


def _wanted_mails(certificates: Sequence[Certificate], moment: datetime) -> list[CertificateMail]:
    """What its holder is to know of each by now."""
    followed = {each.predecessor_id for each in certificates}
    mails = []
    for each in certificates:
        match CertificateStatus(each.status):
            case CertificateStatus.ISSUED if each.file_sha256 is not None:
                mails.append(CertificateMail(template=MailTemplate.CERTIFICATE_ISSUED, certificate_id=each.id))
            case CertificateStatus.REVOKED if each.revoked_at is not None:
                mails.append(
                    CertificateMail(
                        template=MailTemplate.CERTIFICATE_REVOKED,
                        certificate_id=each.id,
                        occasion=stamp(each.revoked_at),
                    )
                )
        if each.status in _COUNTS_OR_DID and each.id not in followed:
            notice = due_notice(term_of(each, certificates), moment)
            if notice is not None:
                mails.append(
                    CertificateMail(template=notice.template, certificate_id=each.id, occasion=notice.occasion)
                )
    return mails


def _wakes_at(certificates: Sequence[Certificate], moment: datetime) -> datetime | None:
    coming = [
        next_notice(term_of(each, certificates), moment)
        for each in certificates
        if each.status == CertificateStatus.ISSUED
    ]
    return min((at for at in coming if at is not None), default=None)


async def _unknown_to_ledger(
    session: AsyncSession, student_id: UUID, wanted: Sequence[CertificateMail]
) -> list[CertificateMail]:
    if not wanted:
        return []
    query = select(col(Mail.template), col(Mail.subject_id), col(Mail.occasion), col(Mail.status_reason)).where(
        col(Mail.recipient_id) == student_id,
        col(Mail.subject_id).in_({each.certificate_id for each in wanted}),
    )
    reasons: dict[tuple[str, UUID, str], str | None] = {
        (template, subject, occasion): reason for template, subject, occasion, reason in await session.execute(query)
    }
    named = [_named_anew(each, reasons) for each in wanted]
    return [each for each in named if (each.template, each.certificate_id, each.occasion) not in reasons]


def _named_anew(mail: CertificateMail, reasons: Mapping[tuple[str, UUID, str], str | None]) -> CertificateMail:
    """A certificate that was revoked before its mail went out, and counts again, is mailed after all."""
    if mail.template is not MailTemplate.CERTIFICATE_ISSUED:
        return mail
    of_it = [
        reason
        for (template, about, _), reason in reasons.items()
        if (template, about) == (mail.template, mail.certificate_id)
    ]
    is_passed_over = bool(of_it) and all(reason == CertificateStatus.REVOKED for reason in of_it)
    return mail.model_copy(update={"occasion": issued_again(len(of_it))}) if is_passed_over else mail


def _status_of(certificates: Sequence[Certificate]) -> CertificateStatus | None:
    if any(each.status == CertificateStatus.ISSUED for each in certificates):
        return CertificateStatus.ISSUED
    return CertificateStatus(certificates[-1].status) if certificates else None
