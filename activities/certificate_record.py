"""Certificates in the record: expired, moved, written with their numbers. Within a transaction that has locked the
enrollment."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.certificate_facts import EnrollmentToCertify
from activities.numbers import next_certificate_numbers
from models.certificate_facts import CertificateFacts
from models.identifiers import certificate_workflow_id
from models.tables import Certificate, CertificateTemplate, CourseCertificate
from models.vocabulary import CertificateOrigin, CertificateStatus
from rules.certificates import Term, Validity, code_of, is_lapsed, is_over, renewed_from
from rules.lifecycle import require_transition

CERTIFICATE = "certificate"


@dataclass(frozen=True)
class BroughtCertificate:
    """A kind of certificate that a course brings, by the latest version of its template."""

    template_id: UUID
    version: int
    valid_days: int | None
    grace_days: int
    series: str


@dataclass(frozen=True)
class NewCertificate:
    """A certificate to be written; its number and its code are still to come."""

    certificate_id: UUID
    template_id: UUID
    version: int
    origin: CertificateOrigin
    series: str
    validity: Validity
    facts: CertificateFacts
    predecessor_id: UUID | None = None


@dataclass(frozen=True)
class Writing:
    """In whose name, and when, something is written down."""

    actor: str
    moment: datetime
    workflow_id: str


async def brought_by(session: AsyncSession, course_id: UUID) -> list[BroughtCertificate]:
    """What the course certifies with, by the names of the templates."""
    query = (
        select(
            col(CertificateTemplate.id),
            col(CertificateTemplate.version),
            col(CourseCertificate.valid_days),
            col(CourseCertificate.grace_days),
            col(CourseCertificate.series),
        )
        .join(CertificateTemplate, col(CertificateTemplate.id) == col(CourseCertificate.template_id))
        .where(col(CourseCertificate.course_id) == course_id)
        .order_by(col(CertificateTemplate.name))
    )
    return [BroughtCertificate(*row) for row in await session.execute(query)]


async def certificates_of(
    session: AsyncSession, enrollment_id: UUID, moment: datetime, workflow_id: str
) -> list[Certificate]:
    """All certificates of the enrollment, the oldest first. Those whose time is over by now have expired.

    What the learning platform certified before Registrar did is left as it is: it has no template.
    """
    query = select(Certificate).where(col(Certificate.enrollment_id) == enrollment_id)
    query = query.order_by(col(Certificate.issued_at), col(Certificate.id)).execution_options(populate_existing=True)
    certificates = list((await session.execute(query)).scalars())
    over = [
        move(each, CertificateStatus.EXPIRED, moment)
        for each in certificates
        if each.status == CertificateStatus.ISSUED and each.template_id is not None and is_over(each.expires_at, moment)
    ]
    await write_audit(session, over, actor="system", reason="its time is over", workflow_id=workflow_id)
    return certificates


def latest_by_template(certificates: Sequence[Certificate]) -> dict[UUID, Certificate]:
    """The latest certificate of each kind: the one that counts, or may count again."""
    return {each.template_id: each for each in certificates if each.template_id is not None}


def term_of(certificate: Certificate, certificates: Sequence[Certificate]) -> Term:
    """Its time, by all certificates of the enrollment: what corrects another counts as that one does, and what renews
    another from the end of that one."""
    by_id, first = {each.id: each for each in certificates}, certificate
    while first.origin == CertificateOrigin.CORRECTION and first.predecessor_id in by_id:
        first = by_id[first.predecessor_id]
    begins_at = first.issued_at
    before = by_id.get(first.predecessor_id) if first.predecessor_id is not None else None
    if first.origin == CertificateOrigin.RENEWAL and before is not None and before.expires_at is not None:
        begins_at = renewed_from(begins_at, before.expires_at)
    return Term(certificate.issued_at, begins_at, certificate.expires_at)


def has_lapsed(certificate: Certificate, moment: datetime) -> bool:
    """Whether it has expired, and cannot be renewed any more."""
    status = CertificateStatus(certificate.status)
    return is_lapsed(status, certificate.expires_at, certificate.renewable_until, moment)


def move(certificate: Certificate, status: CertificateStatus, moment: datetime) -> StateChange:
    """Change its state; answers what to write into the audit log. Raises `IllegalTransitionError`."""
    before = CertificateStatus(certificate.status)
    require_transition(before, status)
    certificate.status, certificate.updated_at = status, moment
    return StateChange(CERTIFICATE, certificate.id, before, status)


async def write_certificates(
    session: AsyncSession, around: EnrollmentToCertify, wanted: Sequence[NewCertificate], by: Writing, reason: str
) -> list[Certificate]:
    """Issue them: each gets the next number of its series, and a code that nobody can guess.

    Whatever they take the place of has been moved before. The numbers are locked until the transaction ends.
    """
    await session.flush()
    year = by.moment.astimezone(around.zone).year
    numbers = await next_certificate_numbers(
        session, [each.series for each in wanted], year=year, is_test=around.is_test
    )
    certificates = [_written(around, each, number, by) for each, number in zip(wanted, numbers, strict=True)]
    session.add_all(certificates)
    await session.flush()
    issued = [StateChange(CERTIFICATE, each.id, None, CertificateStatus.ISSUED) for each in certificates]
    await write_audit(session, issued, actor=by.actor, reason=reason, workflow_id=by.workflow_id)
    return certificates


def _written(around: EnrollmentToCertify, wanted: NewCertificate, number: str, by: Writing) -> Certificate:
    return Certificate(
        id=wanted.certificate_id,
        enrollment_id=around.enrollment.id,
        template_id=wanted.template_id,
        template_version=wanted.version,
        origin=wanted.origin,
        number=number,
        code=code_of(secrets.randbits(128)),
        facts=wanted.facts.model_copy(update={"certificate_code": number}).model_dump(mode="json"),
        predecessor_id=wanted.predecessor_id,
        issued_at=by.moment,
        expires_at=wanted.validity.expires_at,
        renewable_until=wanted.validity.renewable_until,
        # The job of a place that was handed over has written it: that of the place it is has to look.
        wakes_at=None if by.workflow_id == certificate_workflow_id(around.enrollment.id) else by.moment,
        actor=by.actor,
        updated_at=by.moment,
    )
