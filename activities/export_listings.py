"""Every export that lists things, by its report."""

from collections.abc import Mapping
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import SQLCoreOperations
from sqlmodel import col

from activities.export_columns import Column, ColumnType, Listing, ListingOf
from models.messages.exports import ExportFilters
from models.tables import AuditEntry
from models.vocabulary import ExportReport


def within(moment: SQLCoreOperations[datetime], filters: ExportFilters, zone: ZoneInfo) -> list[ColumnElement[bool]]:
    """That the moment is in the half-open span of days, as they begin in the zone."""
    return [
        *([] if filters.date_from is None else [moment >= _start(filters.date_from, zone)]),
        *([] if filters.date_until is None else [moment < _start(filters.date_until, zone)]),
    ]


def _start(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


async def _audit(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
    entry = AuditEntry
    chosen = (
        entry.created_at,
        entry.actor,
        entry.subject_kind,
        entry.subject_id,
        entry.from_state,
        entry.to_state,
        entry.reason,
        entry.workflow_id,
    )
    return Listing(
        "Audit log",
        (
            Column("created_at", "When", ColumnType.MOMENT),
            Column("actor", "Who"),
            Column("subject_kind", "What"),
            Column("subject_id", "Id"),
            Column("from_state", "From"),
            Column("to_state", "To"),
            Column("reason", "Reason"),
            Column("workflow_id", "Job"),
        ),
        select(*map(col, chosen)).where(*within(col(entry.created_at), filters, zone)),
        (col(entry.created_at), col(entry.id)),
    )


LISTINGS: Mapping[ExportReport, ListingOf] = {ExportReport.AUDIT: _audit}
