"""Who reviews and who is there, and what can be taught, over HTTP."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select
from sqlmodel import col

from activities.database import Sessions
from models.tables import AuditEntry
from models.vocabulary import ApplicationStatus, Role
from settings import Settings
from tests.api.applications_on_record import Staffroom, write_application, write_staffroom
from tests.api.callers import as_, as_student


@pytest.fixture
async def room(sessions: Sessions) -> Staffroom:
    return await write_staffroom(sessions)


async def put(
    client: httpx.AsyncClient, person_id: UUID, is_away: bool, headers: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    answer = await client.put(f"/v1/reviewers/{person_id}", json={"is_away": is_away}, headers=headers)
    return answer.status_code, answer.json()


async def test_reviewers_say_when_they_are_away_and_see_each_other(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom
) -> None:
    await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW, reviewer_id=room.rosa)
    await write_application(sessions, room.boris, ApplicationStatus.APPROVED, reviewer_id=room.rosa)
    rosa = as_(settings, room.rosa, Role.STAFF)
    first = await put(client, room.rosa, True, rosa)
    assert (first[0], first[1]["is_away"], first[1]["applications"]) == (200, True, 1)
    assert await put(client, room.rosa, True, rosa) == first
    for query, names in (({}, ["rita", "rosa"]), ({"is_away": "true"}, ["rosa"]), ({"is_away": "false"}, ["rita"])):
        found = (await client.get("/v1/reviewers", params=query, headers=rosa)).json()
        assert [item["name"] for item in found["items"]] == names
        assert found["total"] == len(names)
    back = await put(client, room.rosa, False, rosa)
    assert (back[1]["is_away"], back[1]["away_since"]) == (False, None)
    async with sessions() as session:
        query = select(AuditEntry).where(col(AuditEntry.subject_id) == room.rosa).order_by(col(AuditEntry.id))
        entries = (await session.execute(query)).scalars().all()
    assert [(entry.from_state, entry.to_state) for entry in entries] == [("present", "away"), ("away", "present")]


async def test_only_an_admin_speaks_for_others_and_adds_somebody(
    client: httpx.AsyncClient, settings: Settings, room: Staffroom
) -> None:
    for caller, person_id, status, reason in (
        (as_(settings, room.rosa, Role.STAFF), room.rita, 403, "not_yours"),
        (as_(settings, room.otto, Role.STAFF), room.otto, 403, "not_a_reviewer"),
        (as_(settings, "platform", Role.SERVICE), room.rosa, 403, "role_not_allowed"),
        (as_student(settings, room.rosa), room.rosa, 403, "role_not_allowed"),
        (as_(settings, "boss", Role.ADMIN), uuid4(), 422, "unknown_person"),
    ):
        answered = await put(client, person_id, True, caller)
        assert (answered[0], answered[1]["reason"]) == (status, reason)
    otto, boss = as_(settings, room.otto, Role.STAFF), as_(settings, "boss", Role.ADMIN)
    assert (await client.get("/v1/reviewers", headers=otto)).json()["reason"] == "not_a_reviewer"
    assert (await put(client, room.otto, False, boss))[1]["name"] == "otto"
    assert (await client.get("/v1/reviewers", headers=otto)).json()["total"] == 3


async def test_two_who_add_the_same_person_at_once_add_them_once(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom
) -> None:
    boss = as_(settings, "boss", Role.ADMIN)
    answers = await asyncio.gather(*(put(client, room.otto, False, boss) for _ in range(6)))
    assert [status for status, _ in answers] == [200] * 6
    async with sessions() as session:
        query = select(AuditEntry).where(col(AuditEntry.subject_id) == room.otto)
        [entry] = (await session.execute(query)).scalars().all()
    assert (entry.from_state, entry.to_state) == (None, "present")


async def test_subjects_say_what_they_ask_for(client: httpx.AsyncClient, settings: Settings, room: Staffroom) -> None:
    anna = as_student(settings, room.anna)
    found = (await client.get("/v1/subjects", headers=anna)).json()
    assert [item["code"] for item in found["items"]] == ["latin", "maths", "spanish"]
    assert found["items"][2] == {
        "code": "spanish",
        "title": "Spanish",
        "requires_certification": True,
        "requires_video": True,
        "is_open": True,
    }
    closed = (await client.get("/v1/subjects", params={"is_open": "false"}, headers=anna)).json()
    assert [item["code"] for item in closed["items"]] == ["latin"]
