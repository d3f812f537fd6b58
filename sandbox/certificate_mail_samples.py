"""Mails about made-up certificates, and names that are missing on them."""

from datetime import datetime, timedelta

from activities.certificate_letters import CertificateErrand, NameErrand, ToldCertificate, ToldName
from activities.errand import Pages, PublicPages
from activities.letters import (
    CERTIFICATE_LETTERS,
    NAME_LETTERS,
    set_letter,
)
from activities.mail_rendering import RenderedMail
from models.certificate_facts import CertificateFacts
from models.tables import (
    Certificate,
)
from models.vocabulary import (
    CertificateOrigin,
    CertificateStatus,
    EnrollmentStatus,
    MailTemplate,
    RevocationReason,
)
from sandbox.mail_samples import (
    NOW,
    PUBLIC,
    a_line,
    a_person,
    an_academy,
    an_id,
    drafted,
)


def certificate_errand(
    template: MailTemplate, *, locale: str = "en", zone: str = "Europe/Dublin", name: str = "Grace Hopper",
    occasion: str = "", title: str = "Spanish for beginners", origin: CertificateOrigin = CertificateOrigin.COMPLETION,
    expires_at: datetime | None = NOW + timedelta(days=365), status: CertificateStatus | None = None,
    reason: RevocationReason = RevocationReason.ISSUED_IN_ERROR, is_followed: bool = False, moment: datetime = NOW,
    pages: PublicPages = PUBLIC,
) -> CertificateErrand:  # fmt: skip
    """A certificate that was issued to the reader, or has become what the mail is about."""
    reader = a_person(name, locale=locale, zone=zone)
    usual = {
        MailTemplate.CERTIFICATE_REVOKED: CertificateStatus.REVOKED,
        MailTemplate.CERTIFICATE_EXPIRED: CertificateStatus.EXPIRED,
    }
    status = status or usual.get(template, CertificateStatus.ISSUED)
    if status is CertificateStatus.EXPIRED:
        expires_at = NOW - timedelta(hours=1)
    facts = CertificateFacts(student_full_name=name, course_name=title, language=locale)
    is_revoked = status is CertificateStatus.REVOKED
    certificate = Certificate(
        id=an_id("certificate"), enrollment_id=an_id("place"), template_id=an_id("template"), template_version=1,
        origin=origin, number="CERT-2026-000042", code="01J9Z3V6T1Q8N4W2X7C5B0KDMH", status=status,
        facts=facts.model_dump(mode="json"), file_sha256="0" * 64, issued_at=NOW, expires_at=expires_at,
        renewable_until=None if expires_at is None else expires_at + timedelta(days=30),
        revoked_at=NOW if is_revoked else None, revocation_reason=reason if is_revoked else None,
    )  # fmt: skip
    told = ToldCertificate(reader, certificate, reader.id, an_academy(), is_followed)
    return CertificateErrand(told, certificate.id, occasion, moment, Pages(public=pages))


def write_about_certificate(template: MailTemplate, **told: object) -> RenderedMail:
    """The mail that a letter about a certificate makes."""
    errand = certificate_errand(template, **told)  # type: ignore[arg-type]
    return set_letter(template, errand, drafted(CERTIFICATE_LETTERS[template].write(errand)))


def name_errand(
    *, locale: str = "en", zone: str = "Europe/Dublin", name: str = "Grace Hopper", occasion: str = "ask",
    title: str = "Spanish for beginners", status: EnrollmentStatus = EnrollmentStatus.COMPLETED,
    confirmed_at: datetime | None = None, moment: datetime = NOW,
) -> NameErrand:  # fmt: skip
    """A learner who has completed a course and has not said how they are called."""
    reader = a_person(name, locale=locale, zone=zone)
    reader.legal_name_confirmed_at = confirmed_at
    bought = a_line(1, title, reader, status=status)
    [place] = bought.places
    told = ToldName(reader, place.enrollment, place.course, an_academy())
    return NameErrand(told, place.enrollment.id, occasion, moment, Pages(public=PUBLIC))


def write_about_name(**told: object) -> RenderedMail:
    """The mail that asks a learner for their name."""
    template = MailTemplate.CERTIFICATE_NAME_NEEDED
    errand = name_errand(**told)  # type: ignore[arg-type]
    return set_letter(template, errand, drafted(NAME_LETTERS[template].write(errand)))
