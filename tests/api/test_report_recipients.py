"""Who is sent a report: staff says it, for people with an account, and it is written down who changed it."""

from uuid import uuid4

import httpx
from sqlalchemy import delete, select
from sqlmodel import col

from activities.database import Sessions
from models.tables import AuditEntry, ReportRecipient
from models.vocabulary import Role
from sandbox.sample_academy import sample_id
from settings import Settings
from tests.api.callers import as_, as_staff
from tests.fresh_record import load_academy

ADDRESS = "/v1/reports/finance/recipients"
FRIDA, INGRID = sample_id("person", "finance"), sample_id("person", "head")


async def test_staff_sets_them_and_what_is_the_same_again_changes_nothing(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    await load_academy(sessions)
    async with sessions.begin() as session:
        await session.execute(delete(ReportRecipient))
    staff = as_staff(settings)
    assert (await client.get(ADDRESS, headers=staff)).json() == {"report": "finance", "recipients": []}
    for wanted in ([FRIDA], [FRIDA, FRIDA, INGRID], [FRIDA, INGRID], [INGRID]):
        answer = await client.put(ADDRESS, json={"person_ids": [str(each) for each in wanted]}, headers=staff)
        assert {each["person_id"] for each in answer.json()["recipients"]} == {str(each) for each in wanted}
    shown = (await client.get(ADDRESS, headers=staff)).json()["recipients"]
    assert shown == [{"person_id": str(INGRID), "name": "Dr. Ingrid Sørensen"}]
    others = await client.get("/v1/reports/sales/recipients", headers=staff)
    assert others.json()["recipients"] == []
    async with sessions() as session:
        entries = await session.scalars(
            select(AuditEntry).where(col(AuditEntry.subject_kind) == "report_recipient").order_by(AuditEntry.created_at)
        )
        assert [(each.actor, each.subject_id, each.to_state) for each in entries] == [
            ("staff:frida", FRIDA, "listed"),
            ("staff:frida", INGRID, "listed"),
            ("staff:frida", FRIDA, "removed"),
        ]


async def test_only_people_with_an_account_can_be_recipients(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    await load_academy(sessions)
    for unknown in (uuid4(), sample_id("person", "guest")):
        answer = await client.put(ADDRESS, json={"person_ids": [str(FRIDA), str(unknown)]}, headers=as_staff(settings))
        assert (answer.status_code, answer.json()["reason"]) == (422, "unknown_person")


async def test_it_is_for_staff_and_for_reports_that_are_sent(client: httpx.AsyncClient, settings: Settings) -> None:
    for headers in (as_(settings, FRIDA, Role.STUDENT), as_(settings, "platform", Role.SERVICE)):
        for answer in (
            await client.get(ADDRESS, headers=headers),
            await client.put(ADDRESS, json={"person_ids": []}, headers=headers),
        ):
            assert answer.json()["reason"] == "role_not_allowed"
    for report in ("orders", "nothing"):
        answer = await client.get(f"/v1/reports/{report}/recipients", headers=as_staff(settings))
        assert answer.json()["reason"] == "invalid_request"
