"""The exports of what happened: mails, without what was in them, and state changes."""

from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.export_columns import Column, ColumnType, Listing, listing
from activities.export_filters import among, within
from models.messages.exports import ExportFilters
from models.tables import AuditEntry, Mail, Person


async def mails(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
    """A row for each mail of the ledger."""
    return listing(
        "Mails",
        (
            (Column("queued_at", "Queued", ColumnType.MOMENT), col(Mail.created_at)),
            (Column("recipient", "Recipient"), col(Person.full_name)),
            (Column("email", "E-mail"), col(Person.email)),
            (Column("template", "Mail"), col(Mail.template)),
            (Column("occasion", "Occasion"), col(Mail.occasion)),
            (Column("status", "Status"), col(Mail.status)),
            (Column("status_reason", "Status reason"), col(Mail.status_reason)),
            (Column("list", "Mailing list"), col(Mail.list)),
            (Column("deferred_until", "Deferred until", ColumnType.MOMENT), col(Mail.deferred_until)),
            (Column("deferred_reason", "Deferred because"), col(Mail.deferred_reason)),
            (Column("handed_over_at", "Handed over", ColumnType.MOMENT), col(Mail.handed_over_at)),
            (Column("sent_at", "Sent", ColumnType.MOMENT), col(Mail.sent_at)),
            (Column("subject_id", "About (id)"), col(Mail.subject_id)),
            (Column("workflow_id", "Job"), col(Mail.workflow_id)),
            (Column("mail_id", "Mail id"), col(Mail.id)),
            (Column("recipient_id", "Recipient id"), col(Mail.recipient_id)),
        ),
        Mail.__table__.join(Person, col(Person.id) == col(Mail.recipient_id)),  # type: ignore[attr-defined]
        (
            *within(col(Mail.created_at), filters, zone),
            *among(col(Mail.status), filters.statuses),
            *among(col(Mail.recipient_id), filters.person_ids),
        ),
        (col(Mail.created_at), col(Mail.id)),
    )


async def audit(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
    """A row for each state change."""
    entry = AuditEntry
    return listing(
        "Audit log",
        (
            (Column("created_at", "When", ColumnType.MOMENT), col(entry.created_at)),
            (Column("actor", "Who"), col(entry.actor)),
            (Column("subject_kind", "What"), col(entry.subject_kind)),
            (Column("subject_id", "Id"), col(entry.subject_id)),
            (Column("from_state", "From"), col(entry.from_state)),
            (Column("to_state", "To"), col(entry.to_state)),
            (Column("reason", "Reason"), col(entry.reason)),
            (Column("workflow_id", "Job"), col(entry.workflow_id)),
        ),
        entry.__table__,  # type: ignore[attr-defined]
        within(col(entry.created_at), filters, zone),
        (col(entry.created_at), col(entry.id)),
    )
