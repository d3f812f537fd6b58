"""How long a certificate waits for the name that it is made out to, and when its learner is asked again."""

from datetime import UTC, datetime, timedelta

# The last one goes out when a person is asked as well.
NAME_REMINDERS = (timedelta(days=3), timedelta(days=7), timedelta(days=14))


def due_reminder(asked_at: datetime, moment: datetime) -> str:
    """The mail that is due at `moment`, by its occasion: `ask`, or after how many days, and of which wait, by its first
    day (UTC), e.g. `3d_20261121`. Earlier ones that nobody got are passed over."""
    past = [after for after in NAME_REMINDERS if asked_at + after <= moment]
    word = f"{past[-1].days}d" if past else "ask"
    return f"{word}_{asked_at.astimezone(UTC):%Y%m%d}"


def next_reminder_at(asked_at: datetime, moment: datetime) -> datetime | None:
    """When the next one is due after `moment`; none: from now on a person has to decide."""
    return next((asked_at + after for after in NAME_REMINDERS if asked_at + after > moment), None)
