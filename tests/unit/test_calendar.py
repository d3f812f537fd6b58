"""Calendar files: what a library reads back of them, whatever courses are called."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar, Component

from activities.calendar import calendar_file
from activities.one_line import one_line
from sandbox.mail_samples import NOW, a_date, an_id
from tests.unit.names import NAMES, STEERING


def read(file: bytes) -> list[Component]:
    """The events; every line ends and is folded as RFC 5545 wants it."""
    assert file.endswith(b"\r\n")
    assert b"\n" not in file.replace(b"\r\n", b"")
    assert max(map(len, file.split(b"\r\n"))) <= 75
    [calendar] = Calendar.from_ical(file, multiple=True)
    assert calendar.errors == []
    assert (calendar["VERSION"], calendar["METHOD"]) == ("2.0", "PUBLISH")
    assert "Registrar" in calendar["PRODID"]
    return list(calendar.walk("VEVENT"))


def test_an_entry_is_read_back_as_it_is() -> None:
    entry = a_date(1, "Spanish; with, commas\\and more", location="Raum 3, Berlin")
    [event] = read(calendar_file([entry], "registrar.test"))
    assert event["UID"] == f"{an_id('date 1')}@registrar.test"
    assert (event["SUMMARY"], event["LOCATION"]) == (entry.title, entry.location)
    assert (event.decoded("DTSTART"), event.decoded("DTEND")) == (entry.starts_at, entry.ends_at)
    assert event.decoded("DTSTAMP") == NOW
    assert event["ORGANIZER"] == "mailto:hello@tutorhub-academy.test"
    assert event["ORGANIZER"].params["CN"] == "TutorHub Academy"


def test_times_are_told_in_utc_wherever_they_come_from() -> None:
    berlin = timezone(timedelta(hours=1))
    entry = replace(
        a_date(1),
        starts_at=datetime(2026, 12, 1, 18, tzinfo=berlin),
        ends_at=datetime(2026, 12, 1, 19, tzinfo=berlin),
        confirmed_at=datetime(2026, 11, 1, 1, tzinfo=berlin),
    )
    file = calendar_file([entry], "registrar.test")
    assert b"DTSTART:20261201T170000Z" in file
    assert b"DTEND:20261201T180000Z" in file
    assert b"DTSTAMP:20261101T000000Z" in file
    assert b"TZID" not in file
    assert read(file)[0].decoded("DTSTART") == datetime(2026, 12, 1, 17, tzinfo=UTC)


def test_a_room_that_is_not_known_is_not_told() -> None:
    [event] = read(calendar_file([a_date(1, location=None)], "registrar.test"))
    assert "LOCATION" not in event


def test_the_same_entries_are_the_same_bytes_in_their_order() -> None:
    entries = [a_date(week) for week in range(1, 5)]
    file = calendar_file(entries, "registrar.test")
    assert file == calendar_file(list(entries), "registrar.test")
    assert [event.decoded("DTSTART") for event in read(file)] == [entry.starts_at for entry in entries]


def test_no_entries_make_no_file() -> None:
    with pytest.raises(ValueError, match="at least one"):
        calendar_file([], "registrar.test")


@pytest.mark.parametrize("text", [*NAMES, *STEERING, "x\r\nEND:VEVENT\r\nBEGIN:VEVENT", 'A "quoted": name; b, c'])
def test_whatever_things_are_called_stays_in_its_place(text: str) -> None:
    entry = replace(a_date(1, text, location=text), academy=text)
    [event] = read(calendar_file([entry], "registrar.test"))
    assert event["SUMMARY"] == event["LOCATION"] == one_line(text)
    assert event["ORGANIZER"].params["CN"] == one_line(text).replace('"', "'")


@given(st.text(min_size=1, max_size=120))
def test_no_title_adds_a_line(title: str) -> None:
    [event] = read(calendar_file([replace(a_date(1), title=title)], "registrar.test"))
    assert event["SUMMARY"] == one_line(title)
    assert set(event) == {"UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "ORGANIZER"}
