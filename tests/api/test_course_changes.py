"""Changes of a course over HTTP: who may make them, what belongs to which, and how far they are."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client, WorkflowUpdateFailedError

from activities.database import Sessions
from api import create_app
from models.drip import AfterLesson, AnyOf, Manual
from models.errors import Reason, refusal
from models.identifiers import course_change_id_for
from models.messages.learning import CourseChangeRequest
from models.tables import CourseChange
from models.tables.columns import now
from models.vocabulary import CourseChangeStatus, EnrollmentChange, Role
from settings import Settings
from tests.api.callers import as_, as_staff
from tests.api.learning_on_record import Learners, LearningTemporal, agree, write_learners
from tests.api.recording_temporal import not_found

_LESSON = UUID("0198f3a0-3333-7000-8000-000000000001")
_STARTS, _ENDS = "2026-03-11T17:00:00Z", "2026-03-11T18:30:00Z"


@pytest.fixture
async def learners(sessions: Sessions) -> Learners:
    return await write_learners(sessions)


@pytest.fixture
def recorder(sessions: Sessions) -> LearningTemporal:
    """A worker that writes the row of the change, as its first step does."""

    async def work(told: Any) -> object:
        word, request = told.content or told.members.change, told.model_dump(mode="json")
        await write_change(sessions, told.course_id, told.change_id, word, request=request)
        return await agree(told)

    return LearningTemporal(work=work)


@pytest.fixture
def app(settings: Settings, sessions: Sessions, recorder: LearningTemporal) -> FastAPI:
    return create_app(settings, temporal=cast(Client, recorder), sessions=sessions)


async def write_change(
    sessions: Sessions,
    course_id: UUID,
    change_id: UUID,
    change: str,
    status: CourseChangeStatus = CourseChangeStatus.RUNNING,
    request: Mapping[str, object] | None = None,
) -> None:
    values: dict[str, Any] = {
        "id": change_id,
        "course_id": course_id,
        "change": change,
        "status": status,
        "enrollments": 2,
        "actor": "staff:frida",
        "request": request or {},
        "ended_at": None if status is CourseChangeStatus.RUNNING else now(),
        "workflow_id": f"course-change-{change_id}",
    }
    async with sessions.begin() as session:
        if await session.get(CourseChange, change_id) is None:
            session.add(CourseChange(**values))


async def post(
    client: httpx.AsyncClient, course_id: object, body: dict[str, Any], headers: dict[str, str], key: str = "k"
) -> httpx.Response:
    path = f"/v1/courses/{course_id}/changes"
    return await client.post(path, json=body, headers={**headers, "Idempotency-Key": key})


_AFTER = {"kind": "after_lesson", "lesson_id": str(_LESSON), "outcome": "passed", "amount": 2}


@pytest.mark.parametrize(
    "body",
    [
        {"content": "add_lesson", "lesson": {"title": "Menus", "drip_rule": _AFTER, "for_new_learners_only": True}},
        {"content": "edit_lesson", "lesson_id": str(_LESSON), "lesson": {"max_attempts": 3}},
        {"content": "remove_lesson", "lesson_id": str(_LESSON)},
        {"content": "reorder_lessons", "order": [str(_LESSON), str(uuid4())]},
        {
            "content": "move_meeting",
            "meeting_id": str(_LESSON),
            "meeting_starts_at": _STARTS,
            "meeting_ends_at": _ENDS,
        },
        {"content": "cancel_meeting", "meeting_id": str(_LESSON)},
        {"content": "edit_course", "course": {"access_rule": "until_date", "access_until": _ENDS}},
        {"content": "edit_course", "course": {"completion_rule": "judged", "release_mails": "daily"}},
        {"members": {"change": "pause", "until": _ENDS}},
        {"members": {"change": "release", "lesson_ids": [str(_LESSON)]}},
    ],
)
async def test_each_change_is_started_once_and_followed(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal, body: dict[str, Any]
) -> None:
    headers = as_staff(settings)
    made = await post(client, learners.course, body, headers)
    assert made.status_code == 202, made.text
    change_id = course_change_id_for("frida", "k")
    said = body.get("content") or body["members"]["change"]
    assert (made.json()["id"], made.json()["change"], made.json()["status"]) == (str(change_id), said, "running")
    [(workflow_id, request)] = recorder.started
    assert workflow_id == f"course-change-{change_id}"
    assert isinstance(request, CourseChangeRequest)
    assert (request.course_id, request.change_id, request.actor) == (learners.course, change_id, "staff:frida")
    again = await post(client, learners.course, body, headers)
    assert (again.status_code, again.headers["Location"]) == (202, made.headers["Location"])
    assert recorder.started == [(workflow_id, request)] * 2
    read = await client.get(made.headers["Location"], headers=headers)
    assert read.json() == made.json()


async def test_a_new_lesson_is_told_with_its_rule_and_an_id(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal
) -> None:
    rule = {"kind": "any", "rules": [_AFTER, {"kind": "manual"}]}
    body = {"content": "add_lesson", "lesson": {"title": "Menus", "drip_rule": rule}}
    made = await post(client, learners.course, body, as_staff(settings))
    [(_, request)] = recorder.started
    assert isinstance(request, CourseChangeRequest)
    assert request.lesson is not None
    assert request.lesson.drip_rule == AnyOf(
        rules=(AfterLesson.model_validate({name: value for name, value in _AFTER.items() if name != "kind"}), Manual())
    )
    assert str(request.lesson_id) == made.json()["id"]


async def test_what_is_taken_away_is_told(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal
) -> None:
    taken = {"module_id": None, "total_marks": None, "passing_marks": None}
    body = {"content": "edit_lesson", "lesson_id": str(learners.graded), "lesson": taken}
    assert (await post(client, learners.course, body, as_staff(settings))).status_code == 202
    [(_, request)] = recorder.started
    assert isinstance(request, CourseChangeRequest)
    assert request.model_dump(mode="json")["lesson"] == taken


async def test_moments_are_told_in_utc(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal
) -> None:
    body = {
        "content": "move_meeting",
        "meeting_id": str(learners.meeting),
        "meeting_starts_at": "2026-03-11T18:00:00+01:00",
        "meeting_ends_at": "2026-03-11T19:30:00+01:00",
    }
    assert (await post(client, learners.course, body, as_staff(settings))).status_code == 202
    [(_, request)] = recorder.started
    assert isinstance(request, CourseChangeRequest)
    assert request.meeting_starts_at == datetime(2026, 3, 11, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": "add_lesson"},
        {"content": "add_lesson", "lesson": {}},
        {"content": "add_lesson", "lesson": {"title": ""}},
        {"content": "add_lesson", "lesson_id": str(_LESSON), "lesson": {"title": "Menus"}},
        {"content": "add_lesson", "lesson": {"title": "Menus", "price": 1}},
        {"content": "add_lesson", "lesson": {"title": "Menus", "drip_rule": {"kind": "when I like"}}},
        {"content": "add_lesson", "lesson": {"title": "Menus", "drip_rule": {**_AFTER, "min_scor": 5}}},
        {
            "content": "add_lesson",
            "lesson": {
                "title": "Menus",
                "drip_rule": {"kind": "all", "rules": [{"kind": "manual"}, {"kind": "manual", "amount": 1}]},
            },
        },
        {"content": "edit_lesson", "lesson": {"title": "Menus"}},
        {"content": "remove_lesson", "lesson_id": None},
        {"content": "reorder_lessons", "order": [str(_LESSON), str(_LESSON)]},
        {"content": "cancel_meeting", "meeting_id": str(_LESSON), "meeting_starts_at": _STARTS},
        {
            "content": "move_meeting",
            "meeting_id": str(_LESSON),
            "meeting_starts_at": _ENDS,
            "meeting_ends_at": _STARTS,
        },
        {"content": "edit_course", "course": {"access_days": 30}},
        {"content": "edit_course", "course": {"access_rule": "unlimited", "access_until": _ENDS}},
        {"content": "edit_course", "course": {"price_amount": 1}},
        {"content": "remove_lesson", "lesson_id": str(_LESSON), "members": {"change": "resume"}},
        {"members": {"change": "pause"}},
        {"members": None},
    ],
)
async def test_what_does_not_belong_to_a_change(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal, body: dict[str, Any]
) -> None:
    answer = await post(client, learners.course, body, as_staff(settings))
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request"), answer.text
    assert recorder.started == []


async def test_who_may_change_a_course(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal
) -> None:
    body = {"content": "remove_lesson", "lesson_id": str(_LESSON)}
    for role, status in ((Role.STUDENT, 403), (Role.TUTOR, 403), (Role.SERVICE, 403), (Role.ADMIN, 202)):
        answer = await post(client, learners.course, body, as_(settings, learners.tutor, role))
        assert answer.status_code == status
    path = answer.headers["Location"]
    for role, status in ((Role.STUDENT, 403), (Role.TUTOR, 403), (Role.SERVICE, 200)):
        headers = as_(settings, learners.tutor, role)
        assert (await client.get(path, headers=headers)).status_code == status
        assert (await client.post(f"{path}/stop", headers=headers)).status_code == 403
    elsewhere = path.replace(str(learners.course), str(uuid4()))
    assert (await client.get(elsewhere, headers=as_staff(settings))).status_code == 404
    assert (await post(client, uuid4(), body, as_staff(settings))).status_code == 404
    assert len(recorder.started) == 1


async def test_a_key_stands_for_one_change(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners, recorder: LearningTemporal
) -> None:
    headers = as_staff(settings)
    body = {"members": {"change": "release", "lesson_ids": [str(_LESSON)]}}
    assert (await post(client, learners.course, body, headers)).status_code == 202
    for other in ({"members": {"change": "resume"}}, {"members": {"change": "release"}}):
        reused = await post(client, learners.course, other, headers)
        assert (reused.status_code, reused.json()["reason"]) == (422, "idempotency_key_reused")
    assert len(recorder.started) == 1


@pytest.mark.parametrize("status", [CourseChangeStatus.DONE, CourseChangeStatus.STOPPED])
async def test_one_that_is_over_is_not_begun_again(
    client: httpx.AsyncClient,
    settings: Settings,
    sessions: Sessions,
    learners: Learners,
    recorder: LearningTemporal,
    status: CourseChangeStatus,
) -> None:
    headers, body = as_staff(settings), {"content": "remove_lesson", "lesson_id": str(_LESSON)}
    assert (await post(client, learners.course, body, headers)).status_code == 202
    # While it goes on a repeat joins it, or starts it again where its workflow was terminated.
    assert (await post(client, learners.course, body, headers)).status_code == 202
    assert len(recorder.started) == 2
    async with sessions.begin() as session:
        change = await session.get_one(CourseChange, course_change_id_for("frida", "k"))
        change.status, change.ended_at = status, now()
    again = await post(client, learners.course, body, headers)
    assert (again.status_code, again.json()["status"], len(recorder.started)) == (202, status, 2)


@pytest.mark.parametrize(
    ("reason", "status"), [(Reason.DRIP_RULE_INVALID, 422), (Reason.MEETING_OVER, 409), (Reason.NOT_FOUND, 404)]
)
async def test_a_change_that_cannot_be_made(
    client: httpx.AsyncClient,
    settings: Settings,
    learners: Learners,
    recorder: LearningTemporal,
    reason: Reason,
    status: int,
) -> None:
    body = {"content": "remove_lesson", "lesson_id": str(_LESSON)}
    recorder.failures = [WorkflowUpdateFailedError(refusal(reason, "It cannot be.")), not_found(), TimeoutError()]
    refused = await post(client, learners.course, body, as_staff(settings))
    assert (refused.status_code, refused.json()["reason"]) == (status, reason)
    for _ in range(2):
        silent = await post(client, learners.course, body, as_staff(settings))
        assert (silent.status_code, silent.json()["reason"]) == (503, "unavailable")


async def test_one_that_runs_can_be_stopped(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners, recorder: LearningTemporal
) -> None:
    running, over = uuid4(), uuid4()
    await write_change(sessions, learners.course, running, EnrollmentChange.PAUSE)
    await write_change(sessions, learners.course, over, EnrollmentChange.PAUSE, CourseChangeStatus.DONE)
    path = f"/v1/courses/{learners.course}/changes"
    stopped = await client.post(f"{path}/{running}/stop", headers=as_staff(settings))
    assert (stopped.status_code, recorder.signals) == (202, [(f"course-change-{running}", "stop")])
    recorder.failure = not_found()
    for change_id in (running, over):
        late = await client.post(f"{path}/{change_id}/stop", headers=as_staff(settings))
        assert (late.status_code, late.json()["reason"]) == (409, "course_change_not_running")
