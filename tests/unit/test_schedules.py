"""The jobs that come back: declared soundly, told in words, and planned against what is on the server."""

import re
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio import workflow
from temporalio.client import (
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    ScheduleRange,
    ScheduleSpec,
)

from models.messages.recurring import SweepExpired
from schedules import SCHEDULES
from worker import WORKFLOWS
from workflows.recurring import NOTE, PAUSED, Every, On, Recurring, facts_of, spoken, spoken_length
from workflows.schedule_plan import Known, Planned, Verb, plan

BERLIN = "Europe/Berlin"
PRODUCTION = (Path(__file__).parents[2] / "docs" / "production.md").read_text(encoding="utf-8")
JOB = Recurring(
    id="job",
    when=On(time(7)),
    workflow="JobWorkflow",
    argument=SweepExpired(),
    summary="A job",
    note="It is done.",
    catchup=timedelta(hours=1),
)
OTHER = replace(JOB, id="other", when=Every(timedelta(minutes=5)))
_DEFINED = {str(each.name): each for each in map(workflow._Definition.must_from_class, WORKFLOWS)}


def on_server(
    *declared: Recurring, is_ours: bool = True, time_zone: str = BERLIN, **otherwise: str
) -> dict[str, Known]:
    return {each.id: Known({**facts_of(each.schedule(time_zone)), **otherwise}, is_ours) for each in declared}


def planned(*declared: Recurring, known: dict[str, Known]) -> tuple[Planned, ...]:
    return plan({each.id: each for each in declared}, known, BERLIN)


def differences(step: Planned) -> dict[str, tuple[str, str]]:
    return {each.name: (each.before, each.after) for each in step.differences}


@pytest.mark.parametrize("recurring", SCHEDULES, ids=lambda each: each.id)
def test_what_is_declared_can_run(recurring: Recurring) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", recurring.id)
    assert recurring.catchup >= timedelta(minutes=5)
    assert recurring.note.endswith(".")
    assert _DEFINED[recurring.workflow].arg_types == [type(recurring.argument)]
    assert _DEFINED[recurring.workflow].versioning_behavior is not None
    # A run that is meant for a moment is done with, or given up, before the next one comes, or stands beside it.
    if isinstance(recurring.when, Every):
        assert recurring.catchup <= recurring.when.interval
        assert recurring.jitter < recurring.when.interval / 5
    assert recurring.jitter > timedelta()


def test_ids_are_one_of_a_kind() -> None:
    assert len({each.id for each in SCHEDULES}) == len({each.job for each in SCHEDULES}) == len(SCHEDULES)


def test_operators_are_told_of_every_schedule_as_it_is() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|", PRODUCTION, re.MULTILINE)
    told = {name: (when, overlap, catchup) for name, when, overlap, catchup in rows}
    words = {ScheduleOverlapPolicy.SKIP: "skipped", ScheduleOverlapPolicy.ALLOW_ALL: "runs too"}
    for each in SCHEDULES:
        when = spoken(each.schedule(BERLIN).spec)
        assert told[each.id] == (when, words[each.overlap], spoken_length(each.catchup)), each.id


# ---- in words ----


@pytest.mark.parametrize(
    ("when", "told"),
    [
        (Every(timedelta(minutes=5)), "every 5 minutes"),
        (Every(timedelta(hours=1)), "every hour"),
        (Every(timedelta(minutes=90)), "every 90 minutes"),
        (On(time(2, 30)), "daily at 02:30"),
        (On(time(6, 30), weekday=0), "Mondays at 06:30"),
        (On(time(6, 30), weekday=6), "Sundays at 06:30"),
        (On(time(7), day=1), "on day 1 of the month at 07:00"),
    ],
)
def test_when_it_comes_is_told_in_words(when: Every | On, told: str) -> None:
    assert spoken(when.spec(BERLIN, timedelta())) == told


