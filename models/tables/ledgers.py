"""What happened: mails, state changes, Stripe's events. Written once, never rewritten."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.tables.columns import STATE, TIMESTAMP, Row, now, one_of
from models.vocabulary import MailList, MailStatus, MailTemplate, StripeEventStatus


class Mail(Row, table=True):
    """One mail about one fact to one person. Its id makes the Message-ID.

    `handed_over_at` is written just before the message body is given to the mail server. A row that has it but
    no end was interrupted in the one moment in which nobody can know: it becomes `unknown`, never a second copy.
    """

    __tablename__ = "mails"
    __table_args__ = (
        one_of("template", MailTemplate),
        one_of("status", MailStatus),
        UniqueConstraint("recipient_id", "template", "subject_id", "occasion"),
        CheckConstraint("(status = 'sent') = (sent_at IS NOT NULL)", name="sent_has_time"),
        CheckConstraint("list IS NULL OR list IN ('cart', 'learning', 'announcements')", name="list_known"),
        CheckConstraint("(deferred_until IS NULL) = (deferred_reason IS NULL)", name="deferred_has_reason"),
        Index(
            "ix_mails_recipient_id_handed_over_at",
            "recipient_id",
            "handed_over_at",
            postgresql_where=text("list IS NOT NULL"),
        ),
        Index("ix_mails_created_at", "created_at"),
        Index("ix_mails_workflow_id", "workflow_id"),
        Index("ix_mails_unsent", "created_at", postgresql_where=text("status IN ('queued', 'unknown')")),
    )

    recipient_id: UUID = Field(foreign_key="people.id")
    template: MailTemplate = Field(sa_type=STATE)
    subject_id: UUID = Field(description="the row the mail is about, e.g. the order")
    occasion: str = Field(default="", max_length=48, description="which of several about the same fact")
    status: MailStatus = Field(default=MailStatus.QUEUED, sa_type=STATE)
    status_reason: str | None = Field(default=None, max_length=200)
    workflow_id: str = Field(max_length=255)
    list: MailList | None = Field(default=None, sa_type=STATE, description="of marketing mail; none is transactional")
    deferred_until: datetime | None = Field(
        default=None, sa_type=TIMESTAMP, description="when the arbiter of marketing mail lets it go, while queued"
    )
    deferred_reason: str | None = Field(default=None, max_length=32, description="`capped` or `quiet_hours`")
    handed_over_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    sent_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    updated_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False)


class AuditEntry(Row, table=True):
    """One state change: who, from, to, why, in which workflow (TutorHub R12). The database refuses to change it."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_subject", "subject_kind", "subject_id", "created_at"),)

    actor: str = Field(max_length=80, description="`student:<id>`, `staff:<id>`, `system`, `stripe`, …")
    subject_kind: str = Field(max_length=32)
    subject_id: UUID
    from_state: str | None = Field(default=None, sa_type=STATE)
    to_state: str = Field(sa_type=STATE)
    reason: str = Field(max_length=200)
    workflow_id: str | None = Field(default=None, max_length=255)


class StripeEvent(SQLModel, table=True):
    """A webhook we accepted. Holds no payload: what it says is read again from Stripe."""

    __tablename__ = "stripe_events"
    __table_args__ = (
        one_of("status", StripeEventStatus),
        Index("ix_stripe_events_received", "stripe_created_at", postgresql_where=text("status = 'received'")),
    )

    event_id: str = Field(primary_key=True, max_length=255)
    type: str = Field(max_length=80)
    object_id: str | None = Field(default=None, max_length=255)
    order_id: UUID | None = Field(default=None, index=True)
    status: StripeEventStatus = Field(default=StripeEventStatus.RECEIVED, sa_type=STATE)
    stripe_created_at: datetime = Field(sa_type=TIMESTAMP)
    received_at: datetime = Field(default_factory=now, sa_type=TIMESTAMP, nullable=False, index=True)
