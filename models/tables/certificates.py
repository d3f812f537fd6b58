"""Certificates that were issued."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field

from models.tables.columns import STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import CertificateStatus


class Certificate(Row, table=True):
    """That a student has completed a course. What is paid back and what is certified depend on each other."""

    __tablename__ = "certificates"
    __table_args__ = (
        one_of("status", CertificateStatus),
        Index(
            "uq_certificates_enrollment_issued",
            "enrollment_id",
            unique=True,
            postgresql_where=text("status = 'issued'"),
        ),
    )

    enrollment_id: UUID = Field(foreign_key="enrollments.id", index=True)
    status: CertificateStatus = Field(default=CertificateStatus.ISSUED, sa_type=STATE)
    status_reason: str | None = Field(default=None, max_length=200, description="why it was revoked")
    issued_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
