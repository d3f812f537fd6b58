"""Checks that look over the record again and again, and what they found."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.tables.columns import CURRENCY, MINOR_UNITS, STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import CheckKind, CheckStatus, FindingKind, FindingStatus


class CheckRun(Row, table=True):
    """One run of a check, with what it came to."""

    __tablename__ = "check_runs"
    __table_args__ = (
        one_of("kind", CheckKind),
        one_of("status", CheckStatus),
        CheckConstraint("(status = 'running') = (ended_at IS NULL)", name="ended_has_time"),
        Index("ix_check_runs_kind", "kind", "created_at"),
    )

    kind: CheckKind = Field(sa_type=STATE)
    status: CheckStatus = Field(default=CheckStatus.RUNNING, sa_type=STATE)
    scope: str = Field(max_length=32, description="a word of the check's own, e.g. `recent` or `nightly`")
    looked_from: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="how far back it looked")
    looked_until: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    counts: dict[str, int] = Field(default_factory=dict, sa_type=JSONB, description="what was looked at, found, healed")
    workbook_sha256: str | None = Field(default=None, max_length=64)
    ended_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    workflow_id: str = Field(max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class Finding(Row, table=True):
    """Something that a check has found wrong. The same wrong thing, found again, is the same row."""

    __tablename__ = "findings"
    __table_args__ = (
        one_of("kind", FindingKind),
        one_of("found_by", CheckKind),
        one_of("status", FindingStatus),
        CheckConstraint("(status = 'open') = (settled_at IS NULL)", name="settled_has_time"),
        CheckConstraint("times >= 1", name="times_positive"),
        Index("ix_findings_open", "found_by", "kind", postgresql_where=text("status = 'open'")),
        Index("ix_findings_subject", "subject_kind", "subject_id"),
    )

    found_by: CheckKind = Field(sa_type=STATE)
    kind: FindingKind = Field(sa_type=STATE)
    status: FindingStatus = Field(default=FindingStatus.OPEN, sa_type=STATE)
    subject_kind: str = Field(max_length=32, description="what it is about, e.g. `order` or `payment`")
    subject_id: UUID
    stripe_id: str | None = Field(default=None, max_length=255, description="Stripe's object that it is about")
    job_id: str | None = Field(default=None, max_length=255, description="the workflow that it is about")
    reason: str = Field(max_length=500, description="what is wrong, in words for staff; no personal data")
    currency: str | None = Field(default=None, sa_type=CURRENCY)
    expected_amount: int | None = Field(default=None, sa_type=MINOR_UNITS, description="by the record")
    found_amount: int | None = Field(default=None, sa_type=MINOR_UNITS, description="by Stripe")
    times: int = Field(default=1, description="how often it came up after it was settled, and the first time")
    opened_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
    settled_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    settled_by: str | None = Field(default=None, max_length=80, description="the actor, `system` where it went away")
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class CheckRunFinding(SQLModel, table=True):
    """What a run found, whether it was known before or not; and what it did about it at once."""

    __tablename__ = "check_run_findings"

    run_id: UUID = Field(primary_key=True, foreign_key="check_runs.id")
    finding_id: UUID = Field(primary_key=True, foreign_key="findings.id", index=True)
    is_new: bool
    is_healing: bool = Field(default=False, description="whether the job that is behind was told to look again")
    found_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
