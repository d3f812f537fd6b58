"""Certificates: how they look, who has one, and runs that issue many."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.tables.columns import STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import (
    BatchOutcome,
    BatchStatus,
    CertificateOrigin,
    CertificateStatus,
    CorrectionStatus,
    RevocationReason,
)

# In days: a hundred years, and ten.
MAX_VALID_DAYS = 36_500
MAX_GRACE_DAYS = 3_650


class CertificateTemplate(Row, table=True):
    """How a certificate looks (Academy of Mine certificate template). Its versions are kept; the latest is used."""

    __tablename__ = "certificate_templates"
    __table_args__ = (CheckConstraint("version > 0", name="version_positive"),)

    name: str = Field(max_length=64, unique=True, description="the academy's own short name, unique")
    title: str = Field(max_length=200)
    version: int = Field(default=1, description="the latest")
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class CertificateTemplateVersion(SQLModel, table=True):
    """One version of a template. Never changed: certificates are rendered by the one they were issued with."""

    __tablename__ = "certificate_template_versions"

    template_id: UUID = Field(primary_key=True, foreign_key="certificate_templates.id")
    version: int = Field(primary_key=True)
    canvas: dict[str, object] = Field(sa_type=JSONB, description="page, background, boxes (models/canvas.py)")
    created_by: str = Field(max_length=80)
    created_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class CourseCertificate(SQLModel, table=True):
    """That a course brings a certificate by this template, for how long it is valid, and in which series it counts."""

    __tablename__ = "course_certificates"
    __table_args__ = (
        CheckConstraint(f"valid_days > 0 AND valid_days <= {MAX_VALID_DAYS}", name="validity_known"),
        CheckConstraint("grace_days >= 0 AND (grace_days = 0 OR valid_days IS NOT NULL)", name="grace_has_end"),
        CheckConstraint(f"grace_days <= {MAX_GRACE_DAYS}", name="grace_known"),
        CheckConstraint("series ~ '^[A-Z][A-Z0-9]{0,7}$'", name="series_short"),
    )

    course_id: UUID = Field(primary_key=True, foreign_key="courses.id")
    template_id: UUID = Field(primary_key=True, foreign_key="certificate_templates.id")
    valid_days: int | None = Field(default=None, description="`certificateExpiresAfter`; none: it never expires")
    grace_days: int = Field(
        default=0, description="`certificateExpiresAfterGracePeriod`: how long after that it can be renewed"
    )
    series: str = Field(default="CERT", max_length=8, description="first part of its numbers")


class Certificate(Row, table=True):
    """That a student has completed a course: the facts as they were at issue, and whether it still counts.

    Rows from before version 0.6 were written by the learning platform, and have no template, number or code.
    """

    __tablename__ = "certificates"
    __table_args__ = (
        one_of("status", CertificateStatus),
        one_of("origin", CertificateOrigin),
        one_of("revocation_reason", RevocationReason),
        # At most one of a kind counts, or may count again, at a time.
        Index(
            "uq_certificates_enrollment_template_live",
            "enrollment_id",
            "template_id",
            unique=True,
            postgresql_where=text("status IN ('issued', 'revoked')"),
        ),
        CheckConstraint(
            "num_nonnulls(template_id, template_version, number, code, facts, origin) IN (0, 6)", name="issued_whole"
        ),
        CheckConstraint("(status = 'revoked') = (revoked_at IS NOT NULL)", name="revoked_has_time"),
        CheckConstraint("renewable_until >= expires_at", name="grace_after_end"),
        Index("ix_certificates_expires_at", "expires_at", postgresql_where=text("status = 'issued'")),
        Index("ix_certificates_wakes_at", "wakes_at", postgresql_where=text("wakes_at IS NOT NULL")),
        Index("ix_certificates_file_sha256", "file_sha256", postgresql_where=text("file_sha256 IS NOT NULL")),
    )

    enrollment_id: UUID = Field(foreign_key="enrollments.id", index=True)
    template_id: UUID | None = Field(default=None, foreign_key="certificate_templates.id")
    template_version: int | None = None
    origin: CertificateOrigin | None = Field(default=None, sa_type=STATE)
    number: str | None = Field(default=None, max_length=40, unique=True, description="for people, gapless per series")
    code: str | None = Field(
        default=None, max_length=26, unique=True, description="128 random bits: the key of its verification page"
    )
    status: CertificateStatus = Field(default=CertificateStatus.ISSUED, sa_type=STATE)
    status_reason: str | None = Field(default=None, max_length=200, description="why it was revoked, in staff's words")
    revocation_reason: RevocationReason | None = Field(default=None, sa_type=STATE)
    facts: dict[str, object] | None = Field(
        default=None, sa_type=JSONB(none_as_null=True), description="all that is printed, as it was at issue"
    )
    predecessor_id: UUID | None = Field(
        default=None, foreign_key="certificates.id", unique=True, description="the one that it renews or corrects"
    )
    file_sha256: str | None = Field(default=None, max_length=64, description="of the PDF, once it is rendered")
    issued_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP)
    expires_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="none: never")
    renewable_until: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="the end of its grace")
    revoked_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    wakes_at: datetime | None = Field(
        default=None,
        sa_type=TIMESTAMP,
        description="when its job is woken to look at what another has changed; none: it has looked",
    )
    actor: str = Field(default="system", max_length=80, description="who issued it, `system` for a completion")
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class NameCorrection(Row, table=True):
    """A wish for another name on a certificate, with what speaks for it."""

    __tablename__ = "name_corrections"
    __table_args__ = (
        one_of("status", CorrectionStatus),
        CheckConstraint("(status = 'requested') = (decided_at IS NULL)", name="decided_has_time"),
        Index(
            "uq_name_corrections_certificate_open",
            "certificate_id",
            unique=True,
            postgresql_where=text("status = 'requested'"),
        ),
        CheckConstraint("(evidence_sha256 IS NULL) = (evidence_media_type IS NULL)", name="evidence_whole"),
    )

    certificate_id: UUID = Field(foreign_key="certificates.id", index=True)
    requested_name: str = Field(max_length=200)
    evidence_sha256: str | None = Field(default=None, max_length=64)
    evidence_media_type: str | None = Field(default=None, max_length=80)
    status: CorrectionStatus = Field(default=CorrectionStatus.REQUESTED, sa_type=STATE)
    needs_person: bool = Field(description="whether somebody has to decide; small slips are corrected at once")
    requested_by: str = Field(max_length=80)
    decided_by: str | None = Field(default=None, max_length=80)
    decided_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)


class CertificateBatch(Row, table=True):
    """A run that certifies many learners of a course."""

    __tablename__ = "certificate_batches"
    __table_args__ = (
        one_of("status", BatchStatus),
        CheckConstraint("(status = 'running') = (ended_at IS NULL)", name="ended_has_time"),
    )

    course_id: UUID = Field(foreign_key="courses.id", index=True)
    status: BatchStatus = Field(default=BatchStatus.RUNNING, sa_type=STATE)
    requested_by: str = Field(max_length=80)
    asked_sha256: str = Field(max_length=64, description="of whom it was asked for, so that a repeat is told apart")
    workbook_sha256: str | None = Field(default=None, max_length=64, description="of its result, once it is written")
    ended_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    workflow_id: str = Field(max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class CertificateBatchLine(SQLModel, table=True):
    """One learner of a run, and what became of them; no outcome yet while it is their turn or before."""

    __tablename__ = "certificate_batch_lines"
    __table_args__ = (
        one_of("outcome", BatchOutcome),
        UniqueConstraint("batch_id", "position"),
    )

    batch_id: UUID = Field(primary_key=True, foreign_key="certificate_batches.id")
    enrollment_id: UUID = Field(primary_key=True, foreign_key="enrollments.id")
    position: int = Field(description="from 1, in which they are taken")
    outcome: BatchOutcome | None = Field(default=None, sa_type=STATE)
    ground: str | None = Field(default=None, max_length=32, description="a word of `CertificateGround`")
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
