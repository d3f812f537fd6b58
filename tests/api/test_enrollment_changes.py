"""Changes of an enrollment over HTTP: who may make them, what belongs to which, and what its job is told."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client, WorkflowUpdateFailedError

from activities.database import Sessions
from activities.tasks import TaskActivities
from api import create_app
from models.errors import Reason, refusal
from models.identifiers import enrollment_change_id_for
from models.messages.learning import ChangeEnrollment
from models.messages.tasks import OpenTask
from models.tables import AppliedChange, EnrollmentPause
from models.tables.columns import now
from models.vocabulary import Role, TaskAction, TaskKind
from rules.tasks import queue_of
from settings import Settings
from tests.api.callers import as_, as_staff
from tests.api.learning_on_record import Learners, LearningTemporal, write_learners

UNTIL = "2026-08-31T22:00:00Z"
_LESSON = str(uuid4())


@pytest.fixture
async def learners(sessions: Sessions) -> Learners:
    return await write_learners(sessions)


@pytest.fixture
def recorder() -> LearningTemporal:
    return LearningTemporal()


@pytest.fixture
def app(settings: Settings, sessions: Sessions, recorder: LearningTemporal) -> FastAPI:
    return create_app(settings, temporal=cast(Client, recorder), sessions=sessions)


async def post(
    client: httpx.AsyncClient, enrollment_id: object, body: dict[str, Any], headers: dict[str, str], key: str = "k"
) -> httpx.Response:
    path = f"/v1/enrollments/{enrollment_id}/changes"
    return await client.post(path, json=body, headers={**headers, "Idempotency-Key": key})


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"change": "pause", "until": UNTIL}, {"until": datetime(2026, 8, 31, 22, 0, tzinfo=UTC)}),
        ({"change": "resume"}, {}),
        ({"change": "release"}, {}),
        ({"change": "release", "lesson_ids": [_LESSON]}, {"lesson_ids": (_LESSON,)}),
        ({"change": "reset", "lesson_ids": [_LESSON]}, {"lesson_ids": (_LESSON,)}),
        ({"change": "restart_clock"}, {}),
        ({"change": "move_start", "starts_at": UNTIL}, {"starts_at": UNTIL}),
        ({"change": "set_access", "access_ends_at": "2026-09-01T00:00:00+02:00"}, {"access_ends_at": UNTIL}),
        ({"change": "set_access", "access_ends_at": None}, {}),
        ({"change": "suspend"}, {}),
        ({"change": "reactivate"}, {}),
        ({"change": "judge", "judgement": "failed"}, {"judgement": "failed"}),
    ],
)
async def test_each_change_reaches_the_job(
    client: httpx.AsyncClient,
    settings: Settings,
    learners: Learners,
    recorder: LearningTemporal,
    body: dict[str, Any],
    fields: dict[str, Any],
) -> None:
    answer = await post(client, learners.annas, body, as_staff(settings))
    assert answer.status_code == 200, answer.text
    [(workflow_id, _, wish)] = recorder.updates
    assert workflow_id == f"drip-{learners.annas}"
    change_id = enrollment_change_id_for(learners.annas, "frida", "k")
    expected = {
        "change_id": change_id,
        "enrollment_id": learners.annas,
        "change": body["change"],
        "actor": "staff:frida",
        **fields,
    }
    assert wish == ChangeEnrollment.model_validate(expected)
    assert (answer.json()["id"], answer.json()["change"]) == (str(change_id), body["change"])


async def test_the_end_of_access_without_one_is_for_good(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal
) -> None:
    forgotten = await post(client, learners.annas, {"change": "set_access"}, as_staff(settings))
    assert (forgotten.status_code, forgotten.json()["reason"]) == (422, "invalid_request")
    assert recorder.updates == []


@pytest.mark.parametrize(
    "body",
    [
        {"change": "pause"},
        {"change": "pause", "until": None},
        {"change": "pause", "until": "2026-08-31T22:00:00"},
        {"change": "pause", "until": "9999-12-31T23:59:59Z"},
        {"change": "pause", "until": UNTIL, "lesson_ids": [_LESSON]},
        {"change": "resume", "until": UNTIL},
        {"change": "judge"},
        {"change": "judge", "judgement": "brilliant"},
        {"change": "move_start"},
        {"change": "delete"},
        {"change": "release", "lesson_ids": [_LESSON] * 1001},
        {"change": "suspend", "actor": "staff:somebody"},
        {},
    ],
)
async def test_what_does_not_belong_to_a_change(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal, body: dict[str, Any]
) -> None:
    answer = await post(client, learners.annas, body, as_staff(settings))
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")
    assert recorder.updates == []


async def test_who_may_change_an_enrollment(
    client: httpx.AsyncClient, settings: Settings, learners: Learners, recorder: LearningTemporal
) -> None:
    for role, status in ((Role.STUDENT, 403), (Role.TUTOR, 403), (Role.SERVICE, 200), (Role.ADMIN, 200)):
        headers = as_(settings, learners.anna, role)
        answer = await post(client, learners.annas, {"change": "resume"}, headers, key=role)
        assert answer.status_code == status
    unknown = await post(client, uuid4(), {"change": "resume"}, as_staff(settings))
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "not_found")
    assert len(recorder.updates) == 2


async def test_a_key_stands_for_one_change(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners, recorder: LearningTemporal
) -> None:
    headers = as_staff(settings)
    body: dict[str, Any] = {"change": "set_access", "access_ends_at": UNTIL}
    assert (await post(client, learners.annas, body, headers)).status_code == 200
    [(_, _, wish)] = recorder.updates
    async with sessions.begin() as session:
        session.add(
            AppliedChange(
                id=wish.change_id,
                enrollment_id=learners.annas,
                change=wish.change,
                digest=wish.digest,
                actor=wish.actor,
            )
        )
    # The same moment is the same wish, whatever its offset.
    again = {**body, "access_ends_at": "2026-09-01T00:00:00+02:00"}
    assert (await post(client, learners.annas, again, headers)).status_code == 200
    for other in ({"change": "reactivate"}, {**body, "access_ends_at": "2027-08-31T22:00:00Z"}):
        reused = await post(client, learners.annas, other, headers)
        assert (reused.status_code, reused.json()["reason"]) == (422, "idempotency_key_reused")
    keyless = await client.post(
        f"/v1/enrollments/{learners.annas}/changes", json={"change": "suspend"}, headers=headers
    )
    assert (keyless.status_code, keyless.json()["reason"]) == (400, "idempotency_key_missing")
    assert len(recorder.updates) == 2


@pytest.mark.parametrize(
    ("reason", "name"),
    [(Reason.ENROLLMENT_PAUSED, "paused_until"), (Reason.ENROLLMENT_EXPIRED, "access_ended_at")],
)
async def test_a_refusal_says_until_when_or_since_when(
    client: httpx.AsyncClient,
    settings: Settings,
    learners: Learners,
    recorder: LearningTemporal,
    reason: Reason,
    name: str,
) -> None:
    moment = datetime(2026, 8, 31, 22, 0, tzinfo=UTC)
    recorder.failures = [WorkflowUpdateFailedError(refusal(reason, "It cannot be.", moment.isoformat()))]
    problem = (await post(client, learners.annas, {"change": "release"}, as_staff(settings))).json()
    assert {key: problem.get(key) for key in ("opens_at", "paused_until", "access_ended_at") if key in problem} == {
        name: UNTIL
    }


async def test_a_dry_run_says_until_when(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    until = now() + timedelta(days=3)
    async with sessions.begin() as session:
        session.add(EnrollmentPause(enrollment_id=learners.annas, paused_at=now(), until=until, actor="staff:frida"))
    path = f"/v1/enrollments/{learners.annas}/changes?dry_run=true"
    headers = {**as_staff(settings), "Idempotency-Key": "k"}
    problem = (await client.post(path, json={"change": "release"}, headers=headers)).json()
    assert (problem["reason"], datetime.fromisoformat(problem["paused_until"])) == ("enrollment_paused", until)


async def test_nobody_judges_how_well_they_have_learned(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners, recorder: LearningTemporal
) -> None:
    task_id = uuid4()
    await TaskActivities(sessions).open_task(
        OpenTask(
            task_id=task_id, kind=TaskKind.COMPLETION_JUDGEMENT, subject_kind="enrollment", subject_id=learners.annas,
            reason="Look at it.", allowed_actions=(TaskAction.APPROVE, TaskAction.REJECT), due_at=now(),
            workflow_id=f"drip-{learners.annas}", queue=queue_of(TaskKind.COMPLETION_JUDGEMENT), working_days=2,
        )
    )  # fmt: skip
    for person, status in ((learners.anna, 404), (learners.boris, 200)):
        read = await client.get(f"/v1/tasks/{task_id}", headers=as_(settings, person, Role.STAFF))
        assert read.status_code == status
    path = f"/v1/tasks/{task_id}/decision"
    own = await client.post(path, json={"action": "approve"}, headers=as_(settings, learners.anna, Role.STAFF))
    assert (own.status_code, own.json()["reason"]) == (404, "not_found")
    assert recorder.updates == []


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.PAUSE_TOO_LONG, 422),
        (Reason.ENROLLMENT_PAUSED, 409),
        (Reason.ENROLLMENT_NOT_PAUSED, 409),
        (Reason.ENROLLMENT_EXPIRED, 409),
        (Reason.ALREADY_ENROLLED, 409),
        (Reason.COURSE_FULL, 409),
        (Reason.CERTIFICATE_NOT_REVOKED, 409),
        (Reason.NOT_JUDGED, 409),
        (Reason.REFUND_IN_PROGRESS, 409),
    ],
)
async def test_a_refusal_of_the_job_is_the_callers_to_hear(
    client: httpx.AsyncClient,
    settings: Settings,
    learners: Learners,
    recorder: LearningTemporal,
    reason: Reason,
    status: int,
) -> None:
    recorder.failures = [WorkflowUpdateFailedError(refusal(reason, "It cannot be."))]
    answer = await post(client, learners.annas, {"change": "resume"}, as_staff(settings))
    assert (answer.status_code, answer.json()["reason"], answer.json()["detail"]) == (status, reason, "It cannot be.")
