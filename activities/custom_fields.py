"""The academy's own fields of people, kept as a whole."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from models.tables import CustomField
from models.tables.columns import now

_SHOWN, _NONE = "shown", "none"


async def custom_fields_in_order(session: AsyncSession) -> Sequence[CustomField]:
    """All of them, in the order of their columns."""
    query = select(CustomField).order_by(col(CustomField.position), col(CustomField.key))
    return (await session.scalars(query)).all()


async def keep_custom_fields(
    session: AsyncSession, academy_id: UUID, wanted: Sequence[CustomField], *, actor: str
) -> None:
    """Let these be the fields, in this order, and no others; the same again change nothing."""
    # Of two at once the later one stays whole.
    await session.execute(text("LOCK TABLE custom_fields IN SHARE ROW EXCLUSIVE MODE"))
    before = await custom_fields_in_order(session)
    if [_values(field) for field in before] == [_values(field) for field in wanted]:
        return
    await session.execute(delete(CustomField))
    if wanted:
        rows = [{**_values(field), "position": place, "updated_at": now()} for place, field in enumerate(wanted)]
        await session.execute(insert(CustomField).values(rows))
    change = StateChange("custom_fields", academy_id, _SHOWN if before else _NONE, _SHOWN if wanted else _NONE)
    await write_audit(session, [change], actor=actor, reason="custom fields changed", workflow_id=None)


def _values(field: CustomField) -> dict[str, object]:
    return {"key": field.key, "label": field.label, "reports": list(field.reports)}
