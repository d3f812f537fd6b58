"""Loads the sample academy from the data files in `sandbox/academy/`. Loading again updates, and never doubles."""

import tomllib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Self, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, model_validator
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from activities.database import Sessions
from activities.subscriptions import subscribe
from models.money import Currency, MinorUnits
from models.tables import (
    Academy,
    BundleCourse,
    CartSettings,
    ClassSession,
    Coupon,
    Course,
    CourseModule,
    Lesson,
    LessonSlot,
    Person,
    ReportRecipient,
    Reviewer,
    ScreeningMeeting,
    Subject,
    TaskContact,
    TaxRate,
)
from models.tables.columns import now
from models.vocabulary import (
    AccessRule,
    CompletionRule,
    ConsentMode,
    ConsentSource,
    CostScheme,
    CouponKind,
    CourseKind,
    CourseStatus,
    ExportReport,
    MailList,
    PeriodUnit,
    RefundPolicy,
    ReleaseMails,
    SchedulingType,
    ScreeningDecision,
    TaskQueue,
    TaxBehavior,
)
from rules.local_time import at_local
from sandbox.sample_certificates import CertificateFiles, load_certificates
from sandbox.sample_lessons import LessonEntry, lessons_of, modules_of, with_ids, wrong_with_lessons
from sandbox.sample_lessons import sample_id as sample_id  # noqa: PLC0414 - told on

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
    payment_instructions: str | None = None
    automatic_refund_amount: int | None = None
    automatic_refund_currency: Currency | None = None


class TaxRateEntry(_Entry):
    country: str
    name: str
    percent: Decimal
    behavior: TaxBehavior


class PersonEntry(_Entry):
    key: str
    full_name: str
    email: str
    locale: str
    time_zone: str
    country: str | None = None
    billing_name: str | None = None
    billing_address: str | None = None
    tax_number: str | None = None
    may_pay_by_invoice: bool = False
    is_guest: bool = False


class TaskContactEntry(_Entry):
    queue: TaskQueue
    remind: str
    escalate: str | None = None
    escalate_again: str | None = None


class ReviewerEntry(_Entry):
    person: str


class ReportRecipientEntry(_Entry):
    report: ExportReport
    person: str


class SubjectEntry(_Entry):
    code: str
    title: str
    requires_certification: bool = False
    requires_video: bool = False
    is_open: bool = True


class SessionPlan(_Entry):
    """Meetings of a cohort, once a week at this time of the academy's zone, from the day it starts on."""

    title: str
    at: time
    minutes: int
    weeks: int
    location: str | None = None


