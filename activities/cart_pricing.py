"""What is in a cart priced as of now, by the code that prices orders."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from models.quote import Quote
from rules.decision import Refused


async def quote_courses(
    session: AsyncSession, person_id: UUID, course_ids: Sequence[UUID], coupon_code: str | None, moment: datetime
) -> Quote | Refused:
    """What the courses would cost this person at `moment` (UTC), or why they cannot be bought together."""
    raise NotImplementedError
