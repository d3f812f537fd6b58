"""A certificate that stops counting, counts again, or is followed by one that is valid for longer."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.certificate_facts import EnrollmentToCertify, enrollment_to_certify, facts_to_freeze, person_fields
from activities.certificate_record import (
    NewCertificate,
    Writing,
    brought_by,
    certificates_of,
    move,
    term_of,
    write_certificates,
)
from activities.people import lock_people
from models.errors import Reason
from models.identifiers import certificate_id_for
from models.messages.certificates import (
    CertificateAnswer,
    CertificateStep,
    ReinstateCertificate,
    RenewCertificate,
    RevokeCertificate,
)
from models.tables import Certificate, Enrollment
from models.vocabulary import CertificateOrigin, CertificateStatus
from rules.certificates import is_over, is_renewable, renewed_from, validity
from rules.decision import Refused

UNKNOWN = CertificateAnswer(refusal=Reason.NOT_FOUND, refusal_detail="There is no such certificate.")


@dataclass(frozen=True)
class CertificateToChange:
    """A certificate with all of its enrollment's, the oldest first, and what stands around them, locked."""

    certificate: Certificate
    certificates: Sequence[Certificate]
    around: EnrollmentToCertify

    @property
    def successor(self) -> Certificate | None:
        """The one that took its place, or followed on it."""
        return next((each for each in self.certificates if each.predecessor_id == self.certificate.id), None)

    @property
    def counting(self) -> Certificate | None:
        """The one of its kind that counts: it, or one that came after it."""
        of_kind = (each for each in self.certificates if each.template_id == self.certificate.template_id)
        return next((each for each in of_kind if each.status == CertificateStatus.ISSUED), None)


