"""How the academy reminds of carts: as it has set it, else by the numbers of rules/cart.py."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.tables import Academy, CartSettings
from models.tables.columns import now
from rules.cart import CUTOFF, DELAYS


async def cart_settings(session: AsyncSession) -> CartSettings:
    """The settings that hold now, in one statement. Those of an academy that has set nothing are in no session."""
    query = select(col(Academy.id), CartSettings).join(
        CartSettings, col(CartSettings.academy_id) == col(Academy.id), isouter=True
    )
    academy_id, found = (await session.execute(query)).one()
    return found or default_cart_settings(academy_id)


def default_cart_settings(academy_id: UUID) -> CartSettings:
    """What holds where nothing was set."""
    return CartSettings(
        academy_id=academy_id, cutoff_minutes=_minutes(CUTOFF), delays_minutes=[_minutes(delay) for delay in DELAYS]
    )


async def keep_cart_settings(session: AsyncSession, wanted: CartSettings) -> None:
    """Let these settings hold from now on. Carts that are asleep keep the moments they were told."""
    values = {**wanted.model_dump(), "updated_at": now()}
    changed = {name: value for name, value in values.items() if name != "academy_id"}
    await session.execute(
        insert(CartSettings).values(values).on_conflict_do_update(index_elements=["academy_id"], set_=changed)
    )


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds()) // 60
