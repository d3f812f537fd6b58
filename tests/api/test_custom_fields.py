"""The academy's own fields of people over HTTP."""

from typing import Any

import httpx
from sqlalchemy import select
from sqlmodel import col

from activities.database import Sessions
from models.tables import AuditEntry
from models.vocabulary import Role
from settings import Settings
from tests.api.callers import as_, as_staff
from tests.api.carts_on_record import write_academy

Json = dict[str, Any]


async def test_custom_fields_are_set_as_a_whole(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    staff, path = as_staff(settings), "/v1/custom-fields"
    body: Json = {
        "fields": [
            {"key": "unit", "label": " Business unit ", "reports": ["users", "orders", "users"]},
            {"key": "badge", "label": "Badge", "reports": []},
        ]
    }
    nowhere = await client.put(path, json=body, headers=staff)
    assert (nowhere.status_code, nowhere.json()["reason"]) == (404, "not_found")
    await write_academy(sessions)
    for _ in range(2):
        stored = await client.put(path, json=body, headers=staff)
        assert stored.status_code == 200, stored.text
    fields = (await client.get(path, headers=staff)).json()["fields"]
    assert fields == [
        {"key": "unit", "label": "Business unit", "reports": ["users", "orders"]},
        {"key": "badge", "label": "Badge", "reports": []},
    ]
    assert (
        await client.put(path, json={"fields": fields[::-1]}, headers=as_(settings, "ada", Role.ADMIN))
    ).status_code == 200
    assert [each["key"] for each in (await client.get(path, headers=staff)).json()["fields"]] == ["badge", "unit"]
    assert (await client.put(path, json={"fields": []}, headers=staff)).json() == {"fields": []}
    async with sessions() as session:
        changes = (await session.scalars(select(AuditEntry).order_by(col(AuditEntry.id)))).all()
    assert [(each.actor, each.from_state, each.to_state) for each in changes] == [
        ("staff:frida", "none", "shown"),
        ("admin:ada", "shown", "shown"),
        ("staff:frida", "shown", "none"),
    ]
    for wrong, pointer in (
        ([{"key": "Unit", "label": "Unit"}], "#/fields/0/key"),
        ([{"key": "unit", "label": "  "}], "#/fields/0/label"),
        ([{"key": "unit", "label": "Unit", "reports": ["audit"]}], "#/fields/0/reports"),
        ([{"key": "unit", "label": "Unit", "type": "text"}], "#/fields/0/type"),
        ([{"key": "unit", "label": "Unit"}, {"key": "unit", "label": "Badge"}], "#"),
        ([{"key": "unit", "label": "Unit"}, {"key": "badge", "label": "UNIT"}], "#"),
        ([{"key": f"field_{n}", "label": str(n)} for n in range(51)], "#/fields"),
    ):
        refused = await client.put(path, json={"fields": wrong}, headers=staff)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer), wrong
    service = await client.get(path, headers=as_(settings, "platform", Role.SERVICE))
    assert service.json()["reason"] == "role_not_allowed"
