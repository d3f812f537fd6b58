"""Who is sent a report that a schedule makes."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from models.tables import ReportRecipient
from models.tables.columns import now
from models.vocabulary import ExportReport

REPORT_RECIPIENT = "report_recipient"


async def recipients_of(session: AsyncSession, report: ExportReport) -> Sequence[UUID]:
    """The ids of those who are sent it, who has been so for longest first."""
    row = ReportRecipient
    query = (
        select(col(row.person_id)).where(col(row.report) == report).order_by(col(row.created_at), col(row.person_id))
    )
    return (await session.execute(query)).scalars().all()


async def keep_recipients(
    session: AsyncSession, report: ExportReport, person_ids: Sequence[UUID], *, actor: str
) -> None:
    """Let these and nobody else be sent it from now on; the same again change nothing. All have to be known people."""
    row, wanted = ReportRecipient, sorted(set(person_ids))
    gone = await session.scalars(
        delete(row).where(col(row.report) == report, col(row.person_id).not_in(wanted)).returning(col(row.person_id))
    )
    changes = [StateChange(REPORT_RECIPIENT, each, "listed", "removed") for each in gone]
    if wanted:
        values = [{"report": report, "person_id": each, "created_at": now()} for each in wanted]
        added = await session.scalars(insert(row).values(values).on_conflict_do_nothing().returning(col(row.person_id)))
        changes += [StateChange(REPORT_RECIPIENT, each, None, "listed") for each in added]
    await write_audit(session, changes, actor=actor, reason=f"recipients of {report}", workflow_id=None)
