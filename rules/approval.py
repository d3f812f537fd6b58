"""How long an enrollment waits for the person who decides on it (Eduframe E9: requested, approved, denied)."""

from datetime import datetime, timedelta

# Two reminders; the deadline is `rules.holds.APPROVAL_HOLD`.
REMINDERS = (timedelta(days=2), timedelta(days=5))


def reminder_times(asked_at: datetime) -> tuple[datetime, ...]:
    """When the approvers are reminded."""
    return tuple(asked_at + later for later in REMINDERS)
