"""Who may end many places at once, and what is refused before anything is written."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select

from activities.database import Sessions
from models.tables import Note
from models.vocabulary import Role
from sandbox.sample_academy import sample_id
from settings import Settings
from tests.api.callers import as_, as_staff
from tests.fresh_record import load_academy

COURSE = {"kind": "course_removed", "course_id": str(sample_id("course", "photography")), "reason": "No room."}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({**COURSE, "course_id": str(uuid4())}, "unknown_course"),
        ({"kind": "tutor_banned", "tutor_id": str(uuid4()), "reason": "x"}, "unknown_person"),
        ({**COURSE, "tutor_id": str(uuid4())}, "invalid_request"),
        ({**COURSE, "kind": "tutor_banned"}, "invalid_request"),
        ({**COURSE, "reason": "  "}, "invalid_request"),
        ({**COURSE, "reason": "x" * 1001}, "invalid_request"),
        ({**COURSE, "share": "amount"}, "invalid_request"),
    ],
)
async def test_what_is_refused_leaves_nothing(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, body: dict[str, Any], reason: str
) -> None:
    await load_academy(sessions)
    headers = {**as_(settings, "frida", Role.ADMIN), "Idempotency-Key": "k"}
    assert (await client.post("/v1/cascades", json=body, headers=headers)).json()["reason"] == reason
    async with sessions() as session:
        assert (await session.execute(select(func.count()).select_from(Note))).scalar_one() == 0


async def test_staff_may_look_and_admins_may_act(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    await load_academy(sessions)
    staff = {**as_staff(settings), "Idempotency-Key": "k"}
    assert (await client.get("/v1/cascades", headers=staff)).json()["total"] == 0
    assert (await client.post("/v1/cascades", json=COURSE, headers=staff)).json()["reason"] == "role_not_allowed"
    admin = {**as_(settings, "frida", Role.ADMIN), "Idempotency-Key": "k"}
    answer = await client.post("/v1/cascades", json={**COURSE, "dry_run": True}, headers=admin)
    assert (answer.status_code, answer.json()) == (200, {"places": {}, "orders_to_cancel": 0, "amounts": []})
