"""Whether a person has a kind of marketing mail: how it stands, and every yes and no that led there."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from models.tables import Consent, Subscription
from models.tables.columns import now
from models.vocabulary import ConsentSource, MailList

_TOKEN_BYTES = 24


@dataclass(frozen=True)
class Unsubscribed:
    """Whose list it was, and whether this changed anything."""

    person_id: UUID
    list: MailList
    is_new: bool


async def token_of(session: AsyncSession, person_id: UUID, mail_list: MailList) -> str:
    """The key of the person's unsubscribe link for a list, made when it is first asked for."""
    return (await _subscription(session, person_id, mail_list)).token


async def subscribe(
    session: AsyncSession,
    person_id: UUID,
    mail_list: MailList,
    *,
    source: ConsentSource,
    text_version: str | None,
    actor: str,
) -> None:
    """Write down a yes. One more yes to the same words changes nothing."""
    found = await _subscription(session, person_id, mail_list)
    if found.consented_at is not None and found.complained_at is None:
        return
    moment = now()
    before = _state(found)
    found.consented_at, found.withdrawn_at, found.complained_at, found.updated_at = moment, None, None, moment
    await _write(session, found, before, moment, is_given=True, source=source, text_version=text_version, actor=actor)


async def unsubscribe(
    session: AsyncSession, token: str, *, source: ConsentSource, actor: str | None = None
) -> Unsubscribed | None:
    """Write down a no, once: how it was said first stays. None if the token is nobody's."""
    query = select(Subscription).where(col(Subscription.token) == token).with_for_update()
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        return None
    if found.withdrawn_at is not None:
        return Unsubscribed(found.person_id, MailList(found.list), is_new=False)
    moment, before = now(), _state(found)
    found.consented_at, found.withdrawn_at, found.updated_at = None, moment, moment
    who = actor or f"recipient:{found.person_id}"
    await _write(session, found, before, moment, is_given=False, source=source, text_version=None, actor=who)
    return Unsubscribed(found.person_id, MailList(found.list), is_new=True)


async def complain(session: AsyncSession, person_id: UUID, mail_list: MailList, *, actor: str) -> None:
    """The person has called our mail spam: none of the list any more."""
    found = await _subscription(session, person_id, mail_list)
    if found.complained_at is not None:
        return
    moment, before = now(), _state(found)
    found.complained_at = found.updated_at = moment
    found.consented_at, found.withdrawn_at = None, found.withdrawn_at or moment
    complaint = ConsentSource.COMPLAINT
    await _write(session, found, before, moment, is_given=False, source=complaint, text_version=None, actor=actor)


async def _subscription(session: AsyncSession, person_id: UUID, mail_list: MailList) -> Subscription:
    made = insert(Subscription).values(
        person_id=person_id, list=mail_list, token=secrets.token_urlsafe(_TOKEN_BYTES), updated_at=now()
    )
    await session.execute(made.on_conflict_do_nothing())
    return await session.get_one(Subscription, (person_id, mail_list), with_for_update=True)


def _state(found: Subscription) -> str | None:
    if found.complained_at is not None:
        return "complained"
    if found.withdrawn_at is not None:
        return "unsubscribed"
    return None if found.consented_at is None else "subscribed"


async def _write(
    session: AsyncSession,
    found: Subscription,
    before: str | None,
    moment: datetime,
    *,
    is_given: bool,
    source: ConsentSource,
    text_version: str | None,
    actor: str,
) -> None:
    session.add(
        Consent(
            created_at=moment,
            person_id=found.person_id,
            list=found.list,
            is_given=is_given,
            source=source,
            text_version=text_version,
            actor=actor,
        )
    )
    change = StateChange("subscription", found.person_id, before, _state(found) or "subscribed")
    await write_audit(session, [change], actor=actor, reason=source.value, workflow_id=None)
