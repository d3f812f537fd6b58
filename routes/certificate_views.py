"""Certificates as the API shows them, and the wishes for another name on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Row, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from models.certificate_facts import CertificateFacts
from models.errors import Reason
from models.identifiers import verification_address
from models.tables import Certificate, Enrollment, NameCorrection, Note
from models.vocabulary import (
    CertificateGround,
    CertificateOrigin,
    CertificateStatus,
    CorrectionStatus,
    RevocationReason,
)
from routes.application_views import note_view
from routes.problems import ProblemError
from routes.task_views import NoteView
from routes.tokens import Principal

CERTIFICATE_NOTE = "certificate"
EXCEPTION_NOTE = "certificate_exception"


class CertificateView(BaseModel):
    """A certificate as it was issued, and whether it still counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    number: str = Field(description="for people, gapless in its series")
    status: CertificateStatus
    origin: CertificateOrigin
    enrollment_id: UUID
    student_id: UUID
    course_id: UUID
    template_id: UUID
    template_version: int = Field(description="the version of the template that it is printed by, for good")
    holder: str = Field(description="the name that is printed")
    course: str = Field(description="the title that is printed")
    is_test: bool
    issued_at: datetime
    expires_at: datetime | None = Field(description="none: never")
    renewable_until: datetime | None = Field(description="the end of its grace")
    revoked_at: datetime | None
    revocation_reason: RevocationReason | None
    predecessor_id: UUID | None = Field(description="the one that it renews or corrects")
    successor_id: UUID | None = Field(description="the one that renews or corrects it")
    verify_url: str = Field(description="where anybody can check it")
    is_rendered: bool = Field(description="whether its PDF is there")
    notes: tuple[NoteView, ...] | None = Field(description="why it was issued as an exception, or revoked; staff only")


class IssueView(BaseModel):
    """What an enrollment was certified with, or what its certificate waits for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enrollment_id: UUID
    grounds: tuple[CertificateGround, ...] = Field(description="what it waits for; none if all is issued")
    certificates: tuple[CertificateView, ...]


class CorrectionView(BaseModel):
    """A wish for another name, and what became of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    certificate_id: UUID
    requested_name: str
    status: CorrectionStatus
    needs_person: bool = Field(description="whether somebody has to decide; slips are corrected at once")
    has_evidence: bool
    new_certificate_id: UUID | None = Field(description="the one that bears the name, once it is issued")
    created_at: datetime
    decided_at: datetime | None
    requested_by: str | None = Field(description="for staff only")
    decided_by: str | None = Field(description="for staff only")


CERTIFICATE = CertificateView(
    id=UUID("0198f3a0-7777-5000-8000-000000000001"),
    number="CERT-2026-000042",
    status=CertificateStatus.ISSUED,
    origin=CertificateOrigin.COMPLETION,
    enrollment_id=UUID("0198f3a0-4444-7000-8000-000000000001"),
    student_id=UUID("0198f3a0-2222-7000-8000-000000000001"),
    course_id=UUID("0198f3a0-1111-7000-8000-000000000001"),
    template_id=UUID("0198f3a0-8888-7000-8000-000000000001"),
    template_version=3,
    holder="Łukasz Żółć",
    course="Conversational Spanish B1",
    is_test=False,
    issued_at=datetime(2026, 3, 2, 10, 17, tzinfo=UTC),
    expires_at=datetime(2027, 3, 2, 22, 59, 59, tzinfo=UTC),
    renewable_until=datetime(2027, 4, 1, 21, 59, 59, tzinfo=UTC),
    revoked_at=None,
    revocation_reason=None,
    predecessor_id=None,
    successor_id=None,
    verify_url="https://academy.example/verify/01J9Z3V6T1Q8N4W2X7C5B0KDMH",
    is_rendered=True,
    notes=None,
)
CORRECTION = CorrectionView(
    id=UUID("0198f3a0-9999-5000-8000-000000000001"),
    certificate_id=CERTIFICATE.id,
    requested_name="Łukasz Żółciński",
    status=CorrectionStatus.REQUESTED,
    needs_person=True,
    has_evidence=True,
    new_certificate_id=None,
    created_at=datetime(2026, 3, 3, 8, 0, tzinfo=UTC),
    decided_at=None,
    requested_by=None,
    decided_by=None,
)

_newer = aliased(Certificate)


@dataclass(frozen=True)
class Viewer:
    """Who looks, and below which address certificates are checked."""

    principal: Principal
    public_url: str


