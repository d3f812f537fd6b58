"""Enrollments in courses of any shape, written straight into the record, and the steps of their jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlmodel import col

from activities.database import Sessions
from activities.drips import DripActivities
from models.drip import DripRule, stored_rule
from models.identifiers import drip_workflow_id
from models.messages.learning import (
    AdvanceDrip,
    ChangeEnrollment,
    DripStep,
    EnrollmentChanged,
    LessonRecorded,
    RecordLesson,
    WriteEnrollmentChange,
    WriteLesson,
)
from models.tables import Course, Enrollment, Lesson, LessonRelease, Person
from models.vocabulary import AccessRule, EnrollmentChange
from sandbox.sample_academy import sample_id
from tests.integration.written_orders import Sold, write_order

# Monday noon in Berlin.
BEGAN = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
DAY = timedelta(days=1)
CODE = "photography"


@dataclass(frozen=True)
class Place:
    """An enrollment, and the lessons of its course in their order."""

    id: UUID
    lessons: Sequence[UUID]


async def teach(sessions: Sessions, *rules: DripRule, code: str = CODE, **course: object) -> list[UUID]:
    """Have a course consist of lessons with these rules; it has begun, and is as told."""
    course_id = sample_id("course", code)
    lessons = [
        Lesson(course_id=course_id, position=place, title=f"Lesson {place}", drip_rule=stored_rule(rule))
        for place, rule in enumerate(rules, start=1)
    ]
    async with sessions.begin() as session:
        await session.execute(delete(Lesson).where(col(Lesson.course_id) == course_id))
        await session.execute(update(Course).where(col(Course.id) == course_id).values(**{"starts_at": None, **course}))
        session.add_all(lessons)
    return [lesson.id for lesson in lessons]


async def set_lesson(sessions: Sessions, lesson_id: UUID, **values: object) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Lesson).where(col(Lesson.id) == lesson_id).values(**values))


async def set_place(sessions: Sessions, place_id: UUID, **values: object) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).where(col(Enrollment.id) == place_id).values(**values))


async def enrolled(sessions: Sessions, *rules: DripRule, code: str = CODE, **course: object) -> Place:
    """A place in such a course since `BEGAN`; its student lives in Berlin."""
    lessons = await teach(sessions, *rules, code=code, **course)
    written = await write_order(sessions, [Sold(code, 4500, student="grace")])
    from_start = course.get("access_rule") is AccessRule.DAYS_AFTER_START
    granted = course["access_days"] if from_start else None
    await set_place(sessions, written.place_ids[0], enrolled_at=BEGAN, access_days_from_start=granted)
    limited = (col(Course.id) == sample_id("course", code)) & col(Course.capacity).is_not(None)
    async with sessions.begin() as session:
        grace = col(Person.id) == sample_id("person", "grace")
        await session.execute(update(Person).where(grace).values(time_zone="Europe/Berlin"))
        await session.execute(update(Course).where(limited).values(seats_taken=col(Course.seats_taken) + 1))
    return Place(written.place_ids[0], lessons)


async def advance(drips: DripActivities, place_id: UUID, moment: datetime) -> DripStep:
    step = AdvanceDrip(enrollment_id=place_id, moment=moment, workflow_id=drip_workflow_id(place_id))
    return await drips.advance_drip(step)


def telling(place_id: UUID, lesson_id: UUID, moment: datetime, **told: object) -> WriteLesson:
    """Something is told of a lesson at this moment, unless said otherwise by its student."""
    said: dict[str, object] = {"attempt_id": uuid4(), "actor": "student:7", **told}
    if isinstance(said.get("score"), int):
        said["score"] = Decimal(str(said["score"]))
    record = RecordLesson.model_validate({"enrollment_id": place_id, "lesson_id": lesson_id, **said})
    return WriteLesson(told=record, moment=moment, workflow_id=drip_workflow_id(place_id))


async def tell(
    drips: DripActivities, place_id: UUID, lesson_id: UUID, moment: datetime, **told: object
) -> LessonRecorded:
    return await drips.record_lesson(telling(place_id, lesson_id, moment, **told))


async def finish(
    drips: DripActivities, place_id: UUID, lesson_id: UUID, moment: datetime, **told: object
) -> LessonRecorded:
    answer = await tell(drips, place_id, lesson_id, moment, is_finished=True, **told)
    assert answer.refusal is None, answer.refusal_detail
    return answer


def changing(place_id: UUID, change: EnrollmentChange, moment: datetime, **wish: object) -> WriteEnrollmentChange:
    said: dict[str, object] = {"change_id": uuid4(), "actor": "staff:7", **wish}
    wanted = ChangeEnrollment.model_validate({"enrollment_id": place_id, "change": change, **said})
    return WriteEnrollmentChange(wish=wanted, moment=moment, workflow_id=drip_workflow_id(place_id))


async def change(
    drips: DripActivities, place_id: UUID, change: EnrollmentChange, moment: datetime, **wish: object
) -> EnrollmentChanged:
    return await drips.change_enrollment(changing(place_id, change, moment, **wish))


async def changed(
    drips: DripActivities, place_id: UUID, change_: EnrollmentChange, moment: datetime, **wish: object
) -> EnrollmentChanged:
    answer = await change(drips, place_id, change_, moment, **wish)
    assert answer.refusal is None, answer.refusal_detail
    return answer


async def place_of(sessions: Sessions, place_id: UUID) -> Enrollment:
    async with sessions() as session:
        return await session.get_one(Enrollment, place_id)


async def releases_of(sessions: Sessions, place_id: UUID) -> dict[UUID, LessonRelease]:
    query = select(LessonRelease).where(col(LessonRelease.enrollment_id) == place_id)
    async with sessions() as session:
        return {each.lesson_id: each for each in (await session.execute(query)).scalars()}
