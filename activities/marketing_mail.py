"""Whether a person gets a marketing mail now, later or not at all, looked at in the transaction that would claim it.

The person is locked meanwhile (`activities/people.py`). Whoever buys, says no or changes a cart takes the same lock, so
what is committed before the claim is seen, and of two mails to one person the second counts the first.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.cart_coupons import begin_cart_coupon
from activities.cart_facts import cart_facts
from activities.cart_settings import cart_settings
from activities.learning_letters import open_lessons
from activities.subscriptions import standing_of
from activities.time_zones import zone_of_person
from models.tables import Cart, Mail
from models.vocabulary import ConsentMode, MailList, MailStatus, MailTemplate
from rules.cart import skipped_because
from rules.marketing import LATE, WEEK, is_stale, is_too_late, refused_because, slot_for

_COUNTED = (MailStatus.QUEUED, MailStatus.SENT, MailStatus.UNKNOWN)


@dataclass(frozen=True)
class HeldUp:
    """Why it does not go now; without `until` it never does."""

    reason: str
    until: datetime | None = None


async def held_up(session: AsyncSession, mail: Mail, moment: datetime) -> HeldUp | None:
    """What speaks against this mail at `moment` (UTC): a stop rule of its kind, else what the person has had already
    and the time of their day; none if it may go. Wants the person locked.
    """
    stopped = await _STOPPED.get(MailTemplate(mail.template), _refused)(session, mail, moment)
    if stopped is not None:
        return HeldUp(stopped)
    if is_stale(mail.created_at, moment):
        return HeldUp(LATE)
    slot = slot_for(await _handed_over(session, mail, moment), moment, await zone_of_person(session, mail.recipient_id))
    if slot.reason is None:
        return None
    return HeldUp(slot.reason, None if is_too_late(mail.created_at, slot) else slot.at)


async def count_reminder(session: AsyncSession, mail: Mail, *, sent_at: datetime | None = None) -> None:
    """A mail about a cart is done with: the cart's next one has the next number. Nothing for other mails."""
    if mail.template != MailTemplate.CART_REMINDER or not mail.occasion.isdigit():
        return
    done: dict[str, object] = {"reminders": func.greatest(col(Cart.reminders), int(mail.occasion))}
    if sent_at is not None:
        done["reminded_at"] = func.coalesce(col(Cart.reminded_at), sent_at)
        await begin_cart_coupon(session, mail.subject_id, sent_at)
    await session.execute(
        update(Cart).where(col(Cart.id) == mail.subject_id).values(done).execution_options(synchronize_session=False)
    )


async def uncount_reminder(session: AsyncSession, mail: Mail, *, sent_at: datetime) -> None:
    """A mail about a cart that was counted as sent at that moment is to be sent again."""
    if mail.template != MailTemplate.CART_REMINDER or not mail.occasion.isdigit():
        return
    number = int(mail.occasion)
    undone = {
        "reminders": case((col(Cart.reminders) == number, number - 1), else_=col(Cart.reminders)),
        "reminded_at": func.nullif(col(Cart.reminded_at), sent_at),
    }
    await session.execute(
        update(Cart).where(col(Cart.id) == mail.subject_id).values(undone).execution_options(synchronize_session=False)
    )


async def _cart_stopped(session: AsyncSession, mail: Mail, moment: datetime) -> str | None:
    facts = await cart_facts(session, mail.subject_id, await cart_settings(session), moment)
    return "cleared" if facts is None else skipped_because(facts, moment)


async def _refused(session: AsyncSession, mail: Mail, moment: datetime) -> str | None:
    """Mail of which nothing more is known than that it is marketing."""
    settings = await cart_settings(session)
    assert mail.list is not None  # noqa: S101 - only marketing mail comes here
    standing = await standing_of(session, mail.recipient_id, MailList(mail.list))
    return refused_because(standing, ConsentMode(settings.consent_mode), MailList(mail.list))


async def _releases_stopped(session: AsyncSession, mail: Mail, moment: datetime) -> str | None:
    if (refused := await _refused(session, mail, moment)) is not None:
        return refused
    return None if await open_lessons(session, mail.subject_id, mail.occasion) else "nothing_to_tell"


_STOPPED: Mapping[MailTemplate, Callable[[AsyncSession, Mail, datetime], Awaitable[str | None]]] = {
    MailTemplate.CART_REMINDER: _cart_stopped,
    MailTemplate.LESSONS_RELEASED: _releases_stopped,
}


async def _handed_over(session: AsyncSession, mail: Mail, moment: datetime) -> list[datetime]:
    """When the person got, or may be getting, other marketing mail of the last seven days."""
    query = select(col(Mail.handed_over_at)).where(
        col(Mail.recipient_id) == mail.recipient_id,
        col(Mail.list).is_not(None),
        col(Mail.handed_over_at) > moment - WEEK,
        col(Mail.status).in_(_COUNTED),
        col(Mail.id) != mail.id,
    )
    return [at for at in (await session.execute(query)).scalars() if at is not None]
