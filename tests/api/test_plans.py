"""The plan of an enrollment over HTTP: whose it is, and what it says of each lesson at which moment."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col

from activities.database import Sessions
from models.tables import Enrollment, EnrollmentPause, Lesson, LessonProgress
from models.tables.columns import now
from models.vocabulary import LessonStatus, Role
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.learning_on_record import Learners, write_learners

# To come, and shortly before clocks are turned in Warsaw: its three days end on the other side.
ENROLLED = datetime(2098, 3, 28, 20, 0, tzinfo=UTC)
OPENS = datetime(2098, 3, 31, 4, 0, tzinfo=UTC)


@pytest.fixture
async def learners(sessions: Sessions) -> Learners:
    written = await write_learners(sessions)
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).values(enrolled_at=ENROLLED))
    return written


async def read(
    client: httpx.AsyncClient, enrollment_id: UUID, headers: dict[str, str], at: str | None = None
) -> httpx.Response:
    params = {} if at is None else {"at": at}
    return await client.get(f"/v1/enrollments/{enrollment_id}/plan", headers=headers, params=params)


@pytest.mark.parametrize(
    ("at", "status"),
    [
        ("2098-03-30T00:00:00Z", "planned"),
        ("2098-03-31T03:59:59Z", "planned"),
        ("2098-03-31T06:00:00+02:00", "released"),
    ],
)
async def test_the_plan_at_a_moment(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, at: str, status: str
) -> None:
    answer = await read(client, learners.annas, as_student(settings, learners.anna), at)
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert (plan["time_zone"], plan["progress_percent"], plan["paused_until"]) == ("Europe/Warsaw", 0, None)
    first, graded = plan["lessons"]
    assert (first["lesson_id"], first["status"], first["reason"]) == (str(learners.first), "released", "immediately")
    assert (graded["status"], graded["reason"], graded["blocked_by"]) == (status, "after_registration", None)
    assert datetime.fromisoformat(graded["opens_at"]) == OPENS
    # Six in the morning there, on the clock of summer.
    assert graded["opens_at_local"] == "2098-03-31T06:00:00+02:00"
    assert (graded["is_graded"], graded["attempts_left"], graded["progress"]) == (True, 3, None)


async def test_a_lesson_whose_job_is_late_shows_so(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).values(enrolled_at=now() - timedelta(days=10)))
    for at in (None, (now() + timedelta(days=1)).isoformat()):
        first, graded = (await read(client, learners.annas, as_staff(settings), at)).json()["lessons"]
        assert (first["status"], graded["status"]) == ("released", "planned")
        assert datetime.fromisoformat(graded["opens_at"]) < now()


async def test_what_blocks_a_lesson_and_how_far_its_learner_is(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    rule = {"kind": "after_lesson", "lesson_id": str(learners.first), "outcome": "passed"}
    async with sessions.begin() as session:
        await session.execute(update(Lesson).where(col(Lesson.id) == learners.graded).values(drip_rule=rule))
        session.add(
            LessonProgress(
                enrollment_id=learners.annas,
                lesson_id=learners.first,
                status=LessonStatus.IN_PROGRESS,
                time_spent_seconds=65,
                current_position=30,
                total_content=100,
            )
        )
    first, graded = (await read(client, learners.annas, as_student(settings, learners.anna))).json()["lessons"]
    assert (graded["status"], graded["opens_at"], graded["opens_at_local"]) == ("planned", None, None)
    assert {name: graded["blocked_by"][name] for name in rule} == rule
    known = {"status": "in_progress", "time_spent_seconds": 65, "current_position": 30, "total_content": 100}
    assert {name: first["progress"][name] for name in known} == known


async def test_a_pause_is_told(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    until = now() + timedelta(days=10)
    async with sessions.begin() as session:
        await session.execute(
            update(Lesson).where(col(Lesson.id) == learners.graded).values(drip_rule={"kind": "manual"})
        )
        session.add(EnrollmentPause(enrollment_id=learners.annas, paused_at=now(), until=until, actor="staff:frida"))
    plan = (await read(client, learners.annas, as_student(settings, learners.anna))).json()
    assert datetime.fromisoformat(plan["paused_until"]) == until
    assert [lesson["status"] for lesson in plan["lessons"]] == ["released", "paused"]


async def test_whose_plan_it_is(client: httpx.AsyncClient, settings: Settings, learners: Learners) -> None:
    for headers, status in (
        (as_student(settings, learners.anna), 200),
        (as_student(settings, learners.boris), 404),
        (as_(settings, learners.tutor, Role.TUTOR), 200),
        (as_(settings, uuid4(), Role.TUTOR), 404),
        (as_staff(settings), 200),
    ):
        assert (await read(client, learners.annas, headers)).status_code == status
    assert (await read(client, uuid4(), as_staff(settings))).status_code == 404


@pytest.mark.parametrize("at", ["2026-03-30T06:00:00", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z", "tomorrow"])
async def test_moments_of_our_time(client: httpx.AsyncClient, settings: Settings, learners: Learners, at: str) -> None:
    answer = await read(client, learners.annas, as_staff(settings), at)
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")
