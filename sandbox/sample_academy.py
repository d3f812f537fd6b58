"""Loads the sample academy from the data files in `sandbox/academy/`. Loading again updates, and never doubles."""

import tomllib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from activities.database import Sessions
from models.identifiers import REGISTRAR_NAMESPACE
from models.money import Currency, MinorUnits
from models.tables import Academy, Coupon, Course, Lesson, LessonSlot, Person
from models.tables.columns import now
from models.vocabulary import CouponKind, CourseKind, CourseStatus, PeriodUnit, RefundPolicy, SchedulingType

DATA = Path(__file__).parent / "academy"
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AcademyEntry(_Entry):
    name: str
    legal_name: str
    address: str
    country: str
    tax_number: str | None = None
    email: str
    time_zone: str
    locale: str


class PersonEntry(_Entry):
    key: str
    full_name: str
    email: str
    locale: str
    time_zone: str
    country: str | None = None


class LessonEntry(_Entry):
    title: str
    release_after_days: int = 0
    is_preview: bool = False


class SlotPlan(_Entry):
    """Slots on these weekdays at these times of the tutor's zone, for some weeks from next week on."""

    weekdays: tuple[str, ...]
    at: tuple[time, ...]
    minutes: int
    weeks: int

    def starts(self, first_day: date, zone: ZoneInfo) -> Iterator[datetime]:
        for day in (first_day + timedelta(days=n) for n in range(self.weeks * 7)):
            if _WEEKDAYS[day.weekday()] in self.weekdays:
                yield from (datetime.combine(day, at, tzinfo=zone) for at in self.at)


class CourseEntry(_Entry):
    code: str
    title: str
    description: str
    category: str
    kind: CourseKind
    status: CourseStatus
    price: MinorUnits
    currency: Currency
    refund_policy: RefundPolicy = RefundPolicy.WINDOW
    capacity: int | None = None
    access_days: int | None = None
    starts_in_days: int | None = None
    enrollment_closes_in_days: int | None = None
    tutor: str | None = None
    lessons_included: int | None = None
    scheduling_type: SchedulingType | None = None
    min_weekly_classes: int | None = None
    max_daily_lessons: int | None = None
    max_period_value: int | None = None
    max_period_unit: PeriodUnit | None = None
    lessons: tuple[LessonEntry, ...] = ()
    slots: SlotPlan | None = None


class CouponEntry(_Entry):
    code: str
    kind: CouponKind
    percent: Decimal | None = None
    amount: MinorUnits | None = None
    currency: Currency | None = None
    expires_on: date | None = None
    usage_limit: int | None = None


class AcademyFiles(BaseModel):
    """All of it, checked."""

    academy: AcademyEntry
    people: tuple[PersonEntry, ...]
    courses: tuple[CourseEntry, ...]
    coupons: tuple[CouponEntry, ...]


def read_academy(folder: Path = DATA) -> AcademyFiles:
    """Read and check the data files. Raises `pydantic.ValidationError` naming file entry and field."""

    def tables(name: str) -> dict[str, object]:
        return tomllib.loads((folder / f"{name}.toml").read_text())

    return AcademyFiles.model_validate(
        {
            "academy": tables("academy"),
            "people": tables("people").get("person", []),
            "courses": tables("courses").get("course", []),
            "coupons": tables("coupons").get("coupon", []),
        }
    )


def sample_id(kind: str, key: str) -> UUID:
    """The id of a sample row: the same on every machine, so that docs and demo can name it."""
    return uuid5(REGISTRAR_NAMESPACE, f"sample:{kind}:{key}")


def person_id(key: str) -> UUID | None:
    """The id of the sample person with this key, or none if there is no such person."""
    known = any(person.key == key for person in read_academy().people)
    return sample_id("person", key) if known else None


async def load_academy(sessions: Sessions, files: AcademyFiles | None = None) -> dict[str, int]:
    """Write the academy into an empty or older database. Sold seats, booked slots and used coupons stay as they are."""
    files = files or read_academy()
    zones = {person.key: ZoneInfo(person.time_zone) for person in files.people}
    today = now().astimezone(ZoneInfo(files.academy.time_zone))
    lessons = [row for course in files.courses for row in _lessons(course)]
    slots = [row for course in files.courses for row in _slots(course, zones, today.date())]
    async with sessions.begin() as session:
        await _upsert(session, Academy, [Academy(id=sample_id("academy", "one"), **files.academy.model_dump())])
        await _upsert(session, Person, [_person(person) for person in files.people])
        await _upsert(session, Course, [_course(course, today) for course in files.courses], keep={"seats_taken"})
        await _upsert(session, Lesson, lessons)
        await _upsert(session, LessonSlot, slots, keep={"status", "order_line_id", "student_id"})
        await _upsert(session, Coupon, [_coupon(coupon) for coupon in files.coupons], keep={"uses"})
    return {
        "people": len(files.people),
        "courses": len(files.courses),
        "lessons": len(lessons),
        "slots": len(slots),
        "coupons": len(files.coupons),
    }


def _person(entry: PersonEntry) -> Person:
    return Person(id=sample_id("person", entry.key), **entry.model_dump(exclude={"key"}))


def _course(entry: CourseEntry, today: datetime) -> Course:
    def at_nine(days: int | None) -> datetime | None:
        return (
            None if days is None else (today + timedelta(days=days)).replace(hour=9, minute=0, second=0, microsecond=0)
        )

    plain = {"price", "tutor", "lessons", "slots", "starts_in_days", "enrollment_closes_in_days"}
    return Course(
        id=sample_id("course", entry.code),
        price_amount=entry.price,
        tutor_id=sample_id("person", entry.tutor) if entry.tutor else None,
        starts_at=at_nine(entry.starts_in_days),
        enrollment_closes_at=at_nine(entry.enrollment_closes_in_days),
        **entry.model_dump(exclude=plain),
    )


def _lessons(entry: CourseEntry) -> Iterator[Lesson]:
    for position, lesson in enumerate(entry.lessons, start=1):
        yield Lesson(
            id=sample_id("lesson", f"{entry.code}:{position}"),
            course_id=sample_id("course", entry.code),
            position=position,
            **lesson.model_dump(),
        )


def _slots(entry: CourseEntry, zones: dict[str, ZoneInfo], today: date) -> Iterator[LessonSlot]:
    if entry.slots is None or entry.tutor is None:
        return
    next_monday = today + timedelta(days=7 - today.weekday())
    for starts_at in entry.slots.starts(next_monday, zones[entry.tutor]):
        yield LessonSlot(
            id=sample_id("slot", f"{entry.code}:{starts_at.isoformat()}"),
            course_id=sample_id("course", entry.code),
            tutor_id=sample_id("person", entry.tutor),
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=entry.slots.minutes),
        )


def _coupon(entry: CouponEntry) -> Coupon:
    return Coupon(id=sample_id("coupon", entry.code), **entry.model_dump())


_Row = TypeVar("_Row", bound=SQLModel)


async def _upsert(
    session: AsyncSession, table: type[_Row], rows: Sequence[_Row], keep: frozenset[str] | set[str] = frozenset()
) -> None:
    """Insert the rows in one statement; those already there are brought up to date except for the columns to keep."""
    if not rows:
        return
    statement = insert(table).values([row.model_dump() for row in rows])
    changed = {
        column.name: statement.excluded[column.name]
        for column in SQLModel.metadata.tables[str(table.__tablename__)].columns
        if column.name not in {"id", "created_at", *keep}
    }
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))
