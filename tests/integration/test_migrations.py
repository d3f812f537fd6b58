"""The schema over time: from empty and back, the same as the models say, and safe when two come at once."""

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import create_async_engine

import migrations
from activities.database import open_database, sessions_of
from models.drip import AfterRegistration
from models.tables import Enrollment, Lesson, LessonProgress, LessonRecord, LessonRelease
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, LessonOutcome
from sandbox.postgres import EmbeddedPostgres
from sandbox.sample_academy import load_academy
from tests.integration.learning_steps import DAY, set_place, teach
from tests.integration.many_places import write_places


@pytest.fixture
def empty_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    name = f"migrations_{uuid4().hex[:8]}"
    postgres.ensure_database(name)
    yield postgres.url(name)
    postgres.drop_database(name)


async def tables(url: str) -> set[str]:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        found = set(rows.scalars())
        functions = await connection.execute(
            text("SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'public'")
        )
        found |= set(functions.scalars())
    await engine.dispose()
    return found - {"alembic_version"}


async def test_up_down_and_up_again(empty_database: str) -> None:
    await asyncio.to_thread(migrations.upgrade, empty_database)
    assert {"orders", "people", "refuse_rewriting_history"} <= await tables(empty_database)
    await asyncio.to_thread(migrations.check, empty_database)
    await asyncio.to_thread(migrations.downgrade, empty_database)
    assert await tables(empty_database) == set()
    await asyncio.to_thread(migrations.upgrade, empty_database)
    await asyncio.to_thread(migrations.check, empty_database)


async def test_two_at_once(empty_database: str) -> None:
    program = f"import migrations; migrations.upgrade({empty_database!r})"
    both = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
        for _ in range(2)
    ]
    ended = await asyncio.gather(*(process.communicate() for process in both))
    assert [process.returncode for process in both] == [0, 0], ended
    await asyncio.to_thread(migrations.check, empty_database)


async def test_who_learned_before_lessons_opened_over_time_goes_on(empty_database: str) -> None:
    """What was open is open, and what was had is done; nobody is told of it by mail."""
    await asyncio.to_thread(migrations.upgrade, empty_database)
    engine = open_database(empty_database, 2)
    sessions = sessions_of(engine)
    await load_academy(sessions)
    first, second, later = await teach(sessions, *(AfterRegistration(amount=days) for days in (0, 2, 30)))
    _, [learning, completed, over] = await write_places(sessions, 3)
    enrolled_at, ended_at = now() - 10 * DAY, datetime(2026, 3, 2, 11, tzinfo=UTC)
    for place_id, status in (
        (learning, EnrollmentStatus.ACTIVE),
        (completed, EnrollmentStatus.COMPLETED),
        (over, EnrollmentStatus.EXPIRED),
    ):
        await set_place(sessions, place_id, status=status, enrolled_at=enrolled_at, updated_at=ended_at)
    had = {"enrollment_id": learning, "recorded_by": "tutor:7", "updated_at": ended_at}
    async with sessions.begin() as session:
        session.add_all(
            [
                LessonRecord(lesson_id=first, outcome=LessonOutcome.COMPLETED, **had),
                LessonRecord(lesson_id=second, outcome=LessonOutcome.TUTOR_NO_SHOW, **had),
            ]
        )
        await session.execute(delete(LessonRelease))
    await engine.dispose()
    await asyncio.to_thread(migrations.downgrade, empty_database, "0008")
    await asyncio.to_thread(migrations.upgrade, empty_database)
    async with sessions() as session:
        [progress] = (await session.execute(select(LessonProgress))).scalars()
        releases = (await session.execute(select(LessonRelease))).scalars().all()
        places = {each.id: each for each in (await session.execute(select(Enrollment))).scalars()}
        kept = (await session.get_one(Lesson, later)).drip_rule
    assert (progress.enrollment_id, progress.lesson_id, progress.status) == (learning, first, "completed")
    assert {progress.started_at, progress.done_at, progress.passed_at, progress.last_accessed_at} == {ended_at}
    assert {(each.enrollment_id, each.lesson_id) for each in releases} == {
        (place_id, lesson_id) for place_id in (learning, completed) for lesson_id in (first, second)
    }
    assert {each.opened_at - enrolled_at for each in releases} == {timedelta(0), 2 * DAY}
    assert {(each.tell_at, each.mail_key) for each in releases} == {(None, None)}
    assert [places[each].completed_at for each in (learning, completed, over)] == [None, ended_at, None]
    assert [places[each].started_at for each in (learning, completed, over)] == [ended_at, None, None]
    assert kept == {"kind": "after_registration", "amount": 30, "unit": "days"}
    await engine.dispose()
