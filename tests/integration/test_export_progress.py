"""How far everybody is, said by one statement, is what the rules say of each."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.database import Sessions
from activities.learning_facts import learning_of_many
from models.tables import (
    ClassSession,
    Course,
    Enrollment,
    EnrollmentPause,
    Lesson,
    LessonProgress,
    LessonRecord,
    LessonSlot,
    OrderLine,
    Person,
)
from models.vocabulary import CourseKind, EnrollmentStatus, ExportReport, LessonOutcome, LessonStatus, SlotStatus
from rules.completion import percent_done
from tests.fresh_record import load_academy
from tests.integration.exported_rows import rows_of
from tests.integration.written_orders import Sold, write_order

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def write_places(session: AsyncSession, order_id: UUID, count: int, chance: random.Random) -> None:
    """Places of people of their own in courses with lessons, in cohorts with meetings, and in packs with hours."""
    courses = list(
        await session.scalars(select(Course).where(col(Course.kind) != CourseKind.BUNDLE).order_by(col(Course.id)))
    )
    for place, course in zip(range(10, 10 + count), chance.choices(courses, k=count), strict=True):
        student = Person(email=f"s{place}@example.org", full_name=f"Student {place}")
        line = OrderLine(
            order_id=order_id, position=place, course_id=course.id, student_id=student.id, title=course.title,
            list_amount=0, discount_amount=0, total_amount=0,
        )  # fmt: skip
        status = chance.choice([EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED, EnrollmentStatus.PENDING_PAYMENT])
        enrolled_at = (
            None if status is EnrollmentStatus.PENDING_PAYMENT else NOON - timedelta(days=chance.randrange(90))
        )
        enrollment = Enrollment(
            order_line_id=line.id, course_id=course.id, student_id=student.id, status=status, refund_policy="window",
            enrolled_at=enrolled_at, started_at=enrolled_at,
        )  # fmt: skip
        for each in (student, line, enrollment):
            session.add(each)
            await session.flush()
        if enrolled_at is not None:
            await learn(session, enrollment, course, enrolled_at, chance)


async def learn(
    session: AsyncSession, enrollment: Enrollment, course: Course, since: datetime, chance: random.Random
) -> None:
    for lesson in await session.scalars(
        select(Lesson).where(col(Lesson.course_id) == course.id).order_by(col(Lesson.id))
    ):
        if chance.random() < 0.6:
            progress = LessonProgress(
                enrollment_id=enrollment.id, lesson_id=lesson.id, status=chance.choice(list(LessonStatus)),
                attempts=chance.randrange(4), time_spent_seconds=chance.randrange(4000),
                score=lesson.total_marks and Decimal(chance.randrange(int(lesson.total_marks) + 1)),
                last_accessed_at=since + timedelta(days=chance.randrange(30)),
            )  # fmt: skip
            session.add(progress)
    meetings = list(
        await session.scalars(
            select(ClassSession).where(col(ClassSession.course_id) == course.id).order_by(col(ClassSession.id))
        )
    )
    for meeting in meetings:
        if chance.random() < 0.5:
            outcome = chance.choice(list(LessonOutcome))
            told = LessonRecord(
                enrollment_id=enrollment.id, meeting_id=meeting.id, outcome=outcome, recorded_by="system"
            )
            session.add(told)
    if meetings and chance.random() < 0.5:
        held = chance.choice(meetings).ends_at
        pause = EnrollmentPause(
            enrollment_id=enrollment.id, paused_at=held - timedelta(days=9), until=held + timedelta(days=9),
            resumed_at=chance.choice([None, held, held + timedelta(seconds=1)]), actor="system",
        )  # fmt: skip
        session.add(pause)
    if course.kind != CourseKind.TUTOR_PACK:
        return
    for _ in range(chance.randrange(6)):
        starts_at = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(hours=chance.randrange(900_000))
        slot = LessonSlot(
            course_id=course.id, tutor_id=course.tutor_id, starts_at=starts_at, ends_at=starts_at + timedelta(hours=1),
            status=chance.choice([SlotStatus.BOOKED, SlotStatus.HELD]), student_id=enrollment.student_id,
            order_line_id=enrollment.order_line_id,
        )  # fmt: skip
        session.add(slot)
        await session.flush()
        if chance.random() < 0.7:
            outcome = chance.choice(list(LessonOutcome))
            told = LessonRecord(enrollment_id=enrollment.id, slot_id=slot.id, outcome=outcome, recorded_by="system")
            session.add(told)


async def test_progress_is_what_the_rules_say_of_each(sessions: Sessions) -> None:
    await load_academy(sessions)
    written = await write_order(sessions, [Sold("calligraphy", 4900)])
    chance = random.Random(9)  # noqa: S311 - the same each time
    async with sessions.begin() as session:
        for lesson in await session.scalars(select(Lesson).order_by(col(Lesson.id))):
            # All that takes a lesson out of what counts.
            lesson.removed_at = NOON if chance.random() < 0.1 else None
            lesson.applies_from = NOON - timedelta(days=45) if chance.random() < 0.2 else None
            lesson.is_considered, lesson.is_preview = chance.random() < 0.8, chance.random() < 0.1
        # Meetings count in cohorts without lessons, those that were held since.
        for number, meeting in enumerate(await session.scalars(select(ClassSession).order_by(col(ClassSession.id)))):
            meeting.ends_at = NOON - timedelta(days=number % 60)
            meeting.starts_at = meeting.ends_at - timedelta(hours=1)
            meeting.canceled_at = NOON if chance.random() < 0.1 else None
        await write_places(session, written.order_id, 120, chance)
    rows = {row["enrollment_id"]: row for row in await rows_of(sessions, ExportReport.ENROLLMENTS)}
    async with sessions() as session:
        learning = await learning_of_many(session, list(rows))
        worked = {
            enrollment_id: (attempts, seconds // 60, accessed)
            for enrollment_id, attempts, seconds, accessed in await session.execute(
                text(
                    "SELECT enrollment_id, sum(attempts), sum(time_spent_seconds), max(last_accessed_at)"
                    " FROM lesson_progress GROUP BY 1"
                )
            )
        }
    assert len(rows) == 121
    for enrollment_id, row in rows.items():
        learned = learning[enrollment_id]
        assert row["percent_done"] == percent_done(learned.results()), (learned.course.code, row["status"])
        assert (row["attempts"], row["time_spent_minutes"], row["last_accessed_at"]) == worked.get(
            enrollment_id, (0, 0, None)
        )
        marked = [
            (learned.progress[each.id].score, each.total_marks)
            for each in learned.lessons
            if each.id in learned.progress and each.is_considered and not each.is_preview and not learned.is_gone(each)
        ]
        scored = [(score, marks) for score, marks in marked if score is not None and marks]
        achieved = 100 * sum(score for score, _ in scored) // sum(marks for _, marks in scored) if scored else None
        assert row["percent_achieved"] == achieved
    percents = {row["percent_done"] for row in rows.values()}
    assert len(percents) > 10, "the places differ too little to show anything"
    kinds = {(row["kind"], row["percent_done"] > 0) for row in rows.values()}
    assert kinds >= set(product(("self_paced", "cohort", "tutor_pack"), (True, False)))