class ScreeningEntry(_Entry):
    student: str
    decision: ScreeningDecision
    days_ago: int = 0


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
    cost_scheme: CostScheme = CostScheme.STUDENT
    sale_price: MinorUnits | None = None
    sale_starts_in_days: int | None = None
    sale_ends_in_days: int | None = None
    approver: str | None = None
    refund_policy: RefundPolicy = RefundPolicy.WINDOW
    capacity: int | None = None
    access_rule: AccessRule = AccessRule.UNLIMITED
    access_days: int | None = None
    access_ends_in_days: int | None = None
    completion_rule: CompletionRule = CompletionRule.NA
    release_mails: ReleaseMails = ReleaseMails.EACH
    credits: int | None = None
    starts_in_days: int | None = None
    enrollment_closes_in_days: int | None = None
    tutor: str | None = None
    lessons_included: int | None = None
    scheduling_type: SchedulingType | None = None
    min_weekly_classes: int | None = None
    max_daily_lessons: int | None = None
    max_period_value: int | None = None
    max_period_unit: PeriodUnit | None = None
    preliminary_meeting_required: bool = False
    courses: tuple[str, ...] = ()
    lessons: tuple[LessonEntry, ...] = ()
    sessions: SessionPlan | None = None
    slots: SlotPlan | None = None
    screenings: tuple[ScreeningEntry, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _with_ids(cls, told: dict[str, object]) -> dict[str, object]:
        code, lessons = str(told.get("code")), told.get("lessons", ())
        assert isinstance(lessons, list | tuple)  # noqa: S101 - anything else is a mistake in the file
        return {**told, "lessons": [{**each, **_rule_of(code, each)} for each in lessons]}

    @model_validator(mode="after")
    def _lessons_can_open(self) -> Self:
        wrong = wrong_with_lessons(self.code, self.lessons, 0 if self.sessions is None else self.sessions.weeks)
        if wrong is not None:
            raise ValueError(wrong)
        return self


def _rule_of(code: str, lesson: dict[str, object]) -> dict[str, object]:
    return {"drip_rule": with_ids(code, lesson["drip_rule"])} if "drip_rule" in lesson else {}


class CouponEntry(_Entry):
    code: str
    kind: CouponKind
    percent: Decimal | None = None
    amount: MinorUnits | None = None
    currency: Currency | None = None
    expires_on: date | None = None
    usage_limit: int | None = None
    per_person_limit: int | None = None
    minimum_amount: MinorUnits | None = None
    minimum_currency: Currency | None = None
    allowed_emails: list[str] = []
    allowed_courses: list[str] = []
    excluded_courses: list[str] = []
    allowed_categories: list[str] = []
    excluded_categories: list[str] = []
    excludes_sale_prices: bool = False


class CartSettingsEntry(_Entry):
    cutoff_minutes: int
    delays_minutes: list[int]
    coupon_percent: int | None = None
    consent_mode: ConsentMode
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None


class SubscriptionEntry(_Entry):
    person: str
    list: MailList
    text_version: str


class AcademyFiles(BaseModel):
    """All of it, checked."""

    academy: AcademyEntry
    tax_rates: tuple[TaxRateEntry, ...]
    people: tuple[PersonEntry, ...]
    task_contacts: tuple[TaskContactEntry, ...]
    reviewers: tuple[ReviewerEntry, ...]
    report_recipients: tuple[ReportRecipientEntry, ...] = ()
    subjects: tuple[SubjectEntry, ...]
    courses: tuple[CourseEntry, ...]
    coupons: tuple[CouponEntry, ...]
    cart_settings: CartSettingsEntry
    subscriptions: tuple[SubscriptionEntry, ...]
    certificates: CertificateFiles = CertificateFiles()


def read_academy(folder: Path = DATA) -> AcademyFiles:
    """Read and check the data files. Raises `pydantic.ValidationError` naming file entry and field."""

    def tables(name: str) -> dict[str, object]:
        return tomllib.loads((folder / f"{name}.toml").read_text())

    return AcademyFiles.model_validate(
        {
            "academy": tables("academy"),
            "tax_rates": tables("taxes").get("tax_rate", []),
            "people": tables("people").get("person", []),
            "task_contacts": tables("people").get("task_contact", []),
            "reviewers": tables("people").get("reviewer", []),
            "report_recipients": tables("people").get("report_recipient", []),
            "subjects": tables("subjects").get("subject", []),
            "courses": tables("courses").get("course", []),
            "coupons": tables("coupons").get("coupon", []),
            "cart_settings": tables("carts").get("settings"),
            "subscriptions": tables("carts").get("subscription", []),
            "certificates": tables("certificates"),
        }
    )


def person_id(key: str) -> UUID | None:
    """The id of the sample person with this key, or none if there is no such person."""
    known = any(person.key == key for person in read_academy().people)
    return sample_id("person", key) if known else None


async def load_academy(sessions: Sessions, files: AcademyFiles | None = None) -> dict[str, int]:
    """Write the academy into an empty or older database.

    Sold seats, booked slots, used coupons and who is away stay as they are.
    """
    files = files or read_academy()
    zones = {person.key: ZoneInfo(person.time_zone) for person in files.people}
    academy_zone = ZoneInfo(files.academy.time_zone)
    today = now().astimezone(academy_zone).date()
    modules = [row for course in files.courses for row in modules_of(course.code, course.lessons)]
    lessons = [row for course in files.courses for row in lessons_of(course.code, course.lessons)]
    sessions_of_cohorts = [row for course in files.courses for row in _class_sessions(course, today, academy_zone)]
    slots = [row for course in files.courses for row in _slots(course, zones, today)]
    screenings = [row for course in files.courses for row in _screenings(course)]
    async with sessions.begin() as session:
        await _upsert(session, Academy, [Academy(id=sample_id("academy", "one"), **files.academy.model_dump())])
        await _upsert(session, TaxRate, [TaxRate(**rate.model_dump()) for rate in files.tax_rates])
        await _upsert(
            session,
            Person,
            [_person(person) for person in files.people],
            keep={"legal_name", "legal_name_confirmed_at"},
        )
        await _upsert(session, TaskContact, [_task_contact(contact) for contact in files.task_contacts])
        reviewers = [Reviewer(person_id=sample_id("person", each.person)) for each in files.reviewers]
        await _upsert(session, Reviewer, reviewers, keep={"away_since", "last_assigned_at"})
        recipients = [
            ReportRecipient(report=each.report, person_id=sample_id("person", each.person))
            for each in files.report_recipients
        ]
        await _upsert(session, ReportRecipient, recipients)
        await _upsert(session, Subject, [Subject(**subject.model_dump()) for subject in files.subjects])
        courses = [_course(course, today, academy_zone) for course in files.courses]
        await _upsert(session, Course, courses, keep={"seats_taken"})
        await _upsert(session, BundleCourse, [row for course in files.courses for row in _bundled(course)])
        await _upsert(session, CourseModule, modules)
        await _upsert(session, Lesson, lessons)
        await _upsert(session, ClassSession, sessions_of_cohorts)
        await _upsert(session, LessonSlot, slots, keep={"status", "order_line_id", "student_id"})
        await _upsert(session, ScreeningMeeting, screenings)
        await _upsert(session, Coupon, [_coupon(coupon) for coupon in files.coupons], keep={"uses"})
        await _upsert(session, CartSettings, [_cart_settings(files.cart_settings)])
        await load_certificates(
            session,
            files.certificates,
            courses={course.code: sample_id("course", course.code) for course in files.courses},
            people={person.key: sample_id("person", person.key) for person in files.people},
            templates={each.name: sample_id("certificate_template", each.name) for each in files.certificates.template},
            moment=now(),
        )
        for wish in files.subscriptions:
            await subscribe(
                session,
                sample_id("person", wish.person),
                wish.list,
                source=ConsentSource.IMPORT,
                actor="system",
                text_version=wish.text_version,
            )
    return {
        "people": len(files.people),
        "task contacts": len(files.task_contacts),
        "reviewers": len(files.reviewers),
        "report recipients": len(files.report_recipients),
        "subjects": len(files.subjects),
        "courses": len(files.courses),
        "modules": len(modules),
        "lessons": len(lessons),
        "class sessions": len(sessions_of_cohorts),
        "slots": len(slots),
        "screening meetings": len(screenings),
        "coupons": len(files.coupons),
        "subscriptions": len(files.subscriptions),
        "certificate templates": len(files.certificates.template),
        "confirmed names": len(files.certificates.legal_name),
        "tax rates": len(files.tax_rates),
    }


def _person(entry: PersonEntry) -> Person:
    return Person(id=sample_id("person", entry.key), **entry.model_dump(exclude={"key"}))


def _task_contact(entry: TaskContactEntry) -> TaskContact:
    return TaskContact(
        queue=entry.queue,
        remind_id=sample_id("person", entry.remind),
        escalate_id=sample_id("person", entry.escalate) if entry.escalate else None,
        escalate_again_id=sample_id("person", entry.escalate_again) if entry.escalate_again else None,
    )


_DERIVED = {
    "price", "sale_price", "sale_starts_in_days", "sale_ends_in_days", "starts_in_days", "enrollment_closes_in_days",
    "access_ends_in_days",
    "approver", "tutor", "courses", "lessons", "sessions", "slots", "screenings",
}  # fmt: skip


def _course(entry: CourseEntry, today: date, zone: ZoneInfo) -> Course:
    def at_nine(days: int | None) -> datetime | None:
        return None if days is None else at_local(today + timedelta(days=days), time(9), zone)

    return Course(
        id=sample_id("course", entry.code),
        price_amount=entry.price,
        sale_price_amount=entry.sale_price,
        sale_starts_at=at_nine(entry.sale_starts_in_days),
        sale_ends_at=at_nine(entry.sale_ends_in_days),
        approver_id=sample_id("person", entry.approver) if entry.approver else None,
        tutor_id=sample_id("person", entry.tutor) if entry.tutor else None,
        starts_at=at_nine(entry.starts_in_days),
        enrollment_closes_at=at_nine(entry.enrollment_closes_in_days),
        access_until=at_nine(entry.access_ends_in_days),
        **entry.model_dump(exclude=_DERIVED),
    )


def _bundled(entry: CourseEntry) -> Iterator[BundleCourse]:
    for position, code in enumerate(entry.courses, start=1):
        yield BundleCourse(
            bundle_id=sample_id("course", entry.code), course_id=sample_id("course", code), position=position
        )


def _class_sessions(entry: CourseEntry, today: date, zone: ZoneInfo) -> Iterator[ClassSession]:
    plan = entry.sessions
    if plan is None or entry.starts_in_days is None:
        return
    first_day = today + timedelta(days=entry.starts_in_days)
    for week in range(plan.weeks):
        starts_at = at_local(first_day + timedelta(weeks=week), plan.at, zone)
        yield ClassSession(
            id=sample_id("class_session", f"{entry.code}:{week + 1}"),
            course_id=sample_id("course", entry.code),
            title=plan.title if plan.weeks == 1 else f"{plan.title} {week + 1}",
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=plan.minutes),
            location=plan.location,
        )


