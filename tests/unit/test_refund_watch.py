"""When a refund is looked at again, when somebody is reminded, and when it is over."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.vocabulary import RefundStatus
from rules.refund_watch import (
    ACTION_EXPIRES,
    PENDING_IS_LATE,
    REMINDER_DAYS,
    WATCHED_AFTER_SUCCESS,
    has_come_to_nothing,
    is_expired,
    is_late,
    is_settled,
    next_look,
    reminder,
)

SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)
PENDING, REQUIRES_ACTION, SUCCEEDED = RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION, RefundStatus.SUCCEEDED
AGES = st.timedeltas(min_value=timedelta(), max_value=timedelta(days=100))


@pytest.mark.parametrize(
    ("status", "age", "wait"),
    [
        (PENDING, timedelta(), timedelta(hours=6)),
        (PENDING, timedelta(days=6, hours=20), timedelta(hours=4)),
        (PENDING, timedelta(days=7), timedelta(days=1)),
        (REQUIRES_ACTION, timedelta(days=2, hours=12), timedelta(hours=12)),
        (REQUIRES_ACTION, timedelta(days=5), timedelta(days=1)),
        (REQUIRES_ACTION, timedelta(days=44, hours=23), timedelta(hours=1)),
        (SUCCEEDED, timedelta(), timedelta(days=1)),
        (SUCCEEDED, timedelta(days=1), timedelta(days=6)),
        (SUCCEEDED, timedelta(days=14), timedelta(days=16)),
    ],
)
def test_it_is_looked_at_again(status: RefundStatus, age: timedelta, wait: timedelta) -> None:
    assert next_look(status, SINCE, SINCE + age) == SINCE + age + wait


@pytest.mark.parametrize(
    ("days", "last"), [(0, None), (2.9, None), (3, 3), (13, 3), (14, 14), (30, 30), (39.9, 30), (40, 40), (44, 40)]
)
def test_the_payer_is_reminded_on_the_days_of_the_list(days: float, last: int | None) -> None:
    assert reminder(SINCE, SINCE + timedelta(days=days)) == last


@given(status=st.sampled_from(RefundStatus), age=AGES)
def test_time_goes_on_and_every_deadline_is_met(status: RefundStatus, age: timedelta) -> None:
    moment = SINCE + age
    look = next_look(status, SINCE, moment)
    if not is_settled(status, SINCE, moment):
        assert moment < look
    deadlines = {
        PENDING: [PENDING_IS_LATE],
        REQUIRES_ACTION: [*(timedelta(days=day) for day in REMINDER_DAYS), ACTION_EXPIRES],
        SUCCEEDED: [WATCHED_AFTER_SUCCESS],
    }
    for deadline in deadlines.get(status, []):
        assert not moment < SINCE + deadline < look


def test_each_status_has_its_end() -> None:
    just_before, just_then = SINCE - timedelta(seconds=1), SINCE
    for status, age, is_over in (
        (PENDING, PENDING_IS_LATE, is_late),
        (REQUIRES_ACTION, ACTION_EXPIRES, is_expired),
        (SUCCEEDED, WATCHED_AFTER_SUCCESS, is_settled),
    ):
        assert [is_over(status, SINCE, moment + age) for moment in (just_before, just_then)] == [False, True]
        assert not any(is_over(other, SINCE, just_then + age) for other in RefundStatus if other is not status)
    assert {status for status in RefundStatus if has_come_to_nothing(status)} == {
        RefundStatus.FAILED,
        RefundStatus.CANCELED,
    }
