"""Exports about people: as the record has them, with the academy's own fields, and nothing that applicants wrote."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text, update
from sqlmodel import col

from activities.database import Sessions
from models.identifiers import new_id
from models.tables import (
    ApplicationDecision,
    CustomField,
    Enrollment,
    Lesson,
    LessonProgress,
    Person,
    PersonField,
    Reviewer,
    TutorApplication,
)
from models.vocabulary import ApplicationStatus, ExportReport
from rules.exports import REPORTS
from sandbox.sample_academy import sample_id
from tests.fresh_record import load_academy
from tests.integration.exported_rows import listing_of, rows_of
from tests.integration.written_orders import Sold, write_order

GRACE = sample_id("person", "grace")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_custom_fields_are_columns_where_the_academy_wants_them(sessions: Sessions) -> None:
    await load_academy(sessions)
    await write_order(sessions, [Sold("spanish-a1", 9900, student="lukasz")])
    lukasz = sample_id("person", "lukasz")
    async with sessions.begin() as session:
        await session.execute(text("DELETE FROM person_fields"))
        await session.execute(text("DELETE FROM custom_fields"))
        session.add_all(
            [
                CustomField(key="unit", label="Business unit", position=2, reports=["users", "enrollments"]),
                CustomField(key="badge", label="Badge", position=1, reports=["users", "orders"]),
                CustomField(key="secret", label="Secret", position=0, reports=[]),
                PersonField(person_id=lukasz, key="unit", value="North"),
                PersonField(person_id=lukasz, key="secret", value="x"),
                PersonField(person_id=GRACE, key="badge", value="=1+1"),
            ]
        )
    extra = {
        ExportReport.USERS: ["custom_badge", "custom_unit"],
        ExportReport.ORDERS: ["custom_badge"],
        ExportReport.ENROLLMENTS: ["custom_unit"],
        ExportReport.MAILS: [],
    }
    for report, keys in extra.items():
        columns = (await listing_of(sessions, report)).columns
        assert [column.key for column in columns if column.key.startswith("custom_")] == keys
        assert REPORTS[report].shows_custom_fields is bool(keys)
    people = {row["person_id"]: row for row in await rows_of(sessions, ExportReport.USERS)}
    assert (people[lukasz]["custom_unit"], people[lukasz]["custom_badge"]) == ("North", None)
    assert people[GRACE]["custom_badge"] == "=1+1"
    [order] = await rows_of(sessions, ExportReport.ORDERS)
    [place] = await rows_of(sessions, ExportReport.ENROLLMENTS, person_ids=(lukasz,))
    assert (order["custom_badge"], place["custom_unit"]) == ("=1+1", "North")


async def test_users_are_as_the_record_has_them(sessions: Sessions) -> None:
    await load_academy(sessions)
    written = await write_order(sessions, [Sold("spanish-a1", 9900), Sold("calligraphy", 4900)])
    await write_order(sessions, [Sold("photography", 4900)], is_test=True)
    guest = Person(email="x@erased.invalid", full_name="(erased)", is_guest=True)
    async with sessions.begin() as session:
        lesson = (
            await session.scalars(select(Lesson).where(col(Lesson.course_id) == sample_id("course", "spanish-a1")))
        ).first()
        assert lesson is not None
        session.add_all(
            [guest, LessonProgress(enrollment_id=written.place_ids[0], lesson_id=lesson.id, last_accessed_at=NOON)]
        )
        await session.execute(
            update(Enrollment)
            .where(col(Enrollment.id) == written.place_ids[0])
            .values(started_at=NOON, completed_at=NOON)
        )
    people = {row["person_id"]: row for row in await rows_of(sessions, ExportReport.USERS)}
    grace = people[GRACE]
    assert (grace["orders"], grace["places"], grace["not_started"], grace["completed"]) == (1, 2, 1, 1)
    assert grace["last_accessed_at"] == NOON
    erased = people[guest.id]
    assert (erased["is_guest"], erased["email"], erased["last_accessed_at"]) == (True, "x@erased.invalid", None)
    found = await rows_of(sessions, ExportReport.USERS, course_ids=(sample_id("course", "photography"),))
    assert [row["person_id"] for row in found] == [GRACE]


async def test_applications_hold_nothing_of_what_applicants_wrote(sessions: Sessions) -> None:
    await load_academy(sessions)
    application = TutorApplication(
        applicant_id=GRACE, status=ApplicationStatus.APPROVED, bio="What I wrote", qualifications="What I wrote",
        certifications="What I wrote", subjects=["spanish", "english"], submitted_at=NOON, decided_at=NOON,
        workflow_id="w",
    )  # fmt: skip
    async with sessions.begin() as session:
        application.reviewer_id = (await session.scalars(select(col(Reviewer.person_id)))).first()
        session.add(application)
        await session.flush()
        session.add_all(
            ApplicationDecision(
                id=new_id(),
                application_id=application.id,
                action=action,
                reasons=reasons,
                decided_by="staff:7",
                documents=[],
                is_override=is_override,
                created_at=NOON + timedelta(hours=hour),
            )
            for hour, action, reasons, is_override in (
                (1, "request_info", ["unreadable", "expired"], False),
                (2, "approve", [], True),
            )
        )
    [row] = await rows_of(sessions, ExportReport.TUTOR_APPLICATIONS, person_ids=(GRACE,))
    assert (row["subjects"], row["decision"], row["reasons"], row["is_override"]) == (
        "spanish; english",
        "approve",
        "",
        True,
    )
    assert row["reviewer"]
    assert "What I wrote" not in str(row)