def certificates() -> Select[*tuple[Any, ...]]:
    """Certificates, whose they are and which ones follow on them.

    What the learning platform certified before Registrar did has no number, and is not listed.
    """
    return (
        select(Certificate, col(Enrollment.student_id), col(Enrollment.course_id), col(_newer.id))
        .join(Enrollment, col(Enrollment.id) == col(Certificate.enrollment_id))
        .join(_newer, col(_newer.predecessor_id) == col(Certificate.id), isouter=True)
        .where(col(Certificate.number).is_not(None))
    )


def visible_to(principal: Principal) -> list[ColumnElement[bool]]:
    """Certificates are for their holders and for staff."""
    return [] if principal.is_staff else [col(Enrollment.student_id) == principal.person_id]


async def visible_certificate(session: AsyncSession, certificate_id: UUID, principal: Principal) -> Certificate:
    """The certificate, if it may be seen. Raises the problem `not_found`."""
    found = certificates().where(col(Certificate.id) == certificate_id, *visible_to(principal))
    row = (await session.execute(found)).one_or_none()
    if row is None:
        raise unknown_certificate()
    certificate: Certificate = row[0]
    return certificate


def unknown_certificate() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such certificate, or it is not yours.")


async def certificate_views(
    session: AsyncSession, viewer: Viewer, rows: Sequence[Row[*tuple[Any, ...]]]
) -> tuple[CertificateView, ...]:
    """The rows of `certificates` as they are shown, with their notes in one statement."""
    found = await _notes(session, [row[0] for row in rows]) if viewer.principal.is_staff else None
    return tuple(_view(viewer, row, found) for row in rows)


async def read_certificate(session: AsyncSession, viewer: Viewer, certificate_id: UUID) -> CertificateView:
    """How one stands. Raises the problem `not_found`."""
    found = certificates().where(col(Certificate.id) == certificate_id, *visible_to(viewer.principal))
    views = await certificate_views(session, viewer, (await session.execute(found)).all())
    if not views:
        raise unknown_certificate()
    return views[0]


def correction_view(
    correction: NameCorrection, principal: Principal, new_certificate_id: UUID | None
) -> CorrectionView:
    """A wish as it is shown."""
    is_granted = correction.status == CorrectionStatus.APPROVED
    return CorrectionView(
        id=correction.id,
        certificate_id=correction.certificate_id,
        requested_name=correction.requested_name,
        status=CorrectionStatus(correction.status),
        needs_person=correction.needs_person,
        has_evidence=correction.evidence_sha256 is not None,
        new_certificate_id=new_certificate_id if is_granted else None,
        created_at=correction.created_at,
        decided_at=correction.decided_at,
        requested_by=correction.requested_by if principal.is_staff else None,
        decided_by=correction.decided_by if principal.is_staff else None,
    )


async def _notes(session: AsyncSession, shown: Sequence[Certificate]) -> Sequence[Note]:
    query = select(Note).where(
        or_(
            (col(Note.subject_kind) == CERTIFICATE_NOTE) & col(Note.subject_id).in_({each.id for each in shown}),
            (col(Note.subject_kind) == EXCEPTION_NOTE)
            & col(Note.subject_id).in_({each.enrollment_id for each in shown}),
        )
    )
    return (await session.execute(query.order_by(col(Note.created_at), col(Note.id)))).scalars().all()


def _view(viewer: Viewer, row: Row[*tuple[Any, ...]], notes: Sequence[Note] | None) -> CertificateView:
    certificate, student_id, course_id, successor_id = row
    facts = CertificateFacts.model_validate(certificate.facts)
    about = {certificate.id}
    if certificate.origin == CertificateOrigin.EXCEPTION:
        about.add(certificate.enrollment_id)
    own = None if notes is None else tuple(note_view(note) for note in notes if note.subject_id in about)
    return CertificateView.model_validate(
        {
            **{name: getattr(certificate, name) for name in _AS_IT_IS},
            "student_id": student_id,
            "course_id": course_id,
            "holder": facts.student_full_name or "",
            "course": facts.course_name or "",
            "is_test": facts.is_test,
            "successor_id": successor_id,
            "verify_url": verification_address(viewer.public_url, certificate.code or ""),
            "is_rendered": certificate.file_sha256 is not None,
            "notes": own,
        }
    )


_AS_IT_IS = (
    "id", "number", "status", "origin", "enrollment_id", "template_id", "template_version", "issued_at", "expires_at",
    "renewable_until", "revoked_at", "revocation_reason", "predecessor_id",
)  # fmt: skip