def _screenings(entry: CourseEntry) -> Iterator[ScreeningMeeting]:
    for number, screening in enumerate(entry.screenings, start=1):
        is_open = screening.decision is ScreeningDecision.PENDING
        met_at = now() - timedelta(days=screening.days_ago)
        yield ScreeningMeeting(
            id=sample_id("screening", f"{entry.code}:{number}"),
            course_id=sample_id("course", entry.code),
            student_id=sample_id("person", screening.student),
            scheduled_at=None if is_open else met_at,
            decision=screening.decision,
            decided_at=None if is_open else met_at,
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
    return Coupon(
        id=sample_id("coupon", entry.code),
        allowed_course_ids=[sample_id("course", code) for code in entry.allowed_courses],
        excluded_course_ids=[sample_id("course", code) for code in entry.excluded_courses],
        **entry.model_dump(exclude={"allowed_courses", "excluded_courses"}),
    )


def _cart_settings(entry: CartSettingsEntry) -> CartSettings:
    return CartSettings(academy_id=sample_id("academy", "one"), **entry.model_dump())


_Row = TypeVar("_Row", bound=SQLModel)


async def _upsert(
    session: AsyncSession, table: type[_Row], rows: Sequence[_Row], keep: frozenset[str] | set[str] = frozenset()
) -> None:
    """Insert the rows in one statement; those already there are brought up to date except for the columns to keep."""
    if not rows:
        return
    statement = insert(table).values([row.model_dump() for row in rows])
    columns = SQLModel.metadata.tables[str(table.__tablename__)].columns
    changed = {
        column.name: statement.excluded[column.name]
        for column in columns
        if not column.primary_key and column.name not in {"created_at", *keep}
    }
    keys = [column.name for column in columns if column.primary_key]
    if changed:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    await session.execute(statement)
