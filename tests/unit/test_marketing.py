"""The arbiter of marketing mail: its caps always hold, nobody is woken, and nothing is late for nothing."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.vocabulary import ConsentMode
from rules.marketing import (
    CAPPED,
    DROPPED_AFTER,
    MAX_A_WEEK,
    ONE_PER,
    QUIET_FROM,
    QUIET_HOURS,
    QUIET_UNTIL,
    WEEK,
    Slot,
    Standing,
    is_too_late,
    refused_because,
    slot_for,
)

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    [
        "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Pacific/Kiritimati",
        "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "Antarctica/Troll",
    ]
).map(ZoneInfo)  # fmt: skip
MOMENTS = st.datetimes(datetime(2011, 12, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
GAPS = st.lists(st.integers(0, 60 * 24 * 4).map(lambda minutes: timedelta(minutes=minutes)), max_size=12)


def at(day: int, hour: int, minute: int = 0, *, month: int = 6, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=zone).astimezone(UTC)


def is_quiet(moment: datetime, zone: ZoneInfo) -> bool:
    clock = moment.astimezone(zone).time()
    return clock < QUIET_UNTIL or clock >= QUIET_FROM


@pytest.mark.parametrize(
    ("had", "wanted", "slot"),
    [
        ([], at(1, 12), Slot(at(1, 12))),
        ([], at(1, 8), Slot(at(1, 8))),
        ([], at(1, 20, 59), Slot(at(1, 20, 59))),
        ([], at(1, 21), Slot(at(2, 8), QUIET_HOURS)),
        ([], at(1, 7, 59), Slot(at(1, 8), QUIET_HOURS)),
        ([at(1, 12)], at(1, 13), Slot(at(2, 8), CAPPED)),
        ([at(1, 0)], at(1, 13), Slot(at(1, 16), CAPPED)),
        ([at(1, 12)], at(2, 8), Slot(at(2, 8))),
        ([at(1, 12), at(2, 12), at(3, 12)], at(4, 12), Slot(at(8, 12), CAPPED)),
        ([at(1, 12), at(2, 12), at(3, 12)], at(8, 12), Slot(at(8, 12))),
        ([at(1, 12), at(2, 12), at(3, 12)], at(4, 23), Slot(at(8, 12), CAPPED)),
    ],
)
def test_when_a_mail_may_go(had: list[datetime], wanted: datetime, slot: Slot) -> None:
    assert slot_for(had, wanted, BERLIN) == slot


@pytest.mark.parametrize(("month", "night", "hours"), [(3, 28, 10), (10, 24, 12)])
def test_the_night_in_which_clocks_are_turned(month: int, night: int, hours: int) -> None:
    evening = at(night, 21, month=month)
    slot = slot_for([], evening, BERLIN)
    assert slot == Slot(at(night + 1, 8, month=month), QUIET_HOURS)
    assert slot.at - evening == timedelta(hours=hours)


def test_a_day_that_a_zone_leaves_out_ends_on_the_next_morning() -> None:
    apia = ZoneInfo("Pacific/Apia")
    evening = datetime(2011, 12, 29, 22, tzinfo=apia).astimezone(UTC)
    assert slot_for([], evening, apia).at == datetime(2011, 12, 31, 8, tzinfo=apia).astimezone(UTC)


@given(begin=MOMENTS, gaps=GAPS, zone=ZONES)
def test_caps_and_quiet_hours_hold_for_any_sequence_of_wants(
    begin: datetime, gaps: list[timedelta], zone: ZoneInfo
) -> None:
    """Every want waits for its slot, as long as that may take."""
    had: list[datetime] = []
    moment = begin
    for gap in gaps:
        moment += gap
        slot = slot_for(had, moment, zone)
        assert slot.at >= moment
        assert (slot.reason is None) == (slot.at == moment)
        assert not is_quiet(slot.at, zone)
        # Waiting until then, it may go at once: nobody is put off twice for the same reason.
        assert slot_for(had, slot.at, zone) == Slot(slot.at)
        moment = slot.at
        had.append(moment)
    for earlier, later in pairwise(had):
        assert later - earlier >= ONE_PER
    for first, fourth in zip(had, had[MAX_A_WEEK:], strict=False):
        assert fourth - first >= WEEK


@given(had=st.lists(st.integers(0, 60 * 24 * 9), max_size=6), moment=MOMENTS, zone=ZONES)
def test_a_mail_never_waits_longer_than_it_has_to(had: list[int], moment: datetime, zone: ZoneInfo) -> None:
    """In every quarter of an hour before the slot something speaks against the mail."""
    moments = [moment - timedelta(minutes=minutes) for minutes in had]
    slot = slot_for(moments, moment, zone)
    step = timedelta(minutes=15)
    tried = moment
    while tried < slot.at:
        in_week = [each for each in moments if each > tried - WEEK]
        is_capped = len(in_week) >= MAX_A_WEEK or any(tried - each < ONE_PER for each in in_week)
        assert is_capped or is_quiet(tried, zone)
        tried += step


def test_the_order_of_what_was_had_does_not_matter() -> None:
    had = [at(3, 12), at(1, 12), at(2, 12)]
    assert slot_for(had, at(4, 12), BERLIN) == slot_for(sorted(had), at(4, 12), BERLIN)


def test_after_a_day_a_mail_is_dropped() -> None:
    wanted = at(1, 12)
    assert not is_too_late(wanted, Slot(wanted + DROPPED_AFTER))
    assert is_too_late(wanted, Slot(wanted + DROPPED_AFTER + timedelta(seconds=1)))


@pytest.mark.parametrize(
    ("said", "opt_in", "soft", "off"),
    [
        ({}, "no_consent", "no_consent", None),
        ({"is_customer": True}, "no_consent", None, None),
        ({"consented": True}, None, None, None),
        ({"is_customer": True, "withdrawn": True}, "unsubscribed", "unsubscribed", "unsubscribed"),
        ({"consented": True, "bounced": True}, "bounced", "bounced", "bounced"),
        ({"withdrawn": True, "complained": True, "bounced": True}, "complained", "complained", "complained"),
    ],
)
def test_who_gets_marketing_mail(said: dict[str, bool], opt_in: str | None, soft: str | None, off: str | None) -> None:
    nothing = {"consented": False, "withdrawn": False, "complained": False, "bounced": False, "is_customer": False}
    standing = Standing(**{**nothing, **said})
    assert [refused_because(standing, mode) for mode in ConsentMode] == [opt_in, soft, off]
