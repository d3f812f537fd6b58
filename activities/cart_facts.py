"""What has to be known of a cart to decide whether its owner is reminded of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rules.cart import CartFacts


async def cart_facts(session: AsyncSession, cart_id: UUID, moment: datetime) -> CartFacts | None:
    """The facts at `moment` (UTC), in three statements however full the cart is; none if there is no such cart."""
    raise NotImplementedError
