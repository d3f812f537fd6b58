"""Writing down who changed what, in the transaction that changes it."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from models.identifiers import new_id
from models.tables import AuditEntry
from models.tables.columns import now


@dataclass(frozen=True)
class StateChange:
    """One thing going from one state to another; `from_state` is none when it comes into being.

    `reason` is why, where it is not the same as that of the changes it is written with.
    """

    subject_kind: str
    subject_id: UUID
    from_state: str | None
    to_state: str
    reason: str | None = None


async def write_audit(
    session: AsyncSession, changes: Iterable[StateChange], *, actor: str, reason: str, workflow_id: str | None
) -> None:
    """Add a row per change, in one statement."""
    rows = [
        {
            "id": new_id(),
            "created_at": now(),
            "actor": actor,
            "subject_kind": change.subject_kind,
            "subject_id": change.subject_id,
            "from_state": change.from_state,
            "to_state": change.to_state,
            "reason": change.reason or reason,
            "workflow_id": workflow_id,
        }
        for change in changes
    ]
    if rows:
        await session.execute(insert(AuditEntry).values(rows))
