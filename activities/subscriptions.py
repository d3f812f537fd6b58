"""Who wants which marketing mail: how it stands, and every yes and no that was ever said.

Whoever changes it locks the person first, as the claim of a mail does (`activities/mail_ledger.py`): a no that is
committed before a mail is claimed stops that mail.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.people import lock_people
from models.tables import Consent, Enrollment, Mail, Order, Subscription
from models.tables.columns import now
from models.vocabulary import ConsentSource, MailList, MailStatus, OrderStatus
from rules.marketing import Standing

_BY_LINK = (ConsentSource.UNSUBSCRIBE_PAGE, ConsentSource.ONE_CLICK)
_BOUGHT = (OrderStatus.COMPLETED, OrderStatus.PARTIALLY_REFUNDED)


async def subscribe(
    session: AsyncSession,
    person_id: UUID,
    list_: MailList,
    *,
    source: ConsentSource,
    actor: str,
    text_version: str | None = None,
) -> Subscription:
    """The person says yes. Saying the same yes again writes nothing; an import never undoes a no."""
    subscription = await _locked(session, person_id, list_)
    said_no = subscription.withdrawn_at is not None or subscription.complained_at is not None
    if subscription.consented_at is not None or (said_no and source is ConsentSource.IMPORT):
        return subscription
    moment = now()
    subscription.consented_at, subscription.updated_at = moment, moment
    subscription.withdrawn_at = subscription.complained_at = None
    _record(session, subscription, moment, source=source, actor=actor, is_given=True, text_version=text_version)
    await session.flush()
    return subscription


async def unsubscribe(session: AsyncSession, token: str, *, source: ConsentSource) -> Subscription | None:
    """Whoever holds the token of the link says no, effective at once; none if it is nobody's token.

    Saying it again changes nothing, and keeps how it was said first.
    """
    query = select(col(Subscription.person_id), col(Subscription.list)).where(col(Subscription.token) == token)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    person_id, list_ = found
    return await withdraw(session, person_id, MailList(list_), source=source, actor=f"person:{person_id}")


async def withdraw(
    session: AsyncSession, person_id: UUID, list_: MailList, *, source: ConsentSource, actor: str
) -> Subscription:
    """The person says no."""
    subscription = await _locked(session, person_id, list_)
    if subscription.withdrawn_at is not None:
        return subscription
    _say_no(session, subscription, now(), source=source, actor=actor)
    await session.flush()
    return subscription


async def may_take_back(session: AsyncSession, subscription: Subscription) -> bool:
    """Whether the person's no was said with the link, which then can take it back.

    A complaint, and what was said in the account or by staff, is not the link's to undo.
    """
    if subscription.withdrawn_at is None or subscription.complained_at is not None:
        return False
    said = await _last_said(session, subscription)
    return bool(said) and said[0].source in _BY_LINK


async def take_back(session: AsyncSession, token: str) -> Subscription | None:
    """Whoever holds the token of the link takes back the no that was said with it: what held before holds again, a yes
    with the text that was agreed to. Any other no stands; none if it is nobody's token.
    """
    query = select(col(Subscription.person_id), col(Subscription.list)).where(col(Subscription.token) == token)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    subscription = await _locked(session, found[0], MailList(found[1]))
    if not await may_take_back(session, subscription):
        return subscription
    moment, actor = now(), f"recipient:{subscription.person_id}"
    before = (await _last_said(session, subscription))[1:]
    subscription.withdrawn_at, subscription.updated_at = None, moment
    if before and before[0].is_given:
        subscription.consented_at = moment
        source, text = ConsentSource.UNSUBSCRIBE_PAGE, before[0].text_version
        _record(session, subscription, moment, source=source, actor=actor, is_given=True, text_version=text)
    # Where there was no yes before, there is none now: only the audit log tells of it.
    change = StateChange(
        "subscription", subscription.person_id, "unsubscribed", "as_before", f"list {subscription.list}"
    )
    await write_audit(session, [change], actor=actor, reason="no taken back", workflow_id=None)
    await session.flush()
    return subscription


async def complain(
    session: AsyncSession, person_id: UUID, *, actor: str, list_: MailList | None = None
) -> Sequence[Subscription]:
    """The person has called our mail spam; without a list it holds for all of them. A second time changes nothing."""
    moment = now()
    subscriptions = [await _locked(session, person_id, each) for each in ([list_] if list_ else MailList)]
    for subscription in subscriptions:
        if subscription.complained_at is None:
            subscription.complained_at = moment
            _say_no(session, subscription, moment, source=ConsentSource.COMPLAINT, actor=actor)
    await session.flush()
    return subscriptions


async def token_of(session: AsyncSession, person_id: UUID, list_: MailList) -> str:
    """The key of the person's unsubscribe link. It is made when the first mail of the list is queued, and stays."""
    query = select(col(Subscription.token)).where(
        col(Subscription.person_id) == person_id, col(Subscription.list) == list_
    )
    found = (await session.execute(query)).scalar_one_or_none()
    if found is not None:
        return found
    await session.execute(
        insert(Subscription)
        .values(person_id=person_id, list=list_, token=secrets.token_urlsafe(32), updated_at=now())
        .on_conflict_do_nothing()
    )
    return (await session.execute(query)).scalar_one()


