"""The days that a report is about: whole days of the academy, whatever its clocks do meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from models.vocabulary import ExportReport
from rules.local_time import at_local

_DAY = timedelta(days=1)
_MOST_DAYS = 62  # shown one by one: two months


@dataclass(frozen=True)
class Span:
    """Days from `first` on, before `end`. Raises `ValueError` if there is none."""

    first: date
    end: date

    def __post_init__(self) -> None:
        if self.first >= self.end:
            raise ValueError("a span has a day at least")

    @property
    def last(self) -> date:
        """The last day that is within."""
        return self.end - _DAY

    @property
    def is_by_month(self) -> bool:
        """Whether there are too many days to tell of each."""
        return (self.end - self.first).days > _MOST_DAYS

    def begins(self, zone: ZoneInfo) -> datetime:
        """The moment (UTC) at which it begins there."""
        return at_local(self.first, time(), zone)

    def ends(self, zone: ZoneInfo) -> datetime:
        """The moment (UTC) before which it is."""
        return at_local(self.end, time(), zone)

    def steps(self) -> Iterator[date]:
        """What it is told by: every day, or the first day of every month that it touches."""
        if self.is_by_month:
            yield from _months(self.first, self.end)
        else:
            yield from (self.first + each * _DAY for each in range((self.end - self.first).days))

    def step_of(self, day: date) -> date:
        """The one of `steps` that the day belongs to."""
        return day.replace(day=1) if self.is_by_month else day


def span_of(report: ExportReport, moment: datetime, zone: ZoneInfo) -> Span:
    """What a schedule's report is about that is meant for this moment: yesterday (sales), the last week from Monday to
    Monday (finance), or the last month (statement). Raises `ValueError` for other reports.

    The moment alone decides: a run that is late, or comes again, tells of the same days.
    """
    today = moment.astimezone(zone).date()
    if report is ExportReport.SALES:
        return Span(today - _DAY, today)
    if report is ExportReport.FINANCE:
        monday = today - today.weekday() * _DAY
        return Span(monday - 7 * _DAY, monday)
    if report is ExportReport.STATEMENT:
        this_month = today.replace(day=1)
        return Span((this_month - _DAY).replace(day=1), this_month)
    raise ValueError(f"no schedule makes {report}")


def span_asked(first: date | None, end: date | None, known_from: date, today: date) -> Span:
    """The days that somebody asked for: from the first of which something is known unless said, until today included.

    An end before what is known has at least the day before it.
    """
    until = end or max(today + _DAY, (first or today) + _DAY)
    return Span(first or min(known_from, until - _DAY), until)


def _months(first: date, end: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month < end:
        yield month
        month = (month + 31 * _DAY).replace(day=1)
