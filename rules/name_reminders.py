"""How long a certificate waits for the name that it is made out to, and when its learner is asked again."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Reminder:
    """A mail that asks for the name; the occasion tells it from the others."""

    occasion: str
    after: timedelta


# The last one goes out when a person is asked as well.
NAME_REMINDERS = (
    Reminder("ask", timedelta()),
    Reminder("3d", timedelta(days=3)),
    Reminder("7d", timedelta(days=7)),
    Reminder("14d", timedelta(days=14)),
)


def due_reminder(asked_at: datetime, moment: datetime) -> Reminder:
    """The reminder that is due at `moment`, which is not before `asked_at`; earlier ones nobody needs any more."""
    return [each for each in NAME_REMINDERS if asked_at + each.after <= moment][-1]


def next_reminder_at(asked_at: datetime, moment: datetime) -> datetime | None:
    """When the next one is due after `moment`; none: from now on a person has to decide."""
    return next((asked_at + each.after for each in NAME_REMINDERS if asked_at + each.after > moment), None)
