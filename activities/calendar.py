"""The dates of an order as a calendar file (RFC 5545) that any calendar takes: booked lessons and class sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

from icalendar import Calendar, Event, vCalAddress, vText
from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.one_line import one_line
from models.tables import Academy, ClassSession, Course, Enrollment, LessonSlot, Order, OrderLine, Person
from models.vocabulary import EnrollmentStatus, SlotStatus

MEDIA_TYPE = "text/calendar"
MEDIA_TYPE_PARAMETERS = {"charset": "utf-8", "method": "PUBLISH"}
FILE_NAME = "lessons.ics"

_PRODUCT = "-//Registrar//Registrar//EN"
_ENROLLED = (EnrollmentStatus.ACTIVE, EnrollmentStatus.SUSPENDED, EnrollmentStatus.COMPLETED)
_TAKEN = (SlotStatus.BOOKED, SlotStatus.COMPLETED)


@dataclass(frozen=True)
class CalendarEntry:
    """One date. `source_id` is the slot or class session; `confirmed_at` is when its order was completed (UTC)."""

    source_id: UUID
    title: str
    starts_at: datetime
    ends_at: datetime
    location: str | None
    academy: str
    academy_email: str
    confirmed_at: datetime


def calendar_file(entries: Sequence[CalendarEntry], domain: str) -> bytes:
    """The entries as a file. The same entries give the same bytes, and a later file replaces their dates by their UIDs.

    Raises `ValueError` for no entries, since a calendar without any is none (RFC 5545 3.6).
    """
    if not entries:
        raise ValueError("a calendar needs at least one entry")
    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    for entry in entries:
        calendar.add_component(_event(entry, domain))
    return cast("bytes", calendar.to_ical())


async def entries_of_order(session: AsyncSession, order_id: UUID) -> list[CalendarEntry]:
    """The booked lessons of a completed order and the class sessions of the courses it brought, by time.

    Sessions that were over when the order was completed are left out. Two statements, however long the order is.
    """
    found = {entry.source_id: entry for entry in await _lessons(session, order_id)}
    found |= {entry.source_id: entry for entry in await _class_sessions(session, order_id)}
    return sorted(found.values(), key=lambda entry: (entry.starts_at, entry.title, entry.source_id))


def _event(entry: CalendarEntry, domain: str) -> Event:
    event = Event()
    event.add("uid", f"{entry.source_id}@{domain}")
    event.add("dtstamp", entry.confirmed_at.astimezone(UTC))
    event.add("dtstart", entry.starts_at.astimezone(UTC))
    event.add("dtend", entry.ends_at.astimezone(UTC))
    event.add("summary", one_line(entry.title))
    if entry.location:
        event.add("location", one_line(entry.location))
    organizer = vCalAddress(f"mailto:{one_line(entry.academy_email)}")
    # A parameter cannot hold a quotation mark (RFC 5545 3.2).
    organizer.params["CN"] = vText(one_line(entry.academy).replace('"', "'"))
    event.add("organizer", organizer)
    return event


async def _lessons(session: AsyncSession, order_id: UUID) -> list[CalendarEntry]:
    query = (
        select(LessonSlot, col(OrderLine.title), Person, Order, Academy)
        .join(OrderLine, col(OrderLine.id) == col(LessonSlot.order_line_id))
        .join(Order, col(Order.id) == col(OrderLine.order_id))
        .join(Person, col(Person.id) == col(OrderLine.student_id))
        .join(Academy, true())
        .where(col(Order.id) == order_id, col(LessonSlot.status).in_(_TAKEN), col(Order.completed_at).is_not(None))
    )
    return [
        _entry(slot, title if student.id == order.payer_id else f"{title} ({student.full_name})", None, order, academy)
        for slot, title, student, order, academy in (await session.execute(query)).all()
    ]


async def _class_sessions(session: AsyncSession, order_id: UUID) -> list[CalendarEntry]:
    enrolled_in = (
        select(col(Enrollment.course_id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .where(col(OrderLine.order_id) == order_id, col(Enrollment.status).in_(_ENROLLED))
    )
    query = (
        select(ClassSession, col(Course.title), Order, Academy)
        .join(Course, col(Course.id) == col(ClassSession.course_id))
        .join(Order, col(Order.id) == order_id)
        .join(Academy, true())
        .where(col(Course.id).in_(enrolled_in), col(ClassSession.ends_at) > col(Order.completed_at))
    )
    return [
        _entry(meeting, f"{title}: {meeting.title}", meeting.location, order, academy)
        for meeting, title, order, academy in (await session.execute(query)).all()
    ]


def _entry(
    source: LessonSlot | ClassSession, title: str, location: str | None, order: Order, academy: Academy
) -> CalendarEntry:
    return CalendarEntry(
        source_id=source.id,
        title=title,
        starts_at=source.starts_at,
        ends_at=source.ends_at,
        location=location,
        academy=academy.name,
        academy_email=academy.email,
        confirmed_at=cast("datetime", order.completed_at),
    )
