"""When an invoice is due, when people are reminded of it, and when it is given up.

Days are the academy's; reminders go out in its morning. The numbers are defaults of Registrar: the reference systems
leave them open (Academy of Mine "Invoice" gateway, Eduframe E20, N7).
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rules.local_time import at_local

DAYS_TO_PAY = 14
REMINDER_DAYS = (-3, 1, 7)  # before (negative) and after the last day to pay
DAYS_UNTIL_CANCELLED = 14  # after the last day to pay
MORNING = time(9)


@dataclass(frozen=True)
class Reminder:
    """One reminder of an invoice: when, and how many days after the last day to pay (negative before it)."""

    at: datetime
    days_late: int

    @property
    def occasion(self) -> str:
        """By which the mail about it is known: `before_3`, `after_7`."""
        return f"{'before' if self.days_late < 0 else 'after'}_{abs(self.days_late)}"


def due_day(issued_at: datetime, zone: ZoneInfo) -> date:
    """The last day to pay an invoice that is issued at this moment."""
    return issued_at.astimezone(zone).date() + timedelta(days=DAYS_TO_PAY)


def reminders(due_on: date, zone: ZoneInfo) -> tuple[Reminder, ...]:
    """All the reminders of an invoice, by time (UTC)."""
    return tuple(Reminder(at_local(due_on + timedelta(days=days), MORNING, zone), days) for days in REMINDER_DAYS)


def cancelled_at(due_on: date, zone: ZoneInfo) -> datetime:
    """When an unpaid invoice is given up (UTC)."""
    return at_local(due_on + timedelta(days=DAYS_UNTIL_CANCELLED), MORNING, zone)


def reminder_due(due_on: date, moment: datetime, zone: ZoneInfo) -> Reminder | None:
    """The one to send at `moment`: the latest that is due, since after a long outage one is enough. None before the
    first, and once the invoice is to be given up.
    """
    if moment >= cancelled_at(due_on, zone):
        return None
    return next((each for each in reversed(reminders(due_on, zone)) if each.at <= moment), None)
