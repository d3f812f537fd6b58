"""Lessons over HTTP: who may say what became of them, and what is told to the enrollment's job."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update
from sqlmodel import col
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from api import create_app
from models.errors import Reason, refusal
from models.identifiers import attempt_id_for
from models.messages.learning import RecordLesson
from models.tables import (
    Course,
    Enrollment,
    EnrollmentPause,
    Lesson,
    LessonAttempt,
    LessonProgress,
)
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, LessonStatus, RefundPolicy, Role
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.learning_on_record import Learners, LearningTemporal, write_learners
from tests.api.recording_temporal import not_found

POSITION = {"time_spent_seconds": 60, "current_position": 30, "total_content": 100}


@pytest.fixture
async def learners(sessions: Sessions) -> Learners:
    return await write_learners(sessions)


@pytest.fixture
def recorder() -> LearningTemporal:
    return LearningTemporal()


@pytest.fixture
def app(settings: Settings, sessions: Sessions, recorder: LearningTemporal) -> FastAPI:
    return create_app(settings, temporal=cast(Client, recorder), sessions=sessions)


def told(recorder: LearningTemporal) -> list[RecordLesson]:
    return [argument for _, _, argument in recorder.updates if isinstance(argument, RecordLesson)]


async def post(
    client: httpx.AsyncClient,
    enrollment_id: UUID,
    lesson_id: UUID,
    body: dict[str, Any],
    headers: dict[str, str],
    key: str | None = None,
) -> httpx.Response:
    keyed = headers if key is None else {**headers, "Idempotency-Key": key}
    return await client.post(f"/v1/enrollments/{enrollment_id}/lessons/{lesson_id}", json=body, headers=keyed)


async def test_a_position_is_kept_without_asking_the_job(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners, recorder: LearningTemporal
) -> None:
    anna = as_student(settings, learners.anna)
    first = await post(client, learners.annas, learners.first, POSITION, anna)
    assert first.status_code == 200, first.text
    shown = first.json()
    assert (shown["status"], shown["progress_percent"], shown["is_refund_possible"]) == ("in_progress", None, None)
    second = await post(client, learners.annas, learners.first, {"time_spent_seconds": 5}, anna)
    assert second.status_code == 200
    async with sessions() as session:
        progress = await session.get_one(LessonProgress, (learners.annas, learners.first))
        enrollment = await session.get_one(Enrollment, learners.annas)
    assert (progress.time_spent_seconds, progress.current_position, progress.total_content) == (65, 30, 100)
    assert enrollment.started_at == progress.started_at
    assert recorder.updates == []


async def test_the_time_of_a_repeated_report_counts_once(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    anna = as_student(settings, learners.anna)
    for key in ("a", "a", "b", None, None):
        kept = await post(client, learners.annas, learners.first, {"time_spent_seconds": 60}, anna, key=key)
        assert kept.status_code == 200
    async with sessions() as session:
        progress = await session.get_one(LessonProgress, (learners.annas, learners.first))
    assert progress.time_spent_seconds == 4 * 60


async def _close(sessions: Sessions, learners: Learners, what: str) -> None:
    async with sessions.begin() as session:
        mine = update(Enrollment).where(col(Enrollment.id) == learners.annas)
        match what:
            case "removed":
                await session.execute(update(Lesson).values(removed_at=now()))
            case "suspended":
                await session.execute(mine.values(status=EnrollmentStatus.SUSPENDED))
            case "expired":
                await session.execute(mine.values(access_ends_at=now() - timedelta(minutes=1)))
            case "paused":
                until = now() + timedelta(days=1)
                pause = EnrollmentPause(enrollment_id=learners.annas, paused_at=now(), until=until, actor="staff:frida")
                session.add(pause)
            case "access from the start":
                await session.execute(mine.values(access_days_from_start=30))
            case "a rule from the start":
                rule = {"kind": "all", "rules": [{"kind": "immediately"}, {"kind": "after_start", "amount": 1}]}
                await session.execute(update(Lesson).where(col(Lesson.id) == learners.graded).values(drip_rule=rule))


@pytest.mark.parametrize(
    "what", ["removed", "suspended", "expired", "paused", "access from the start", "a rule from the start"]
)
async def test_a_position_that_something_speaks_against_or_follows_from_goes_to_the_job(
    client: httpx.AsyncClient,
    settings: Settings,
    sessions: Sessions,
    learners: Learners,
    recorder: LearningTemporal,
    what: str,
) -> None:
    await _close(sessions, learners, what)
    answer = await post(client, learners.annas, learners.first, POSITION, as_student(settings, learners.anna))
    assert answer.status_code == 200, answer.text
    [asked] = told(recorder)
    assert (asked.is_finished, asked.time_spent_seconds, asked.current_position) == (False, 60, 30)
    async with sessions() as session:
        assert await session.get(LessonProgress, (learners.annas, learners.first)) is None


async def test_only_the_first_start_can_matter(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners, recorder: LearningTemporal
) -> None:
    await _close(sessions, learners, "access from the start")
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).values(started_at=now()))
    answer = await post(client, learners.annas, learners.first, POSITION, as_student(settings, learners.anna))
    assert (answer.status_code, recorder.updates) == (200, [])


async def test_a_closed_lesson_is_refused_with_the_date(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal
) -> None:
    opens_at = datetime(2026, 3, 9, 5, 0, tzinfo=UTC)
    closed = refusal(Reason.LESSON_NOT_OPEN, "The lesson opens at 2026-03-09 05:00 UTC.", opens_at.isoformat())
    blocked = refusal(Reason.LESSON_NOT_OPEN, "The lesson opens when staff releases it.")
    recorder.failures = [WorkflowUpdateFailedError(closed), WorkflowUpdateFailedError(blocked)]
    anna = as_student(settings, learners.anna)
    dated = await post(client, learners.annas, learners.graded, POSITION, anna)
    assert (dated.status_code, dated.json()["reason"]) == (409, "lesson_not_open")
    assert dated.json()["opens_at"] == "2026-03-09T05:00:00Z"
    undated = await post(client, learners.annas, learners.graded, POSITION, anna)
    assert "opens_at" not in undated.json()
    assert "staff" in undated.json()["detail"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"outcome": "completed"}, {"outcome": "completed"}),
        ({"attendance": "late"}, {"attendance": "late"}),
        ({"finished": True}, {"is_finished": True}),
        ({"finished": True, "score": 8.5}, {"is_finished": True, "score": Decimal("8.5")}),
        (
            {"finished": True, "score": "7", "time_spent_seconds": 9},
            {"is_finished": True, "score": Decimal(7), "time_spent_seconds": 9},
        ),
    ],
)
@pytest.mark.parametrize("role", [Role.TUTOR, Role.SERVICE, Role.STAFF, Role.ADMIN])
async def test_what_the_job_is_told(
    client: httpx.AsyncClient,
    settings: Settings,
    learners: Learners,
    recorder: LearningTemporal,
    body: dict[str, Any],
    fields: dict[str, Any],
    role: Role,
) -> None:
    headers = as_(settings, learners.tutor, role)
    answer = await post(client, learners.annas, learners.first, body, headers, key="once")
    assert answer.status_code == 200, answer.text
    [(workflow_id, asked)] = [(each, argument) for each, _, argument in recorder.updates]
    assert workflow_id == f"drip-{learners.annas}"
    expected = RecordLesson.model_validate(
        {
            "attempt_id": attempt_id_for(learners.annas, str(learners.tutor), "once"),
            "enrollment_id": learners.annas,
            "lesson_id": learners.first,
            "actor": f"{role}:{learners.tutor}",
            "may_correct": role is not Role.TUTOR,
            **fields,
        }
    )
    assert asked == expected


_NOT_SAID_BY_STUDENTS = [{"outcome": "completed"}, {"attendance": "attended"}, {"finished": True, "score": 10}]


@pytest.mark.parametrize("body", _NOT_SAID_BY_STUDENTS)
async def test_students_do_not_judge_themselves(
    client: httpx.AsyncClient,
    settings: Settings,
    sessions: Sessions,
    learners: Learners,
    recorder: LearningTemporal,
    body: dict[str, Any],
) -> None:
    # Nor does who learns in the course that they teach.
    async with sessions.begin() as session:
        await session.execute(update(Course).values(tutor_id=learners.anna))
    for roles in ([Role.STUDENT], [Role.STUDENT, Role.TUTOR], [Role.STAFF], [Role.ADMIN, Role.STUDENT]):
        answer = await post(client, learners.annas, learners.first, body, as_(settings, learners.anna, *roles), key="k")
        assert (answer.status_code, answer.json()["reason"]) == (403, "role_not_allowed")
    assert recorder.updates == []


@pytest.mark.parametrize("role", [Role.TUTOR, Role.STAFF])
async def test_students_finish_their_own_lessons_without_a_grade(
    client: httpx.AsyncClient,
    settings: Settings,
    sessions: Sessions,
    learners: Learners,
    recorder: LearningTemporal,
    role: Role,
) -> None:
    anna, done = as_(settings, learners.anna, Role.STUDENT, role), {"finished": True}
    assert (await post(client, learners.annas, learners.first, done, anna, key="k")).status_code == 200
    [asked] = told(recorder)
    assert (asked.actor, asked.may_correct) == (f"student:{learners.anna}", False)
    graded = await post(client, learners.annas, learners.graded, done, anna, key="k")
    assert (graded.status_code, graded.json()["reason"]) == (403, "role_not_allowed")
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).values(refund_policy=RefundPolicy.FIRST_LESSON))
    about_money = await post(client, learners.annas, learners.first, done, anna, key="k")
    assert (about_money.status_code, about_money.json()["reason"]) == (403, "role_not_allowed")
    assert (await post(client, learners.annas, learners.first, POSITION, anna)).status_code == 200
    assert len(recorder.updates) == 1


async def test_whose_lessons_they_are(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal
) -> None:
    stranger, done = uuid4(), {"finished": True}
    for headers, enrollment, lesson in (
        (as_student(settings, learners.boris), learners.annas, learners.first),
        (as_student(settings, learners.anna), learners.annas, learners.meeting),
        (as_student(settings, learners.anna), uuid4(), learners.first),
        (as_(settings, stranger, Role.TUTOR), learners.annas, learners.first),
        (as_(settings, learners.anna, Role.TUTOR), learners.annas, learners.first),
        (as_staff(settings), uuid4(), learners.first),
    ):
        for body in (done, POSITION):
            answer = await post(client, enrollment, lesson, body, headers, key="k")
            assert (answer.status_code, answer.json()["reason"]) == (404, "not_found"), answer.text
    assert recorder.updates == []


async def test_a_finished_attempt_has_a_key_of_its_own(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners, recorder: LearningTemporal
) -> None:
    platform, body = as_(settings, "platform", Role.SERVICE), {"finished": True, "score": 8}
    keyless = await post(client, learners.annas, learners.graded, body, platform)
    assert (keyless.status_code, keyless.json()["reason"]) == (400, "idempotency_key_missing")
    async with sessions.begin() as session:
        session.add(
            LessonAttempt(
                id=attempt_id_for(learners.annas, "platform", "first"),
                enrollment_id=learners.annas,
                lesson_id=learners.graded,
                number=1,
                status=LessonStatus.PASSED,
                score=Decimal(8),
                recorded_by="service:platform",
            )
        )
    assert (await post(client, learners.annas, learners.graded, body, platform, key="first")).status_code == 200
    for lesson, score in ((learners.graded, 9), (learners.first, 8)):
        reused = await post(client, learners.annas, lesson, {**body, "score": score}, platform, key="first")
        assert (reused.status_code, reused.json()["reason"]) == (422, "idempotency_key_reused")
    assert len(recorder.updates) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"finished": False},
        {"outcome": "completed", "attendance": "attended"},
        {"outcome": "completed", "finished": True},
        {"score": 8},
        {"finished": True, "score": -1},
        {"finished": True, "score": 8.555},
        {"current_position": 3},
        {"total_content": 3, "time_spent_seconds": 1},
        {"current_position": 4, "total_content": 3},
        {"time_spent_seconds": -1},
        {"time_spent_seconds": 10**9},
        {"attempts": 1, "finished": True},
        {"outcome": "forgotten"},
    ],
)
async def test_what_cannot_be_said_of_a_lesson(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal, body: dict[str, Any]
) -> None:
    answer = await post(client, learners.annas, learners.first, body, as_staff(settings), key="k")
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")
    assert recorder.updates == []


async def test_a_run_that_ends_under_way_is_followed_by_another(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal
) -> None:
    closed = ApplicationError("the run closed", type="AcceptedUpdateCompletedWorkflow")
    recorder.failures = [not_found(), WorkflowUpdateFailedError(closed)]
    held = {"outcome": "completed"}
    answer = await post(client, learners.annas, learners.first, held, as_staff(settings))
    assert answer.status_code == 200, answer.text
    assert len(recorder.updates) == 3
    assert len({asked.attempt_id for asked in told(recorder)}) == 1
    recorder.failures = [TimeoutError()]
    silent = await post(client, learners.annas, learners.first, held, as_staff(settings))
    assert (silent.status_code, silent.json()["reason"]) == (503, "unavailable")


async def test_a_lesson_that_opened_is_open_whatever_its_rule_says_now(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners, recorder: LearningTemporal
) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Lesson).values(drip_rule={"kind": "manual"}))
    answer = await post(client, learners.annas, learners.first, POSITION, as_student(settings, learners.anna))
    assert (answer.status_code, recorder.updates) == (200, [])
