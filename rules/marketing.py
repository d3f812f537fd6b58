"""Marketing mail: how much of it a person gets, and when (reference list 10.4). Transactional mail is not counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from models.vocabulary import ConsentMode, MailList, MailTemplate
from rules.local_time import at_local

# What is not listed here is transactional: never counted, never held up, without a link to unsubscribe.
LISTS: Mapping[MailTemplate, MailList] = {
    MailTemplate.CART_REMINDER: MailList.CART,
    MailTemplate.LESSONS_RELEASED: MailList.LEARNING,
}

ONE_PER = timedelta(hours=16)
WEEK = timedelta(days=7)
MAX_A_WEEK = 3
QUIET_FROM, QUIET_UNTIL = time(21), time(8)
DROPPED_AFTER = timedelta(hours=24)
# What was put off to the last moment still has an hour to get through to its mail server.
TRIED_UNTIL = DROPPED_AFTER + timedelta(hours=1)

CAPPED, QUIET_HOURS, LATE = "capped", "quiet_hours", "late"


@dataclass(frozen=True)
class Slot:
    """When a mail may go out (UTC), and why not now; no reason if it may at once."""

    at: datetime
    reason: str | None = None


@dataclass(frozen=True)
class Standing:
    """What a person has said of a list, and what is known of their address.

    Of the list `learning` a customer is whoever has a place, also where somebody else has paid for it.
    """

    consented: bool
    withdrawn: bool
    complained: bool
    bounced: bool
    is_customer: bool


def refused_because(standing: Standing, mode: ConsentMode, list_: MailList = MailList.CART) -> str | None:
    """Why this person gets no mail of the list: `complained`, `unsubscribed`, `bounced` or `no_consent`.

    Who learns something is told about it in every mode, unless they said no.
    """
    if standing.complained:
        return "complained"
    if standing.withdrawn:
        return "unsubscribed"
    if standing.bounced:
        return "bounced"
    soft = standing.is_customer and (mode is ConsentMode.SOFT_OPT_IN or list_ is MailList.LEARNING)
    return None if standing.consented or soft or mode is ConsentMode.OFF else "no_consent"


def slot_for(handed_over: Sequence[datetime], moment: datetime, zone: ZoneInfo) -> Slot:
    """The next moment at which this person may get marketing mail.

    `handed_over` are the moments of what they got, and may be getting, in the last seven days. One in 16 hours, three
    in seven days, and none from 21:00 to 08:00 of the person's day.
    """
    at, reason = moment, None
    while True:
        free = _free_of_caps(handed_over, at)
        if free > at:
            at, reason = free, reason or CAPPED
        awake = _awake(at, zone)
        if awake == at:
            return Slot(at, reason)
        at, reason = awake, reason or QUIET_HOURS


def is_too_late(wanted_at: datetime, slot: Slot) -> bool:
    """Whether the mail would be so late that it is dropped instead."""
    return slot.at - wanted_at > DROPPED_AFTER


def is_stale(wanted_at: datetime, moment: datetime) -> bool:
    """Whether nobody should get the mail any more, because its server has not taken it for so long."""
    return moment - wanted_at > TRIED_UNTIL


def _free_of_caps(handed_over: Sequence[datetime], moment: datetime) -> datetime:
    latest = sorted(each for each in handed_over if each > moment - WEEK)
    free = moment
    if latest:
        free = max(free, latest[-1] + ONE_PER)
    if len(latest) >= MAX_A_WEEK:
        free = max(free, latest[-MAX_A_WEEK] + WEEK)
    return free


def _awake(moment: datetime, zone: ZoneInfo) -> datetime:
    local = moment.astimezone(zone)
    clock = local.time().replace(tzinfo=None)
    if QUIET_UNTIL <= clock < QUIET_FROM:
        return moment
    day = local.date() + timedelta(days=1) if clock >= QUIET_FROM else local.date()
    return at_local(day, QUIET_UNTIL, zone)
