"""Human tasks: whom a kind is for, and how long it may wait before somebody is reminded (reference list 10.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from models.vocabulary import TaskKind, TaskQueue
from rules.business_days import after_working_time

DECIDE_WITHIN = 2
REMIND_AFTER = 1
ESCALATE_AFTER = (2, 4)

_DAY = timedelta(days=1)

REMINDER, ESCALATION, SECOND_ESCALATION = 1, 2, 3


@dataclass(frozen=True)
class Pace:
    """How a kind of task is chased, in working days of the academy since it was opened."""

    decide_within: int = DECIDE_WITHIN
    remind_after: int = REMIND_AFTER
    escalate_after: int = ESCALATE_AFTER[0]
    escalate_again_after: int = ESCALATE_AFTER[1]


@dataclass(frozen=True)
class Moments:
    """When a task is due and when somebody is written to (UTC); none where its wait is over before."""

    due_at: datetime
    remind_at: datetime | None
    escalate_at: datetime | None
    escalate_again_at: datetime | None


# Whatever is not named here is about money.
_QUEUES: Mapping[TaskKind, TaskQueue] = {
    TaskKind.PROVISIONING_FAILED: TaskQueue.SUPPORT,
    TaskKind.TUTOR_REVIEW: TaskQueue.REVIEW,
    TaskKind.TUTOR_SECOND_OPINION: TaskQueue.REVIEW,
    TaskKind.TUTOR_PROVISIONING_FAILED: TaskQueue.SUPPORT,
    TaskKind.CERTIFICATE_NAME_MISSING: TaskQueue.SUPPORT,
    TaskKind.NAME_CORRECTION: TaskQueue.SUPPORT,
    TaskKind.COMPLETION_JUDGEMENT: TaskQueue.REVIEW,
    TaskKind.CRITICAL_MAIL: TaskQueue.SUPPORT,
    TaskKind.STUCK_JOB: TaskQueue.SUPPORT,
}
# The reviewer at three, the lead at five, the head at eight (reference list 10.3).
_REVIEW = Pace(decide_within=5, remind_after=3, escalate_after=5, escalate_again_after=8)
_PACES: Mapping[TaskKind, Pace] = {TaskKind.TUTOR_REVIEW: _REVIEW}
_USUAL = Pace()


def queue_of(kind: TaskKind) -> TaskQueue:
    """Whom a task of this kind is for."""
    return _QUEUES.get(kind, TaskQueue.FINANCE)


def pace_of(kind: TaskKind) -> Pace:
    """How a task of this kind is chased."""
    return _PACES.get(kind, _USUAL)


def moments(
    pace: Pace,
    opened_at: datetime,
    zone: ZoneInfo,
    country: str,
    *,
    due_at: datetime | None = None,
    until: datetime | None = None,
    used: timedelta = timedelta(),
) -> Moments:
    """The moments of a task on the academy's business calendar.

    A fixed `due_at` stays, and nobody is told that it is late before it is. From `until` on nobody waits for the
    decision any more, so nobody is reminded of it. `used` is working time that has passed before, while the same
    decision was waited for: whoever was told then is not told again.
    """

    def after(days: int, since: datetime = opened_at, used: timedelta = used) -> datetime:
        return after_working_time(since, max(days * _DAY - used, timedelta()), zone, country)

    def is_news(days: int, moment: datetime) -> datetime | None:
        was_told, is_over = timedelta() < days * _DAY <= used, until is not None and until <= moment
        return None if was_told or is_over else moment

    due = due_at or after(pace.decide_within)
    escalate_at = max(due, after(pace.escalate_after))
    patience = pace.escalate_again_after - pace.escalate_after
    again_at = after(pace.escalate_again_after)
    if due_at is not None:
        again_at = max(again_at, after(patience, escalate_at, timedelta()))
    return Moments(
        due_at=due,
        remind_at=is_news(pace.remind_after, after(pace.remind_after)),
        escalate_at=is_news(pace.escalate_after, escalate_at),
        escalate_again_at=is_news(pace.escalate_again_after, again_at),
    )
