"""Human tasks: whom a kind is for, and how long it may wait before somebody is reminded (reference list 10.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from models.vocabulary import TaskKind, TaskQueue
from rules.business_days import after_working_days

DECIDE_WITHIN = 2
REMIND_AFTER = 1
ESCALATE_AFTER = (2, 4)

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
_QUEUES: Mapping[TaskKind, TaskQueue] = {TaskKind.PROVISIONING_FAILED: TaskQueue.SUPPORT}
_PACES: Mapping[TaskKind, Pace] = {}
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
) -> Moments:
    """The moments of a task on the academy's business calendar.

    A fixed `due_at` stays, and nobody is told that it is late before it is. From `until` on nobody waits for the
    decision any more, so nobody is reminded of it.
    """

    def after(days: int, since: datetime = opened_at) -> datetime:
        return after_working_days(since, days, zone, country)

    def unless_over(moment: datetime) -> datetime | None:
        return moment if until is None or moment < until else None

    due = due_at or after(pace.decide_within)
    escalate_at = max(due, after(pace.escalate_after))
    patience = pace.escalate_again_after - pace.escalate_after
    return Moments(
        due_at=due,
        remind_at=unless_over(after(pace.remind_after)),
        escalate_at=unless_over(escalate_at),
        escalate_again_at=unless_over(max(after(pace.escalate_again_after), after(patience, escalate_at))),
    )