def test_what_others_have_set_is_told_too() -> None:
    odd = ScheduleCalendarSpec(hour=[ScheduleRange(8, 18, 5)], month=[ScheduleRange(2)])
    spec = ScheduleSpec(
        calendars=[odd],
        intervals=[ScheduleIntervalSpec(timedelta(hours=2), timedelta(seconds=90))],
        start_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    told = spoken(spec)
    assert told.startswith("every 2 hours and 90 seconds, year []; month [2]; ")
    assert "hour [8, 13, 18]; minute [0]; second [0], from 2026-03-01T00:00:00+00:00" in told
    assert spoken(ScheduleSpec()) == "never"


@given(st.integers(1, 10**6).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_length_is_told_exactly(length: timedelta) -> None:
    count, unit = spoken_length(length).split()
    seconds = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}[unit.removesuffix("s")]
    assert int(count) * seconds == length.total_seconds()


# ---- planned ----


def test_what_is_not_there_is_created_and_what_is_the_same_is_left_alone() -> None:
    [first, second] = planned(JOB, OTHER, known=on_server(OTHER))
    assert (first.id, first.verb) == ("job", Verb.CREATE)
    assert differences(first) == {"when": ("", "daily at 07:00"), "time zone": ("", BERLIN)}
    assert (second.id, second.verb, second.differences) == ("other", Verb.UNCHANGED, ())


def test_what_differs_is_named() -> None:
    later = replace(JOB, when=On(time(8)), jitter=timedelta(minutes=1))
    [step] = planned(later, known=on_server(JOB))
    assert step.verb is Verb.UPDATE
    assert differences(step) == {"when": ("daily at 07:00", "daily at 08:00"), "jitter": ("none", "1 minute")}
    [step] = planned(JOB, known=on_server(JOB, time_zone="Asia/Tokyo"))
    assert differences(step) == {"time zone": ("Asia/Tokyo", BERLIN)}


def test_what_is_declared_no_more_is_deleted_if_it_is_ours() -> None:
    foreign = on_server(replace(JOB, id="foreign"), is_ours=False)
    steps = planned(JOB, known=on_server(JOB, OTHER) | foreign)
    assert [(each.id, each.verb) for each in steps] == [("job", Verb.UNCHANGED), ("other", Verb.DELETE)]


def test_one_of_an_older_release_is_taken_over() -> None:
    [step] = planned(JOB, known=on_server(JOB, is_ours=False))
    assert (step.verb, differences(step)) == (Verb.UPDATE, {"known as ours": ("no", "yes")})


def test_a_pause_is_the_operators_unless_it_is_declared() -> None:
    paused = on_server(JOB, **{PAUSED: "yes", NOTE: "The bank is closed."})
    assert [each.verb for each in planned(JOB, known=paused)] == [Verb.UNCHANGED]
    [later] = planned(replace(JOB, when=On(time(8))), known=paused)
    assert set(differences(later)) == {"when"}
    [resumed] = planned(replace(JOB, is_paused=False), known=paused)
    assert differences(resumed) == {NOTE: ("The bank is closed.", "It is done."), PAUSED: ("yes", "no")}
    [stopped] = planned(replace(JOB, is_paused=True), known=on_server(JOB))
    assert differences(stopped) == {PAUSED: ("no", "yes")}


@given(st.sets(st.sampled_from(SCHEDULES)), st.sets(st.sampled_from(SCHEDULES)), st.sampled_from([BERLIN, "UTC"]))
def test_what_is_carried_out_leaves_nothing_to_do(
    declared: set[Recurring], known: set[Recurring], time_zone: str
) -> None:
    before = on_server(*known, time_zone=time_zone)
    steps = planned(*declared, known=before)
    assert {each.id for each in steps if each.verb is Verb.CREATE} == {each.id for each in declared - known}
    assert {each.id for each in steps if each.verb is Verb.DELETE} == {each.id for each in known - declared}
    after = dict(before)
    for step in steps:
        if step.verb is Verb.DELETE:
            del after[step.id]
        elif step.verb is Verb.CREATE:
            after |= on_server(*(each for each in declared if each.id == step.id))
        else:
            after[step.id] = Known(
                {**before[step.id].facts, **{each.name: each.after for each in step.differences}}, True
            )
    assert {each.verb for each in planned(*declared, known=after)} <= {Verb.UNCHANGED}
