"""The coupon that the last mail of a cart may offer: for one person, for one use, for two days."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from models.tables import Coupon


async def cart_coupon(session: AsyncSession, cart_id: UUID, moment: datetime) -> Coupon | None:
    """The coupon of the cart's last mail, if it has one that is good at `moment` (UTC)."""
    raise NotImplementedError
