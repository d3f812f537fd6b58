"""Locking people, so that what they buy and what is written to them comes one after the other."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.tables import Person


async def lock_people(session: AsyncSession, person_ids: Collection[UUID]) -> list[UUID]:
    """Whoever buys for these people, writes marketing mail to them or changes a cart or a subscription of theirs waits
    until the transaction ends. Answers those of them who exist. Rows that refer to them can still be written.

    The order of locks: order, people, carts, mails; then as in `activities/holds.py`. Read what the lock protects in
    statements of their own after it.
    """
    locked = select(col(Person.id)).where(col(Person.id).in_(person_ids)).order_by(col(Person.id))
    return list((await session.execute(locked.with_for_update(key_share=True))).scalars())
