"""Applications of tutors: what they say and show, who decided what about it, and the tutors that come of them."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.tables.columns import STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import (
    ApplicationDocumentKind,
    ApplicationStatus,
    DocumentVerdict,
    Role,
    TutorProfileStatus,
)


class Subject(SQLModel, table=True):
    """What can be taught, and what somebody has to show who wants to teach it."""

    __tablename__ = "subjects"

    code: str = Field(primary_key=True, max_length=64, description="e.g. `spanish`")
    title: str = Field(max_length=200)
    requires_certification: bool = Field(default=False, description="a certification for this very subject")
    requires_video: bool = Field(default=False, description="a video in which the applicant teaches")
    is_open: bool = Field(default=True, description="whether tutors are looked for")


class TutorApplication(Row, table=True):
    """One try of a person to become a tutor (TutorHub §1.1, R100). A person has one that is not decided at a time."""

    __tablename__ = "tutor_applications"
    __table_args__ = (
        one_of("status", ApplicationStatus),
        CheckConstraint("clock_used_seconds >= 0", name="clock_not_negative"),
        CheckConstraint("rounds BETWEEN 0 AND 3", name="rounds_known"),
        CheckConstraint("(status = 'info_requested') = (info_due_at IS NOT NULL)", name="info_has_due_date"),
        CheckConstraint(
            "status IN ('draft', 'withdrawn', 'expired') OR submitted_at IS NOT NULL", name="sent_has_time"
        ),
        Index(
            "uq_tutor_applications_applicant_live",
            "applicant_id",
            unique=True,
            postgresql_where=text("status IN ('draft', 'submitted', 'in_review', 'info_requested', 'inactive')"),
        ),
        Index("ix_tutor_applications_applicant_id", "applicant_id", "created_at"),
        Index("ix_tutor_applications_status", "status", "created_at"),
    )

    applicant_id: UUID = Field(foreign_key="people.id")
    status: ApplicationStatus = Field(default=ApplicationStatus.DRAFT, sa_type=STATE)
    certifications: str | None = Field(default=None, max_length=4000)
    qualifications: str | None = Field(default=None, max_length=4000)
    bio: str | None = Field(default=None, max_length=4000)
    subjects: list[str] = Field(default_factory=list, sa_type=ARRAY(String(64)), description="TutorHub specializations")
    reviewer_id: UUID | None = Field(default=None, foreign_key="people.id", description="who looks after it")
    submitted_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="for the first time")
    clock_started_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="since when it is the reviewers' turn; none while it is not"
    )
    clock_used_seconds: int = Field(default=0, description="working time of their earlier turns (rules/business_days)")
    rounds: int = Field(default=0, description="how often information was asked for")
    info_due_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    decided_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="approved or rejected")
    reapply_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="from when a rejected applicant may try again"
    )
    erase_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="when its documents are erased")
    erased_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    workflow_id: str = Field(max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class ApplicationDocument(Row, table=True):
    """One version of something an applicant shows. A newer version takes its place; none is changed."""

    __tablename__ = "application_documents"
    __table_args__ = (
        one_of("kind", ApplicationDocumentKind),
        CheckConstraint("verdict IS NULL OR verdict IN ('accepted', 'rejected')", name="verdict_known"),
        CheckConstraint("(verdict IS NULL) = (judged_at IS NULL)", name="verdict_has_time"),
        CheckConstraint("(kind = 'video') = (media_type IS NULL)", name="file_has_type"),
        UniqueConstraint("first_version_id", "version", name="uq_application_documents_version"),
        Index(
            "uq_application_documents_current",
            "first_version_id",
            unique=True,
            postgresql_where=text("replaced_at IS NULL"),
        ),
        Index("ix_application_documents_application_id", "application_id", "created_at"),
    )

    application_id: UUID = Field(foreign_key="tutor_applications.id")
    kind: ApplicationDocumentKind = Field(sa_type=STATE)
    subject: str | None = Field(
        default=None, max_length=64, foreign_key="subjects.code", description="of a certification for one subject"
    )
    first_version_id: UUID = Field(description="the same of all versions of a document; its own id in the first")
    version: int = Field(default=1, ge=1)
    file_key: str | None = Field(default=None, max_length=255, description="none of a video, and once it is erased")
    file_name: str | None = Field(default=None, max_length=200, description="as the applicant calls it")
    media_type: str | None = Field(default=None, max_length=64, description="found by looking at the content")
    size: int | None = Field(default=None, description="bytes")
    sha256: str = Field(max_length=64, description="of the file, or of the link; kept when the file is erased")
    link: str | None = Field(default=None, max_length=500, description="https address of a video")
    expires_on: date | None = Field(default=None, description="last day on which the document itself is valid")
    verdict: DocumentVerdict | None = Field(default=None, sa_type=STATE)
    verdict_reason: str | None = Field(default=None, max_length=32, description="one of ReviewReason")
    judged_by: str | None = Field(default=None, max_length=80, description="the actor, e.g. `staff:<id>`")
    judged_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    replaced_at: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="or taken away; none of the current version"
    )


class ApplicationDecision(Row, table=True):
    """What a reviewer decided at one time, on the grounds of which documents. Its id is that of the task."""

    __tablename__ = "application_decisions"
    __table_args__ = (Index("ix_application_decisions_application_id", "application_id", "created_at"),)

    application_id: UUID = Field(foreign_key="tutor_applications.id")
    action: str = Field(max_length=32, description="one of TaskAction")
    reasons: list[str] = Field(default_factory=list, sa_type=ARRAY(String(32)), description="of ReviewReason")
    decided_by: str = Field(max_length=80, description="the actor, e.g. `staff:<id>`")
    seconds: UUID | None = Field(
        default=None, foreign_key="application_decisions.id", description="the decision it is the second opinion on"
    )
    is_override: bool = Field(default=False, description="approved although a document was rejected")
    documents: list[dict[str, object]] = Field(
        sa_type=JSONB, description="id, kind, subject, version, sha256, verdict and reason of each current document"
    )


class Reviewer(SQLModel, table=True):
    """A person who reviews applications, and whether they are there."""

    __tablename__ = "reviewers"

    person_id: UUID = Field(primary_key=True, foreign_key="people.id")
    away_since: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="none while present")
    last_assigned_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="whose turn it is")
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class TutorProfile(Row, table=True):
    """What students see of a tutor. One for each person (TutorHub G30), made by approving an application (G31)."""

    __tablename__ = "tutor_profiles"
    __table_args__ = (one_of("status", TutorProfileStatus),)

    person_id: UUID = Field(foreign_key="people.id", unique=True)
    application_id: UUID = Field(foreign_key="tutor_applications.id", description="what it was made of last")
    status: TutorProfileStatus = Field(sa_type=STATE)
    display_name: str = Field(max_length=200, description="TutorHub R103: the full name")
    bio: str = Field(max_length=4000)
    subjects: list[str] = Field(sa_type=ARRAY(String(64)), description="TutorHub: of specializations")
    experience: str = Field(max_length=4000, description="TutorHub: of qualifications")
    certifications: str = Field(max_length=4000)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class RoleGrant(Row, table=True):
    """A role that a person has been granted here. Tokens come from the identity provider, which is told."""

    __tablename__ = "role_grants"
    __table_args__ = (
        one_of("role", Role),
        Index(
            "uq_role_grants_person_role_live",
            "person_id",
            "role",
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )

    person_id: UUID = Field(foreign_key="people.id")
    role: Role = Field(sa_type=STATE)
    granted_by: str = Field(max_length=80, description="the actor, e.g. `staff:<id>`")
    application_id: UUID = Field(foreign_key="tutor_applications.id", description="why")
    revoked_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