async def standing_of(session: AsyncSession, person_id: UUID, list_: MailList) -> Standing:
    """What the person has said of the list and what is known of their address, in one statement.

    The address is bad if the last mail whose end is known bounced.
    """
    last_end = (
        select(col(Mail.status))
        .where(col(Mail.recipient_id) == person_id, col(Mail.status).in_((MailStatus.SENT, MailStatus.BOUNCED)))
        .order_by(col(Mail.updated_at).desc())
        .limit(1)
        .scalar_subquery()
    )
    is_customer = (
        exists().where(col(Enrollment.student_id) == person_id, col(Enrollment.enrolled_at).is_not(None))
        if list_ is MailList.LEARNING
        else exists().where(col(Order.payer_id) == person_id, col(Order.status).in_(_BOUGHT), ~col(Order.is_test))
    )
    said = (
        select(col(Subscription.consented_at), col(Subscription.withdrawn_at), col(Subscription.complained_at))
        .where(col(Subscription.person_id) == person_id, col(Subscription.list) == list_)
        .subquery()
    )
    one = select(func.now().label("at")).subquery()
    query = (
        select(said.c.consented_at, said.c.withdrawn_at, said.c.complained_at, last_end, is_customer)
        .select_from(one)
        .join(said, one.c.at.is_not(None), isouter=True)
    )
    consented, withdrawn, complained, end, customer = (await session.execute(query)).one()
    return Standing(
        consented=consented is not None,
        withdrawn=withdrawn is not None,
        complained=complained is not None,
        bounced=end == MailStatus.BOUNCED,
        is_customer=bool(customer),
    )


async def _locked(session: AsyncSession, person_id: UUID, list_: MailList) -> Subscription:
    """The person's subscription, with the person locked."""
    await lock_people(session, [person_id])
    await token_of(session, person_id, list_)
    return await session.get_one(Subscription, (person_id, list_), populate_existing=True)


async def _last_said(session: AsyncSession, subscription: Subscription) -> Sequence[Consent]:
    """The last yes or no, and the one before it."""
    query = select(Consent).where(
        col(Consent.person_id) == subscription.person_id, col(Consent.list) == subscription.list
    )
    latest = query.order_by(col(Consent.created_at).desc(), col(Consent.id).desc()).limit(2)
    return (await session.execute(latest)).scalars().all()


def _say_no(
    session: AsyncSession, subscription: Subscription, moment: datetime, *, source: ConsentSource, actor: str
) -> None:
    subscription.withdrawn_at = subscription.withdrawn_at or moment
    subscription.consented_at, subscription.updated_at = None, moment
    _record(session, subscription, moment, source=source, actor=actor, is_given=False)


def _record(
    session: AsyncSession,
    subscription: Subscription,
    moment: datetime,
    *,
    source: ConsentSource,
    actor: str,
    is_given: bool,
    text_version: str | None = None,
) -> None:
    session.add(
        Consent(
            created_at=moment,
            person_id=subscription.person_id,
            list=subscription.list,
            is_given=is_given,
            source=source,
            text_version=text_version,
            actor=actor,
        )
    )
