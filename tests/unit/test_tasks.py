"""Whom a task is for, and when somebody is reminded of it: by example around weekends, holidays and clock changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.vocabulary import TaskKind, TaskQueue
from rules.tasks import Moments, Pace, moments, pace_of, queue_of

BERLIN = ZoneInfo("Europe/Berlin")


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def at(opened: str, *, country: str = "DE", pace: Pace | None = None, **fixed: datetime) -> Moments:
    return moments(pace or Pace(), berlin(opened), BERLIN, country, **fixed)


@pytest.mark.parametrize(
    ("opened", "country", "remind", "due", "again"),
    [
        ("2026-11-16T10:30", "DE", "2026-11-17T10:30", "2026-11-18T10:30", "2026-11-20T10:30"),
        # Over a weekend, and opened on one.
        ("2026-11-19T10:30", "DE", "2026-11-20T10:30", "2026-11-23T10:30", "2026-11-25T10:30"),
        ("2026-11-21T23:59", "DE", "2026-11-24T00:00", "2026-11-25T00:00", "2026-11-27T00:00"),
        # Christmas and the holidays around it; Poland has Christmas Eve as well.
        ("2026-12-23T10:30", "DE", "2026-12-24T10:30", "2026-12-28T10:30", "2026-12-30T10:30"),
        ("2026-12-23T10:30", "PL", "2026-12-28T10:30", "2026-12-29T10:30", "2026-12-31T10:30"),
        # Clocks are turned between opening and due date: the time of day stays.
        ("2026-03-27T10:30", "DE", "2026-03-30T10:30", "2026-03-31T10:30", "2026-04-02T10:30"),
        ("2026-10-23T10:30", "DE", "2026-10-26T10:30", "2026-10-27T10:30", "2026-10-29T10:30"),
        # A country whose holidays nobody knows.
        ("2026-12-24T10:30", "", "2026-12-25T10:30", "2026-12-28T10:30", "2026-12-30T10:30"),
    ],
)
def test_reminders_count_working_days(opened: str, country: str, remind: str, due: str, again: str) -> None:
    found = at(opened, country=country)
    assert found == Moments(berlin(due), berlin(remind), berlin(due), berlin(again))
    assert found.due_at.tzinfo is UTC


def test_a_fixed_due_date_stays_and_the_reminders_keep_their_pace() -> None:
    due_at = berlin("2026-11-17T09:00")
    found = at("2026-11-16T10:30", due_at=due_at)
    assert found.due_at == due_at
    assert found.remind_at == berlin("2026-11-17T10:30")
    assert found.escalate_again_at == berlin("2026-11-20T10:30")


def test_nobody_is_reminded_when_nobody_waits_any_more() -> None:
    until = berlin("2026-11-18T10:30")
    found = at("2026-11-16T10:30", due_at=until, until=until)
    assert found == Moments(until, berlin("2026-11-17T10:30"), None, None)
    # Opened before a weekend, three days leave no working day to be reminded after.
    until = berlin("2026-11-23T10:30")
    assert at("2026-11-20T10:30", due_at=until, until=until) == Moments(until, None, None, None)


def test_another_kind_may_have_another_pace() -> None:
    found = at("2026-11-16T10:30", pace=Pace(decide_within=5, remind_after=3, escalate_after=5, escalate_again_after=8))
    assert found == Moments(
        berlin("2026-11-23T10:30"), berlin("2026-11-19T10:30"), berlin("2026-11-23T10:30"), berlin("2026-11-26T10:30")
    )


def test_money_is_for_finance_and_what_the_platform_does_not_take_for_support() -> None:
    kinds = {queue: {kind for kind in TaskKind if queue_of(kind) is queue} for queue in TaskQueue}
    names = {TaskKind.CERTIFICATE_NAME_MISSING, TaskKind.NAME_CORRECTION}
    opening = {TaskKind.PROVISIONING_FAILED, TaskKind.TUTOR_PROVISIONING_FAILED}
    assert kinds[TaskQueue.SUPPORT] == opening | names | {TaskKind.CRITICAL_MAIL, TaskKind.STUCK_JOB}
    judged = {TaskKind.TUTOR_REVIEW, TaskKind.TUTOR_SECOND_OPINION, TaskKind.COMPLETION_JUDGEMENT}
    assert kinds[TaskQueue.REVIEW] == judged
    slow = {kind for kind in TaskKind if pace_of(kind).decide_within != 2}
    assert slow == {TaskKind.TUTOR_REVIEW}


def test_whoever_was_told_before_an_answer_was_waited_for_is_not_told_again() -> None:
    review = pace_of(TaskKind.TUTOR_REVIEW)
    opened = berlin("2026-11-16T10:30")
    fresh = moments(review, opened, BERLIN, "DE", used=timedelta(days=2, hours=12))
    assert fresh.remind_at == berlin("2026-11-16T22:30")
    assert fresh.due_at == fresh.escalate_at == berlin("2026-11-18T22:30")
    assert fresh.escalate_again_at == berlin("2026-11-23T22:30")
    late = moments(review, opened, BERLIN, "DE", used=timedelta(days=6))
    assert late == Moments(opened, None, None, berlin("2026-11-18T10:30"))
    assert moments(review, opened, BERLIN, "DE", used=timedelta(days=9)) == Moments(opened, None, None, None)


@given(
    st.integers(0, 11 * 365 * 24 * 60).map(
        lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    st.sampled_from(["DE", "PL", "AE", "JP", "US", "XX"]),
    st.none() | st.integers(0, 10 * 24),
)
def test_the_levels_come_one_after_another_and_never_after_the_end(
    opened_at: datetime, country: str, hours: int | None
) -> None:
    until = None if hours is None else opened_at + timedelta(hours=hours)
    found = moments(Pace(), opened_at, BERLIN, country, due_at=until, until=until)
    levels = [found.remind_at, found.escalate_at, found.escalate_again_at]
    told = [moment for moment in levels if moment is not None]
    assert levels[: len(told)] == told
    assert sorted(set(told)) == told
    assert all(moment > opened_at for moment in told)
    assert until is None or all(moment < until for moment in told)
    assert until is not None or len(told) == 3
