"""The roll of a meeting over HTTP: who may call it, what is written, and of whom nothing is."""

import asyncio
from datetime import timedelta
from typing import cast
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlmodel import col
from temporalio.client import Client

from activities.database import Sessions
from models.tables import AuditEntry, ClassSession, Course, Enrollment, LessonRecord
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, LessonOutcome, Role
from routes import drip_start
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.learning_on_record import Learners, write_learners
from tests.api.recording_temporal import RecordingHandle, RecordingTemporal, not_found


@pytest.fixture
async def learners(sessions: Sessions) -> Learners:
    return await write_learners(sessions)


def roll(learners: Learners) -> str:
    return f"/v1/courses/{learners.course}/meetings/{learners.meeting}/attendance"


def said(*entries: tuple[UUID, str]) -> dict[str, object]:
    return {"attendance": [{"enrollment_id": str(each), "attendance": word} for each, word in entries]}


async def records(sessions: Sessions) -> dict[UUID, tuple[str, str | None, str]]:
    async with sessions() as session:
        found = (await session.execute(select(LessonRecord))).scalars().all()
    return {record.enrollment_id: (record.outcome, record.attendance, record.recorded_by) for record in found}


async def test_the_tutor_calls_the_roll_and_the_jobs_look(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners, recorder: RecordingTemporal
) -> None:
    tutor, body = as_(settings, learners.tutor, Role.TUTOR), said((learners.annas, "late"), (learners.boriss, "absent"))
    called = await client.put(roll(learners), json=body, headers=tutor)
    assert called.status_code == 200, called.text
    assert {each["enrollment_id"]: each["attendance"] for each in called.json()["learners"]} == {
        str(learners.annas): "late",
        str(learners.boriss): "absent",
    }
    actor = f"tutor:{learners.tutor}"
    assert await records(sessions) == {
        learners.annas: (LessonOutcome.COMPLETED, "late", actor),
        learners.boriss: (LessonOutcome.STUDENT_NO_SHOW, "absent", actor),
    }
    assert sorted(recorder.signals) == sorted((f"drip-{each}", "replan") for each in (learners.annas, learners.boriss))
    async with sessions() as session:
        due = select(func.count()).where(col(Enrollment.wakes_at) <= now())
        assert (await session.execute(due)).scalar_one() == 2

    again = await client.put(roll(learners), json=body, headers=tutor)
    assert (again.status_code, again.json()["refused"], len(recorder.signals)) == (200, [], 2)
    async with sessions() as session:
        audited = select(func.count()).where(col(AuditEntry.reason) == "attendance recorded")
        assert (await session.execute(audited)).scalar_one() == 2
    assert (await client.get(roll(learners), headers=tutor)).json() == again.json()


async def test_only_staff_corrects_it(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    tutor = as_(settings, learners.tutor, Role.TUTOR)
    await client.put(roll(learners), json=said((learners.annas, "absent")), headers=tutor)
    otherwise = await client.put(
        roll(learners), json=said((learners.annas, "attended"), (learners.boriss, "attended")), headers=tutor
    )
    assert otherwise.json()["refused"] == [{"enrollment_id": str(learners.annas), "reason": "lesson_already_recorded"}]
    assert (await records(sessions))[learners.boriss][1] == "attended"
    corrected = await client.put(roll(learners), json=said((learners.annas, "excused")), headers=as_staff(settings))
    assert corrected.json()["refused"] == []
    assert (await records(sessions))[learners.annas] == (LessonOutcome.CANCELED, "excused", "staff:frida")


async def test_whom_it_does_not_concern(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    stranger = uuid4()
    async with sessions.begin() as session:
        one = update(Enrollment).where(col(Enrollment.id) == learners.boriss)
        await session.execute(one.values(status=EnrollmentStatus.CANCELED))
    body = said((learners.boriss, "attended"), (stranger, "attended"), (learners.annas, "attended"))
    called = (await client.put(roll(learners), json=body, headers=as_staff(settings))).json()
    assert {each["enrollment_id"]: each["reason"] for each in called["refused"]} == {
        str(learners.boriss): "enrollment_not_active",
        str(stranger): "not_found",
    }
    assert [each["enrollment_id"] for each in called["learners"]] == [str(learners.annas)]
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).values(enrolled_at=now()))
    late = (await client.put(roll(learners), json=said((learners.annas, "absent")), headers=as_staff(settings))).json()
    assert [each["reason"] for each in late["refused"]] == ["not_found"]


async def test_a_meeting_to_which_nobody_can_have_come(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    body, headers = said((learners.annas, "attended")), as_staff(settings)
    for values, status, reason in (
        ({"starts_at": now() + timedelta(hours=1), "ends_at": now() + timedelta(hours=2)}, 409, "lesson_not_begun"),
        ({"canceled_at": now()}, 409, "meeting_over"),
    ):
        async with sessions.begin() as session:
            await session.execute(update(ClassSession).values(**values))
        refused = await client.put(roll(learners), json=body, headers=headers)
        assert (refused.status_code, refused.json()["reason"]) == (status, reason)
    unknown = roll(learners).replace(str(learners.meeting), str(uuid4()))
    assert (await client.put(unknown, json=body, headers=headers)).status_code == 404
    assert await records(sessions) == {}


async def test_who_may_call_the_roll(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    body = said((learners.annas, "attended"))
    for headers, status in (
        (as_student(settings, learners.anna), 403),
        (as_(settings, learners.anna, Role.TUTOR), 404),
        (as_(settings, "platform", Role.SERVICE), 200),
    ):
        assert (await client.put(roll(learners), json=body, headers=headers)).status_code == status
        assert (await client.get(roll(learners), headers=headers)).status_code == status
    twice = said((learners.annas, "attended"), (learners.annas, "absent"))
    answer = await client.put(roll(learners), json=twice, headers=as_staff(settings))
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")


async def test_nobody_speaks_of_their_own_attendance(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners
) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Course).values(tutor_id=learners.anna))
    body = said((learners.annas, "attended"), (learners.boriss, "attended"))
    called = await client.put(roll(learners), json=body, headers=as_(settings, learners.anna, Role.TUTOR))
    assert called.json()["refused"] == [{"enrollment_id": str(learners.annas), "reason": "role_not_allowed"}]
    assert set(await records(sessions)) == {learners.boriss}


async def test_a_job_that_does_not_run_holds_nothing_up(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, learners: Learners, recorder: RecordingTemporal
) -> None:
    recorder.failure = not_found()
    called = await client.put(roll(learners), json=said((learners.annas, "attended")), headers=as_staff(settings))
    assert (called.status_code, len(await records(sessions))) == (200, 1)


class Silent(RecordingHandle):
    """A job to which signals go and from which none comes back."""

    async def signal(self, *_told: object, **_options: object) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()


class SilentTemporal(RecordingTemporal):
    """Takes every call and answers none."""

    def get_workflow_handle(self, workflow_id: str) -> RecordingHandle:
        """Such a job."""
        return Silent(self, workflow_id)


async def test_who_is_not_reached_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drip_start, "_PATIENCE_WITH_ALL", timedelta(milliseconds=10))
    async with asyncio.timeout(30):
        await drip_start.wake_drips(cast(Client, SilentTemporal()), [uuid4() for _ in range(100)])
