"""The rows of checks that look over the record again and again: one per run, from its beginning to its end."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.identifiers import check_run_id_for
from models.tables import CheckRun
from models.tables.columns import now
from models.vocabulary import CheckKind, CheckStatus


async def begin_run(
    session: AsyncSession,
    workflow_id: str,
    kind: CheckKind,
    scope: str,
    looked_from: datetime | None,
    looked_until: datetime | None,
) -> UUID:
    """Write down that this workflow looks over that span of time (UTC). Its row is the same however often it begins."""
    run_id, moment = check_run_id_for(workflow_id), now()
    begun = insert(CheckRun).values(
        id=run_id,
        created_at=moment,
        updated_at=moment,
        kind=kind,
        scope=scope,
        looked_from=looked_from,
        looked_until=looked_until,
        counts={},
        workflow_id=workflow_id,
    )
    await session.execute(begun.on_conflict_do_nothing())
    return run_id


async def end_run(session: AsyncSession, run_id: UUID, counts: Mapping[str, int]) -> None:
    """Write down what the run came to. One that has ended keeps its counts."""
    moment = now()
    await session.execute(
        update(CheckRun)
        .where(col(CheckRun.id) == run_id, col(CheckRun.status) == CheckStatus.RUNNING)
        .values(status=CheckStatus.DONE, counts=dict(counts), ended_at=moment, updated_at=moment)
    )
