"""A job that comes back: when, what it starts, and what becomes of a late run; as Temporal takes it, and in words."""

import calendar
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time, timedelta

from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.contrib.pydantic import pydantic_data_converter

from models import search
from models.messages.message import Message
from workflows.queues import REGISTRAR_QUEUE

UTC = "UTC"
_UNITS = {"day": timedelta(days=1), "hour": timedelta(hours=1), "minute": timedelta(minutes=1)}
_EVERY_DAY, _EVERY_MONTH, _EVERY_WEEKDAY = set(range(1, 32)), set(range(1, 13)), set(range(7))
_PAYLOADS = pydantic_data_converter.payload_converter

# What a schedule is, each thing by its name.
Facts = Mapping[str, str]
NOTE, PAUSED = "note", "paused"


@dataclass(frozen=True)
class Every:
    """At the same intervals, counted from midnight UTC."""

    interval: timedelta

    def spec(self, time_zone: str, jitter: timedelta) -> ScheduleSpec:
        """As Temporal takes it; no zone has a say in it."""
        return ScheduleSpec(intervals=[ScheduleIntervalSpec(every=self.interval)], jitter=jitter or None)


@dataclass(frozen=True)
class On:
    """At a time of the academy's day: each day, on a weekday (0 is Monday) or on a day of the month."""

    at: time
    weekday: int | None = None
    day: int | None = None

    def spec(self, time_zone: str, jitter: timedelta) -> ScheduleSpec:
        """As Temporal takes it. A time that a change of the clock leaves out is left out."""
        days = ScheduleCalendarSpec(
            hour=[ScheduleRange(self.at.hour)],
            minute=[ScheduleRange(self.at.minute)],
            day_of_month=[ScheduleRange(1, 31) if self.day is None else ScheduleRange(self.day)],
            # Temporal's week begins with Sunday.
            day_of_week=[ScheduleRange(0, 6) if self.weekday is None else ScheduleRange((self.weekday + 1) % 7)],
        )
        return ScheduleSpec(calendars=[days], jitter=jitter or None, time_zone_name=time_zone)


@dataclass(frozen=True)
class Recurring:
    """A job that comes back. One that was missed for longer than `catchup` is skipped.

    `workflow` is a name, `jitter` how much later than others of the same moment it may begin. `overlap` says what
    happens while the run before is still going. Unless `is_paused` says so, operators pause and resume it as they like.
    """

    id: str
    when: Every | On
    workflow: str
    argument: Message
    summary: str
    note: str
    catchup: timedelta
    jitter: timedelta = timedelta()
    overlap: ScheduleOverlapPolicy = ScheduleOverlapPolicy.SKIP
    is_paused: bool | None = None
    task_queue: str = REGISTRAR_QUEUE

    @property
    def job(self) -> str:
        """By which its runs are listed, the value of `RegistrarJob`."""
        return self.id.replace("-", "_")

    def schedule(self, time_zone: str) -> Schedule:
        """As Temporal takes it, on the clock of this (IANA) zone."""
        return Schedule(
            action=ScheduleActionStartWorkflow(
                self.workflow,
                self.argument,
                id=self.id,
                task_queue=self.task_queue,
                typed_search_attributes=TypedSearchAttributes([SearchAttributePair(search.JOB, self.job)]),
                static_summary=self.summary,
            ),
            spec=self.when.spec(time_zone, self.jitter),
            policy=SchedulePolicy(overlap=self.overlap, catchup_window=self.catchup),
            state=ScheduleState(note=self.note, paused=bool(self.is_paused)),
        )


def facts_of(schedule: Schedule) -> Facts:
    """What a schedule is, in words: declared or described by the server, the same one has the same facts."""
    action = schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)  # noqa: S101 - Temporal knows no other
    return {
        "when": spoken(schedule.spec),
        "time zone": schedule.spec.time_zone_name or UTC,
        "jitter": spoken_length(schedule.spec.jitter or timedelta()),
        "overlap": schedule.policy.overlap.name.lower().replace("_", " "),
        "catch-up": "the server's own" if (window := schedule.policy.catchup_window) is None else spoken_length(window),
        "workflow": action.workflow,
        "argument": " ".join(_json(each) for each in action.args),
        "workflow id": action.id,
        "task queue": action.task_queue,
        "job": str(action.typed_search_attributes.get(search.JOB)),
        "summary": _json(action.static_summary),
        NOTE: schedule.state.note or "",
        PAUSED: "yes" if schedule.state.paused else "no",
    }


def spoken(spec: ScheduleSpec) -> str:
    """When it comes: every 5 minutes; daily, on Mondays, or on day 1 of the month, at a time of the day."""
    told = [f"every {spoken_length(each.every).removeprefix('1 ')}{_offset(each)}" for each in spec.intervals]
    told += [_spoken_calendar(each) for each in spec.calendars]
    told += [f"cron {each}" for each in spec.cron_expressions]
    told += [f"not {_spoken_calendar(each)}" for each in spec.skip]
    told += [f"from {spec.start_at.isoformat()}"] if spec.start_at is not None else []
    told += [f"until {spec.end_at.isoformat()}"] if spec.end_at is not None else []
    return ", ".join(told) or "never"


def spoken_length(length: timedelta) -> str:
    """In the largest unit that measures it: `7 days`."""
    for name, unit in _UNITS.items():
        if length and length % unit == timedelta():
            count = length // unit
            return f"{count} {name}{'' if count == 1 else 's'}"
    seconds = f"{length.total_seconds():f}".rstrip("0").rstrip(".")
    return f"{seconds} second{'' if seconds == '1' else 's'}" if length else "none"


def _offset(interval: ScheduleIntervalSpec) -> str:
    return f" and {spoken_length(interval.offset)}" if interval.offset else ""


def _spoken_calendar(days: ScheduleCalendarSpec) -> str:
    in_month, in_week = _numbers(days.day_of_month), _numbers(days.day_of_week)
    hours, minutes = _numbers(days.hour), _numbers(days.minute)
    is_plain = _numbers(days.second) == {0} and _numbers(days.month) == _EVERY_MONTH and not days.year
    if is_plain and len(hours) == len(minutes) == 1:
        at = f"at {min(hours):02d}:{min(minutes):02d}"
        if in_week == _EVERY_WEEKDAY and in_month == _EVERY_DAY:
            return f"daily {at}"
        if in_month == _EVERY_DAY:
            return f"{_listed(f'{calendar.day_name[(day - 1) % 7]}s' for day in sorted(in_week))} {at}"
        if in_week == _EVERY_WEEKDAY:
            return f"on day {_listed(str(day) for day in sorted(in_month))} of the month {at}"
    fields = ("year", "month", "day_of_month", "day_of_week", "hour", "minute", "second")
    return "; ".join(f"{name} {sorted(_numbers(getattr(days, name)))}" for name in fields)


def _listed(words: Iterable[str]) -> str:
    return " and ".join(words)


def _numbers(ranges: Sequence[ScheduleRange]) -> set[int]:
    return {number for each in ranges for number in range(each.start, each.end + 1, each.step)}


def _json(value: object) -> str:
    """What the server keeps of a value, whether it is still to be sent or was read back."""
    if value is None:
        return ""
    payload = value if isinstance(value, Payload) else _PAYLOADS.to_payloads([value])[0]
    said = json.loads(payload.data)
    return said if isinstance(said, str) else json.dumps(said, sort_keys=True, ensure_ascii=False)
