"""What was decided of an application, as its record is printed."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True)
class DecisionRecord:
    """Everything that is printed."""

    application_id: UUID


async def decision_record(session: AsyncSession, application_id: UUID) -> DecisionRecord | None:
    """The record of an application; none if there is no such."""
    raise NotImplementedError
