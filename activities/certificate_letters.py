"""The letters about certificates, and what they tell, read from the record in one statement."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID

from sqlalchemy import exists, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from activities.certificate_links import download_address, download_token
from activities.errand import Addressed, Draft, Skipped
from activities.mail_rendering import Words
from activities.one_line import one_line
from models.certificate_facts import CertificateFacts
from models.identifiers import verification_address
from models.tables import Academy, Certificate, Course, Enrollment, Person
from models.vocabulary import CertificateOrigin, CertificateStatus, EnrollmentStatus

_FIRST = "ask"


@dataclass(frozen=True)
class ToldCertificate:
    """A certificate as it was issued, its holder, and whether another one has followed on it."""

    recipient: Person
    certificate: Certificate
    student_id: UUID
    academy: Academy
    is_followed: bool


@dataclass(frozen=True)
class ToldName:
    """A learner whose certificate waits for their name."""

    recipient: Person
    enrollment: Enrollment
    course: Course
    academy: Academy


@dataclass(frozen=True)
class CertificateErrand(Addressed[ToldCertificate]):
    """One mail about a certificate."""

    @cached_property
    def printed(self) -> CertificateFacts:
        """What is printed on it."""
        return CertificateFacts.model_validate(self.facts.certificate.facts)

    @property
    def verify_url(self) -> str:
        """The page on which anybody can check it."""
        return verification_address(self.pages.public.url, self.facts.certificate.code or "")

    @property
    def download_url(self) -> str | None:
        """The PDF, without a login; none where nothing signs such links."""
        secret = self.pages.public.link_secret
        if secret is None:
            return None
        token = download_token(secret, self.facts.certificate.id, self.moment)
        return download_address(self.pages.public.url, token)

    @property
    def expires_on(self) -> str | None:
        """The last day on which it counts."""
        ends_at = self.facts.certificate.expires_at
        return None if ends_at is None else self.day_of(ends_at)

    def day_of(self, moment: datetime) -> str:
        """The day where the academy is, as it is printed and shown to whoever checks it, in the reader's language."""
        return Words(self.recipient.locale, self.facts.academy.time_zone).day_of(moment)

    @property
    def common(self) -> dict[str, object]:
        """What every letter about a certificate says."""
        return {
            **super().common,
            "is_test": self.printed.is_test,
            "course": one_line(self.printed.course_name or ""),
            "number": self.facts.certificate.number,
            "holder": one_line(self.printed.student_full_name or ""),
            "verify_url": self.verify_url,
            "expires_on": self.expires_on,
        }


@dataclass(frozen=True)
class NameErrand(Addressed[ToldName]):
    """One mail about a name that nobody has confirmed yet."""


async def facts_of_certificate(
    session: AsyncSession, certificate_id: UUID, recipient_id: UUID
) -> ToldCertificate | None:
    """The certificate for a mail to this person; none if one of the two does not exist."""
    newer = aliased(Certificate)
    query = (
        select(
            Person,
            Certificate,
            col(Enrollment.student_id),
            Academy,
            exists().where(col(newer.predecessor_id) == col(Certificate.id)),
        )
        .select_from(Certificate)
        .join(Enrollment, col(Enrollment.id) == col(Certificate.enrollment_id))
        .join(Person, col(Person.id) == recipient_id)
        .join(Academy, true())
        .where(col(Certificate.id) == certificate_id, col(Certificate.code).is_not(None))
    )
    found = (await session.execute(query)).one_or_none()
    return None if found is None else ToldCertificate(*found)


async def facts_of_name(session: AsyncSession, enrollment_id: UUID, recipient_id: UUID) -> ToldName | None:
    """The enrollment for a mail to this person; none if one of the two does not exist."""
    query = (
        select(Person, Enrollment, Course, Academy)
        .select_from(Enrollment)
        .join(Person, col(Person.id) == recipient_id)
        .join(Course, col(Course.id) == col(Enrollment.course_id))
        .join(Academy, true())
        .where(col(Enrollment.id) == enrollment_id)
    )
    found = (await session.execute(query)).one_or_none()
    return None if found is None else ToldName(*found)


def holder_of(facts: ToldCertificate) -> Collection[UUID]:
    """Whose certificate it is."""
    return (facts.student_id,)


def bearer_of(facts: ToldName) -> Collection[UUID]:
    """Whose name it is."""
    return (facts.enrollment.student_id,)


def certificate_issued(errand: CertificateErrand) -> Draft | Skipped:
    """Here it is: the PDF and the page on which others can check it. Also of one that renews or corrects another."""
    certificate = errand.facts.certificate
    if certificate.status != CertificateStatus.ISSUED or certificate.file_sha256 is None:
        return Skipped(str(certificate.status))
    is_earned = certificate.origin == CertificateOrigin.COMPLETION
    key = "certificate_issued" if is_earned else f"certificate_issued.{certificate.origin}"
    return Draft({"download_url": errand.download_url}, key=key)


def certificate_name_needed(errand: NameErrand) -> Draft | Skipped:
    """The name is to be confirmed before it is printed. The occasion begins with `ask`, or is a reminder."""
    person = errand.recipient
    if person.legal_name_confirmed_at is not None:
        return Skipped("name_confirmed")
    if errand.facts.enrollment.status == EnrollmentStatus.CANCELED:
        return Skipped("enrollment_canceled")
    word, _, _ = errand.occasion.partition("_")
    key = "certificate_name_needed"
    return Draft(
        {
            "course": one_line(errand.facts.course.title),
            "name_on_file": one_line(person.legal_name or person.full_name),
        },
        key=key if word in ("", _FIRST) else f"{key}.reminder",
    )


def certificate_expiring(errand: CertificateErrand) -> Draft | Skipped:
    """Until when it counts, and that it can be renewed. The occasion is how many days before, e.g. `30d`."""
    return _unless_followed(errand, CertificateStatus.ISSUED) or Draft()


def certificate_expired(errand: CertificateErrand) -> Draft | Skipped:
    """It does not count any more, and until when it can be renewed."""
    renewable_until = errand.facts.certificate.renewable_until
    is_open = renewable_until is not None and renewable_until > errand.moment
    return _unless_followed(errand, CertificateStatus.ISSUED, CertificateStatus.EXPIRED) or Draft(
        {"renewable_until": errand.day_of(renewable_until) if is_open and renewable_until else None}
    )


def certificate_revoked(errand: CertificateErrand) -> Draft | Skipped:
    """It does not count any more, and why."""
    certificate = errand.facts.certificate
    if certificate.status != CertificateStatus.REVOKED or certificate.revoked_at is None:
        return Skipped(str(certificate.status))
    reason = certificate.revocation_reason or "other"
    return Draft(
        {
            "reason": errand.words.texts[f"revocation_reason.{reason}"],
            "revoked_on": errand.day_of(certificate.revoked_at),
        }
    )


def certificate_correction_rejected(errand: CertificateErrand) -> Draft | Skipped:
    """The name stays as it is printed. The occasion is which wish for another one."""
    return _unless_followed(errand, CertificateStatus.ISSUED, CertificateStatus.EXPIRED) or Draft()


def _unless_followed(errand: CertificateErrand, *still: CertificateStatus) -> Skipped | None:
    if errand.facts.is_followed:
        return Skipped("superseded")
    status = CertificateStatus(errand.facts.certificate.status)
    return None if status in still else Skipped(status.value)
