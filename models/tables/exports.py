"""Exports: what was asked for, the snapshot it is written from, and its file."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.tables.columns import STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import ExportFormat, ExportReport, ExportStatus


class Export(Row, table=True):
    """One file that somebody, or a schedule, asked for. Its rows are as of one moment."""

    __tablename__ = "exports"
    __table_args__ = (
        one_of("report", ExportReport),
        one_of("format", ExportFormat),
        one_of("status", ExportStatus),
        CheckConstraint("(status = 'running') = (ended_at IS NULL)", name="ended_has_time"),
        CheckConstraint("num_nonnulls(file_sha256, size, expires_at) IN (0, 3)", name="file_whole"),
        Index("ix_exports_requested_by", "requested_by", "created_at"),
        Index("ix_exports_expires_at", "expires_at", postgresql_where=text("status = 'done'")),
    )

    report: ExportReport = Field(sa_type=STATE)
    format: ExportFormat = Field(sa_type=STATE)
    status: ExportStatus = Field(default=ExportStatus.RUNNING, sa_type=STATE)
    status_reason: str | None = Field(default=None, max_length=64, description="a word of ours: why it failed")
    filters: dict[str, object] = Field(sa_type=JSONB, description="`ExportFilters`, as they were asked for")
    asked_sha256: str = Field(max_length=64, description="of what was asked for, so that a repeat is told apart")
    requested_by: str = Field(max_length=80, description="the actor, e.g. `staff:<id>` or `schedule:<id>`")
    columns: list[object] | None = Field(
        default=None, sa_type=JSONB(none_as_null=True), description="the columns, pinned with the snapshot"
    )
    snapshot_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="of when all its rows are")
    row_count: int | None = None
    rows_written: int = 0
    totals: dict[str, object] | None = Field(
        default=None, sa_type=JSONB(none_as_null=True), description="sums of the snapshot, by column and currency"
    )
    file_sha256: str | None = Field(default=None, max_length=64)
    size: int | None = Field(default=None, sa_type=BigInteger, description="bytes of the file")
    expires_at: datetime | None = Field(default=None, sa_type=TIMESTAMP, description="until when the file is kept")
    ended_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    workflow_id: str = Field(max_length=255)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class ExportChunk(SQLModel, table=True):
    """Some thousand rows of an export's snapshot, in order; gone once its file is written."""

    __tablename__ = "export_chunks"

    export_id: UUID = Field(primary_key=True, foreign_key="exports.id")
    number: int = Field(primary_key=True, description="from 0, in which they are written")
    row_count: int
    rows: list[object] = Field(sa_type=JSON, description="lists of values, as the export's columns say")


class ExportPart(SQLModel, table=True):
    """A piece of an export's file that is written: what a resumed export goes on after."""

    __tablename__ = "export_parts"

    export_id: UUID = Field(primary_key=True, foreign_key="exports.id")
    number: int = Field(primary_key=True, description="from 0, in which they are joined")
    row_count: int
    sha256: str = Field(max_length=64)
    size: int
    created_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class ReportRecipient(SQLModel, table=True):
    """Who is sent a report that a schedule makes."""

    __tablename__ = "report_recipients"
    __table_args__ = (one_of("report", ExportReport),)

    report: ExportReport = Field(primary_key=True, sa_type=STATE)
    person_id: UUID = Field(primary_key=True, foreign_key="people.id")
    created_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)
