"""People as others refer to them: who is behind an actor, and the lock that makes changes come one after the other."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import CompoundSelect, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.tables import Person


def person_behind(actor: str) -> UUID | None:
    """The person whom an actor such as `staff:<id>` names; none for a system, or a caller with a name of its own."""
    try:
        return UUID(actor.partition(":")[2])
    except ValueError:
        return None


async def lock_people(
    session: AsyncSession, person_ids: Collection[UUID] | Select[UUID] | CompoundSelect[UUID]
) -> list[UUID]:
    """Whoever buys for these people, writes marketing mail to them or changes a cart or a subscription of theirs waits
    until the transaction ends. Answers those of them who exist. Rows that refer to them can still be written.

    An order is locked before its people, and carts, mails and all else after them (`activities/holds.py`); nobody locks
    a cart or a marketing mail without its person. What the lock protects is read in statements of their own after it.
    """
    locked = select(col(Person.id)).where(col(Person.id).in_(person_ids)).order_by(col(Person.id))
    return list((await session.execute(locked.with_for_update(key_share=True))).scalars())
