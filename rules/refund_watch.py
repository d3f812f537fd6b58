"""When to look at a refund again, when to remind, when to worry, and when it is over (reference list 10.2).

A refund that has succeeded can still fail, weeks later: a bank sends back what it cannot credit.
"""

from datetime import datetime, timedelta

from models.vocabulary import RefundStatus

WATCHED_AFTER_SUCCESS = timedelta(days=30)
PENDING_IS_LATE = timedelta(days=7)
LOOK_AT_PENDING = timedelta(hours=6)
ACTION_EXPIRES = timedelta(days=45)
REMINDER_DAYS = (3, 14, 30, 40)

_LOOK_AT_OTHERS = timedelta(days=1)
_LOOKS_AFTER_SUCCESS = (1, 7, 14, 30)
_IS_OVER = (RefundStatus.FAILED, RefundStatus.CANCELED)


def next_look(status: RefundStatus, since: datetime, moment: datetime) -> datetime:
    """When to read the refund again, should Stripe say nothing. It has this status `since` then (UTC)."""
    match status:
        case RefundStatus.PENDING if not is_late(status, since, moment):
            return min(moment + LOOK_AT_PENDING, since + PENDING_IS_LATE)
        case RefundStatus.REQUIRES_ACTION:
            days = (*REMINDER_DAYS, ACTION_EXPIRES.days)
            return min([moment + _LOOK_AT_OTHERS, *_still_to_come(days, since, moment)])
        case RefundStatus.SUCCEEDED:
            return min([since + WATCHED_AFTER_SUCCESS, *_still_to_come(_LOOKS_AFTER_SUCCESS, since, moment)])
        case _:
            return moment + _LOOK_AT_OTHERS


def is_late(status: RefundStatus, since: datetime, moment: datetime) -> bool:
    """Whether somebody should ask Stripe where the money is."""
    return status is RefundStatus.PENDING and moment >= since + PENDING_IS_LATE


def is_expired(status: RefundStatus, since: datetime, moment: datetime) -> bool:
    """Whether the payer has let the time pass in which to say where the money should go."""
    return status is RefundStatus.REQUIRES_ACTION and moment >= since + ACTION_EXPIRES


def is_settled(status: RefundStatus, since: datetime, moment: datetime) -> bool:
    """Whether nothing more is to be expected of it."""
    return status is RefundStatus.SUCCEEDED and moment >= since + WATCHED_AFTER_SUCCESS


def has_come_to_nothing(status: RefundStatus) -> bool:
    """Whether the money is back with the academy."""
    return status in _IS_OVER


def reminder(since: datetime, moment: datetime) -> int | None:
    """The last of the days after which the payer is reminded that has passed; none if none has."""
    passed = [day for day in REMINDER_DAYS if since + timedelta(days=day) <= moment]
    return passed[-1] if passed else None


def _still_to_come(days: tuple[int, ...], since: datetime, moment: datetime) -> list[datetime]:
    return [at for day in days if (at := since + timedelta(days=day)) > moment]
