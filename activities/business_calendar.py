"""The calendar by which the academy works: its zone, and the country whose holidays are free."""

from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.tables import Academy

_NOWHERE = ("UTC", "")


async def business_calendar(session: AsyncSession) -> tuple[ZoneInfo, str]:
    """Zone and country of the academy. Before there is one, money can already come in that a person must see."""
    found = (await session.execute(select(col(Academy.time_zone), col(Academy.country)))).one_or_none()
    zone, country = found or _NOWHERE
    return ZoneInfo(zone), country
