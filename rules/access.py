"""When a learner is told that access ends (Academy of Mine 3.5, LMS Service R24, R25)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from models.vocabulary import MailTemplate

LONGEST_PAUSE = timedelta(days=180)
EARLIEST_WARNING_DAYS = 366


@dataclass(frozen=True)
class Notice:
    """A mail about the end of access. The occasion names that end, so that one that is moved is told anew (R25)."""

    template: MailTemplate
    occasion: str
    due_at: datetime


def is_about(ends_at: datetime, occasion: str) -> bool:
    """Whether a mail of this occasion tells of this end, and not of one that was moved since."""
    return occasion.split("-", maxsplit=1)[0] == _stamp(ends_at)


def notices(ends_at: datetime, warning_days: Sequence[int]) -> tuple[Notice, ...]:
    """Every mail about this end, the earliest first: so many days before, and when it is over."""
    stamp = _stamp(ends_at)
    before = (
        Notice(MailTemplate.ACCESS_ENDING, f"{stamp}-{days}d", ends_at - timedelta(days=days))
        for days in sorted(set(warning_days), reverse=True)
        if 0 < days <= EARLIEST_WARNING_DAYS
    )
    return (*before, Notice(MailTemplate.ACCESS_ENDED, stamp, ends_at))


def due_notice(
    ends_at: datetime, warning_days: Sequence[int], moment: datetime, since: datetime | None = None
) -> Notice | None:
    """The mail that is due at `moment`. Earlier ones that nobody got are passed over: only the latest is still true.

    `since` is when access was granted: whoever is let in for three days is not warned of its end seven days before.
    """
    past = [
        notice
        for notice in notices(ends_at, warning_days)
        if notice.due_at <= moment and (since is None or notice.due_at > since)
    ]
    return past[-1] if past else None


def next_notice(ends_at: datetime, warning_days: Sequence[int], moment: datetime) -> datetime | None:
    """When the next one is due after `moment`."""
    return next((notice.due_at for notice in notices(ends_at, warning_days) if notice.due_at > moment), None)


def _stamp(ends_at: datetime) -> str:
    return f"{ends_at.astimezone(UTC):%Y%m%d%H%M}"
