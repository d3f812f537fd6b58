"""In whose zone a day is counted: the person's, the academy's where nobody knows theirs."""

from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.tables import Academy, Person


def zone_of(theirs: str, academys: str) -> ZoneInfo:
    """The person's zone, or the academy's if theirs is none that is known."""
    try:
        return ZoneInfo(theirs)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(academys)


async def zone_of_person(session: AsyncSession, person_id: UUID) -> ZoneInfo:
    """The zone in which this person's day is counted."""
    query = select(col(Person.time_zone), col(Academy.time_zone)).join(Academy, true())
    return zone_of(*(await session.execute(query.where(col(Person.id) == person_id))).one())


async def zone_of_academy(session: AsyncSession) -> ZoneInfo:
    """The zone in which the academy's day is counted. Raises `NoResultFound` as long as there is no academy."""
    return ZoneInfo((await session.execute(select(col(Academy.time_zone)))).scalar_one())


async def zone_if_any(session: AsyncSession) -> ZoneInfo | None:
    """The same; none as long as there is no academy."""
    name = (await session.execute(select(col(Academy.time_zone)))).scalar_one_or_none()
    return None if name is None else ZoneInfo(name)
