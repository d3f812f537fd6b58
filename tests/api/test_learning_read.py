"""What is told of courses and enrollments to whom: rules and marks to those who teach, progress to those who learn."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col

from activities.database import Sessions
from models.tables import Course, CourseModule, EnrollmentPause, Lesson, LessonProgress
from models.tables.columns import now
from models.vocabulary import AccessRule, LessonStatus, Role
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.learning_on_record import AFTER_THE_FIRST, Learners, write_learners


@pytest.fixture
async def learners(sessions: Sessions) -> Learners:
    return await write_learners(sessions)


async def test_who_teaches_sees_rules_and_marks(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    async with sessions.begin() as session:
        module = CourseModule(course_id=learners.course, position=1, title="Everyday life")
        session.add(module)
        await session.flush()
        first = update(Lesson).where(col(Lesson.id) == learners.first)
        await session.execute(first.values(removed_at=now(), module_id=module.id))
    path = f"/v1/courses/{learners.course}/lessons"
    for headers, status in (
        (as_student(settings, learners.anna), 403),
        (as_(settings, learners.anna, Role.TUTOR), 404),
        (as_(settings, learners.tutor, Role.TUTOR), 200),
        (as_staff(settings), 200),
    ):
        answer = await client.get(path, headers=headers)
        assert answer.status_code == status, answer.text
    taught = answer.json()
    assert [each["title"] for each in taught["modules"]] == ["Everyday life"]
    graded, removed = taught["lessons"]
    assert (graded["drip_rule"], graded["max_attempts"]) == (AFTER_THE_FIRST, 3)
    assert (graded["total_marks"], graded["passing_marks"], graded["removed_at"]) == (10.0, 6.0, None)
    assert (removed["id"], removed["module_id"], removed["removed_at"] is None) == (
        str(learners.first),
        taught["modules"][0]["id"],
        False,
    )
    assert (await client.get(f"/v1/courses/{uuid4()}/lessons", headers=as_staff(settings))).status_code == 404


async def test_everybody_sees_lessons_without_rules_and_how_long_access_lasts(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    async with sessions.begin() as session:
        gone = update(Lesson).where(col(Lesson.id) == learners.first)
        await session.execute(gone.values(removed_at=now()))
        await session.execute(update(Course).values(access_rule=AccessRule.DAYS_AFTER_START, access_days=30))
    course = (await client.get(f"/v1/courses/{learners.course}", headers=as_student(settings, uuid4()))).json()
    assert [set(each) for each in course["lessons"]] == [{"id", "position", "title", "is_preview"}]
    assert (course["access_rule"], course["access_days"], course["access_until"]) == ("days_after_start", 30, None)
    assert [each["canceled_at"] for each in course["class_sessions"]] == [None]


async def test_how_far_somebody_is(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    until = now() + timedelta(days=10)
    async with sessions.begin() as session:
        session.add(
            LessonProgress(
                enrollment_id=learners.annas,
                lesson_id=learners.graded,
                status=LessonStatus.FAILED,
                score=Decimal(3),
                attempts=1,
                done_at=now(),
            )
        )
        session.add(EnrollmentPause(enrollment_id=learners.annas, paused_at=now(), until=until, actor="staff:frida"))
    listed = (await client.get("/v1/enrollments?sort=created_at", headers=as_staff(settings))).json()
    assert {each["id"]: (each["progress_percent"], each["paused_until"] is None) for each in listed["items"]} == {
        str(learners.annas): (50, False),
        str(learners.boriss): (0, True),
    }
    mine = await client.get(f"/v1/enrollments/{learners.annas}", headers=as_student(settings, learners.anna))
    assert mine.json() == next(each for each in listed["items"] if each["id"] == str(learners.annas))
    assert (mine.json()["started_at"], mine.json()["completed_at"], mine.json()["judgement"]) == (None, None, None)
    others = await client.get(f"/v1/enrollments/{learners.annas}", headers=as_student(settings, learners.boris))
    assert others.status_code == 404
