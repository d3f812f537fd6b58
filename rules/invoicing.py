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


def due_day(issued_at: datetime, zone: ZoneInfo) -> date:
    """The last day to pay an invoice that is issued at this moment."""
    return issued_at.astimezone(zone).date() + timedelta(days=DAYS_TO_PAY)


def reminders(due_on: date, zone: ZoneInfo) -> tuple[Reminder, ...]:
    """All the reminders of an invoice, by time (UTC)."""
    return tuple(Reminder(at_local(due_on + timedelta(days=days), MORNING, zone), days) for days in REMINDER_DAYS)


def cancelled_at(due_on: date, zone: ZoneInfo) -> datetime:
    """When an unpaid invoice is given up (UTC)."""
    return at_local(due_on + timedelta(days=DAYS_UNTIL_CANCELLED), MORNING, zone)