async def certificate_to_change(
    session: AsyncSession,
    certificate_id: UUID,
    by: Writing,
    *,
    of_enrollment: UUID | None = None,
    locks_person: bool = False,
) -> CertificateToChange | None:
    """The certificate, with what is over by now expired; none if there is none, or not of this enrollment. Its holder
    is locked before it if their name may change."""
    query = (
        select(col(Enrollment.id), col(Enrollment.student_id))
        .join(Certificate, col(Certificate.enrollment_id) == col(Enrollment.id))
        .where(col(Certificate.id) == certificate_id)
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    enrollment_id, student_id = found
    if of_enrollment not in (None, enrollment_id):
        return None
    if locks_person:
        await lock_people(session, [student_id])
    around = await enrollment_to_certify(session, enrollment_id)
    certificates = await certificates_of(session, enrollment_id, by.moment, by.workflow_id)
    certificate = next((each for each in certificates if each.id == certificate_id), None)
    return None if around is None or certificate is None else CertificateToChange(certificate, certificates, around)


def answer_of(certificate: Certificate) -> CertificateAnswer:
    """That it is about this one from now on."""
    return CertificateAnswer(certificate_id=certificate.id, status=CertificateStatus(certificate.status))


def refused(certificate: Certificate, refusal: Refused) -> CertificateAnswer:
    """That nothing changes, and why."""
    return CertificateAnswer(
        certificate_id=certificate.id,
        status=CertificateStatus(certificate.status),
        refusal=refusal.reason,
        refusal_detail=refusal.detail,
    )


async def revoke(session: AsyncSession, wish: RevokeCertificate, step: CertificateStep) -> CertificateAnswer:
    """It does not count any more. One that was revoked for the same reason before stays so."""
    by = Writing(wish.actor, step.moment, step.workflow_id)
    found = await certificate_to_change(session, wish.certificate_id, by, of_enrollment=step.enrollment_id)
    if found is None:
        return UNKNOWN
    certificate = found.certificate
    if certificate.status == CertificateStatus.REVOKED and certificate.revocation_reason == wish.reason:
        return answer_of(certificate)
    if certificate.status != CertificateStatus.ISSUED:
        detail = f"The certificate is {certificate.status}: only one that counts can be revoked."
        return refused(certificate, Refused(Reason.CERTIFICATE_NOT_ISSUED, detail))
    change = move(certificate, CertificateStatus.REVOKED, by.moment)
    certificate.revoked_at, certificate.revocation_reason = by.moment, wish.reason
    await _audit(session, [change], by, wish.reason.value)
    return answer_of(certificate)


async def reinstate(session: AsyncSession, wish: ReinstateCertificate, step: CertificateStep) -> CertificateAnswer:
    """It counts again, unless its time has come to an end meanwhile."""
    by = Writing(wish.actor, step.moment, step.workflow_id)
    found = await certificate_to_change(session, wish.certificate_id, by, of_enrollment=step.enrollment_id)
    if found is None:
        return UNKNOWN
    certificate = found.certificate
    if certificate.status != CertificateStatus.REVOKED:
        # Written at this very moment: the step is repeated.
        if certificate.updated_at == by.moment and certificate.status != CertificateStatus.SUPERSEDED:
            return answer_of(certificate)
        detail = f"The certificate is {certificate.status}: only one that was revoked can be reinstated."
        return refused(certificate, Refused(Reason.CERTIFICATE_NOT_REVOKED, detail))
    changes = [move(certificate, CertificateStatus.ISSUED, by.moment)]
    certificate.revoked_at = certificate.revocation_reason = certificate.status_reason = None
    if is_over(certificate.expires_at, by.moment):
        changes.append(move(certificate, CertificateStatus.EXPIRED, by.moment))
    await _audit(session, changes, by, "reinstated")
    return answer_of(certificate)


async def renew(session: AsyncSession, wish: RenewCertificate, step: CertificateStep) -> CertificateAnswer:
    """A new certificate follows on it, by what its course brings and what its holder is called now; one that was
    renewed before is followed by that one for good."""
    by = Writing(wish.actor, step.moment, step.workflow_id)
    found = await certificate_to_change(session, wish.certificate_id, by, of_enrollment=step.enrollment_id)
    if found is None:
        return UNKNOWN
    certificate, around, successor = found.certificate, found.around, found.successor
    if successor is not None and successor.origin == CertificateOrigin.RENEWAL:
        return answer_of(successor)
    term = term_of(certificate, found.certificates)
    if successor is not None or not is_renewable(
        CertificateStatus(certificate.status), term, certificate.renewable_until, by.moment
    ):
        detail = (
            "A certificate can be renewed in its last 60 days, in the second half of its time, until its grace is over."
        )
        return refused(certificate, Refused(Reason.CERTIFICATE_NOT_RENEWABLE, detail))
    brought = await brought_by(session, around.enrollment.course_id)
    kind = next((each for each in brought if each.template_id == certificate.template_id), None)
    name = around.legal_name
    if kind is None or name is None or certificate.expires_at is None:
        detail = "The course no longer brings this certificate."
        return refused(certificate, Refused(Reason.CERTIFICATE_NOT_RENEWABLE, detail))
    await supersede(session, certificate, by, "renewed")
    begins_at = renewed_from(by.moment, certificate.expires_at)
    valid = validity(begins_at, kind.valid_days, kind.grace_days, around.zone)
    fields = await person_fields(session, around.student.id)
    renewed = NewCertificate(
        certificate_id=certificate_id_for(around.enrollment.id, kind.template_id, str(certificate.id)),
        template_id=kind.template_id,
        version=kind.version,
        origin=CertificateOrigin.RENEWAL,
        series=kind.series,
        validity=valid,
        facts=facts_to_freeze(around, name, fields, issued_at=by.moment, expires_at=valid.expires_at),
        predecessor_id=certificate.id,
    )
    [successor] = await write_certificates(session, around, [renewed], by, "renewed")
    return answer_of(successor)


async def supersede(session: AsyncSession, certificate: Certificate, by: Writing, reason: str) -> None:
    """Another one takes its place; one that has expired stays expired."""
    if certificate.status == CertificateStatus.ISSUED:
        await _audit(session, [move(certificate, CertificateStatus.SUPERSEDED, by.moment)], by, reason)


async def _audit(session: AsyncSession, changes: Sequence[StateChange], by: Writing, reason: str) -> None:
    await write_audit(session, changes, actor=by.actor, reason=reason, workflow_id=by.workflow_id)
