"""How the academy reminds of carts: as it has set it, else by the numbers of rules/cart.py."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
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


async def keep_cart_settings(session: AsyncSession, wanted: CartSettings, *, actor: str) -> None:
    """Let these settings hold from now on; the same again change nothing. Carts that are asleep keep the moments they
    were told.
    """
    query = select(CartSettings).where(col(CartSettings.academy_id) == wanted.academy_id).with_for_update()
    before = (await session.execute(query)).scalar_one_or_none()
    values = _values(wanted)
    if before is not None and _values(before) == values:
        return
    values["updated_at"] = now()
    written = insert(CartSettings).values(academy_id=wanted.academy_id, **values)
    await session.execute(written.on_conflict_do_update(index_elements=[col(CartSettings.academy_id)], set_=values))
    was = None if before is None else _state(before)
    change = StateChange("cart_settings", wanted.academy_id, was, _state(wanted))
    await write_audit(session, [change], actor=actor, reason="cart settings changed", workflow_id=None)


def _values(settings: CartSettings) -> dict[str, object]:
    return settings.model_dump(exclude={"academy_id", "updated_at"}, warnings=False)


def _state(settings: CartSettings) -> str:
    return "enabled" if settings.is_enabled else "disabled"


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds()) // 60
