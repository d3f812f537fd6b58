"""Exports over HTTP: described, begun once for a key, watched, canceled, and their files for whoever may have them."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import update
from sqlmodel import col

from activities.database import Sessions
from activities.files import FileStore
from models.errors import Reason
from models.messages.exports import ExportRequest
from models.tables import CustomField, Export
from models.tables.columns import now
from models.vocabulary import ExportReport, ExportStatus, Role
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.exporting_temporal import ExportingTemporal, finish_export, written_export
from tests.api.recording_temporal import not_found

Json = dict[str, Any]
LINK_SECRET = "another-secret-of-thirty-two-bytes"
MARCH = {"date_from": "2026-03-01", "date_until": "2026-04-01"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"link_secret": SecretStr(LINK_SECRET)})


@pytest.fixture
def recorder(sessions: Sessions) -> ExportingTemporal:
    return ExportingTemporal(sessions=sessions)


@pytest.fixture
def files(settings: Settings) -> FileStore:
    return FileStore(settings.files_url)


def as_admin(settings: Settings) -> dict[str, str]:
    return as_(settings, "ada", Role.ADMIN)


async def ask(
    client: httpx.AsyncClient, headers: dict[str, str], report: str = "orders", *, key: str | None = None, **more: Any
) -> httpx.Response:
    body = {"report": report, **more}
    return await client.post("/v1/exports", json=body, headers={**headers, "Idempotency-Key": key or uuid4().hex})


async def test_an_export_is_begun_once_for_a_key(
    client: httpx.AsyncClient, settings: Settings, recorder: ExportingTemporal
) -> None:
    staff = as_staff(settings)
    first = await ask(client, staff, key="k", format="csv", filters={**MARCH, "statuses": ["completed"]})
    assert first.status_code == 202, first.text
    export = first.json()
    assert (export["status"], export["report"], export["format"], export["requested_by"]) == (
        "running",
        "orders",
        "csv",
        "staff:frida",
    )
    assert (export["filters"]["date_from"], export["filters"]["statuses"]) == ("2026-03-01", ["completed"])
    assert first.headers["location"] == f"/v1/exports/{export['id']}"
    [(workflow_id, request)] = recorder.started
    assert workflow_id == f"export-{export['id']}"
    assert isinstance(request, ExportRequest)
    assert (request.actor, str(request.filters.date_until)) == ("staff:frida", "2026-04-01")
    assert [update for _, update, _ in recorder.updates] == ["begin"]
    again = await ask(client, staff, key="k", format="csv", filters={**MARCH, "statuses": ["completed"]})
    assert again.json() == export
    for other in ({"format": "xlsx", "filters": MARCH}, {"format": "csv"}, {"report": "users", "format": "csv"}):
        refused = await ask(client, staff, **{"report": "orders", **other}, key="k")
        assert (refused.status_code, refused.json()["reason"]) == (422, "idempotency_key_reused"), other
    # Another caller's key is another key.
    assert (await ask(client, as_admin(settings), key="k")).json()["id"] != export["id"]
    path = first.headers["location"]
    assert (await client.get(path, headers=staff)).json() == export
    keyless = await client.post("/v1/exports", json={"report": "orders"}, headers=staff)
    assert (keyless.status_code, keyless.json()["reason"]) == (400, "idempotency_key_missing")


async def test_an_export_that_takes_long_to_begin_is_answered_once_it_is_on_record(
    client: httpx.AsyncClient, settings: Settings, recorder: ExportingTemporal
) -> None:
    recorder.is_slow = True
    slow = await ask(client, as_staff(settings))
    assert (slow.status_code, slow.json()["status"]) == (202, "running")
    recorder.loses = True
    lost = await ask(client, as_staff(settings))
    assert (lost.status_code, lost.json()["reason"]) == (503, "unavailable")


async def test_too_many_rows_are_refused_each_time(
    client: httpx.AsyncClient, settings: Settings, recorder: ExportingTemporal
) -> None:
    recorder.refusal_reason = Reason.TOO_MANY_ROWS
    for _ in range(2):
        refused = await ask(client, as_staff(settings), key="k", format="pdf")
        assert (refused.status_code, refused.json()["reason"]) == (422, "too_many_rows")
    assert len(recorder.started) == 1


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"report": "mails", "filters": {"course_ids": [str(uuid4())]}}, ["#/filters/course_ids"]),
        ({"report": "payments", "filters": {"coupon_ids": [str(uuid4())]}}, ["#/filters/coupon_ids"]),
        ({"report": "orders", "filters": {"statuses": ["completed", "lost"]}}, ["#/filters/statuses"]),
        ({"report": "users", "filters": {"statuses": ["x"]}}, ["#/filters/statuses"]),
        ({"report": "sales", "format": "pdf"}, ["#/filters/date_from", "#/filters/date_until"]),
        ({"report": "orders", "filters": {"date_from": "2026-03-01", "date_until": "2026-03-01"}}, ["#/filters"]),
        # In no academy's zone is there such a moment: the job would try for ever.
        ({"report": "orders", "filters": {"date_from": "0001-01-01"}}, ["#/filters/date_from"]),
        ({"report": "sales", "filters": {**MARCH, "date_until": "9999-12-31"}}, ["#/filters/date_until"]),
        ({"report": "orders", "filters": {"since": "2026-03-01"}}, ["#/filters/since"]),
        ({"report": "orders", "filters": {"currency": "euro"}}, ["#/filters/currency"]),
        ({"report": "everything"}, ["#/report"]),
    ],
)  # fmt: skip
async def test_what_a_report_does_not_know_is_pointed_at(
    client: httpx.AsyncClient, settings: Settings, recorder: ExportingTemporal, body: Json, pointers: list[str]
) -> None:
    refused = await ask(client, as_staff(settings), **body)
    assert (refused.status_code, refused.json()["reason"]) == (422, "invalid_request")
    assert [each["pointer"] for each in refused.json()["errors"]] == pointers
    assert recorder.started == []


async def test_a_format_that_a_report_does_not_have_is_refused(client: httpx.AsyncClient, settings: Settings) -> None:
    refused = await ask(client, as_staff(settings), "sales", format="csv", filters=MARCH)
    assert (refused.status_code, refused.json()["reason"]) == (422, "format_not_available")


async def test_reports_are_described_to_whoever_may_have_them(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        session.add(CustomField(key="unit", label="Business unit", reports=["users"]))
    staff = (await client.get("/v1/exports/reports", headers=as_staff(settings))).json()["items"]
    reports = {each["report"]: each for each in staff}
    assert reports.keys() == set(ExportReport) - {"tutor_applications", "audit"}
    everything = (await client.get("/v1/exports/reports", headers=as_admin(settings))).json()["items"]
    assert {each["report"] for each in everything} == set(ExportReport)
    users = {each["key"]: each["title"] for each in reports["users"]["columns"]}
    assert (users["email"], users["custom_unit"]) == ("E-mail", "Business unit")
    assert reports["orders"]["statuses"][0] == "pending_payment"
    assert (reports["orders"]["needs_span"], reports["sales"]["needs_span"]) == (False, True)
    amounts = {each["key"]: each["currency_of"] for each in reports["payments"]["columns"] if each["type"] == "money"}
    settled = dict.fromkeys(("fee_amount", "net_amount"), "settled_currency")
    assert amounts == {"amount": "currency", "beside_amount": "currency"} | settled


async def test_confidential_reports_are_for_admins_and_services(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    staff, service = as_staff(settings), as_(settings, "platform", Role.SERVICE)
    for report in (ExportReport.AUDIT, ExportReport.TUTOR_APPLICATIONS):
        refused = await ask(client, staff, report)
        assert (refused.status_code, refused.json()["reason"]) == (403, "role_not_allowed")
        asked = await ask(client, service, report)
        assert asked.status_code == 202
        path = asked.headers["location"]
        assert (await client.get(path, headers=as_admin(settings))).status_code == 200
        for hidden in (
            await client.get(path, headers=staff),
            await client.get(f"{path}/file", headers=staff),
            await client.post(f"{path}/link", headers=staff),
            await client.post(f"{path}/cancel", headers=staff),
        ):
            assert (hidden.status_code, hidden.json()["reason"]) == (404, "not_found")
    assert (await client.get("/v1/exports", headers=staff)).json()["total"] == 0
    assert (await client.get("/v1/exports", headers=as_admin(settings))).json()["total"] == 2
    for headers in (as_student(settings, uuid4()), as_(settings, uuid4(), Role.TUTOR)):
        answers = [
            await ask(client, headers),
            *[await client.get(f"/v1/{path}", headers=headers) for path in ("exports", "exports/reports")],
            await client.get("/v1/custom-fields", headers=headers),
            *[await client.get(f"/v1/exports/{uuid4()}{path}", headers=headers) for path in ("", "/file")],
            *[await client.post(f"/v1/exports/{uuid4()}/{path}", headers=headers) for path in ("link", "cancel")],
            await client.put("/v1/custom-fields", json={"fields": []}, headers=headers),
        ]  # fmt: skip
        assert {answer.json()["reason"] for answer in answers} == {"role_not_allowed"}


async def test_exports_are_listed_with_how_far_they_are(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, files: FileStore
) -> None:
    running, done = (
        await written_export(sessions),
        await written_export(sessions, ExportReport.USERS, actor="admin:ada"),
    )
    await finish_export(sessions, files, done, b"data")
    async with sessions.begin() as session:
        await session.execute(update(Export).where(col(Export.id) == running.id).values(row_count=3, rows_written=2))
    listed = (await client.get("/v1/exports", headers=as_staff(settings))).json()
    assert [(each["id"], each["percent_done"]) for each in listed["items"]] == [
        (str(done.id), 100),
        (str(running.id), 66),
    ]
    for narrowed, total in (
        ({"status": "done"}, 1),
        ({"status": "failed"}, 0),
        ({"report": "users"}, 1),
        ({"requested_by": "admin:ada"}, 1),
    ):
        assert (await client.get("/v1/exports", params=narrowed, headers=as_staff(settings))).json()["total"] == total


async def test_an_export_is_canceled_also_without_its_workflow(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, recorder: ExportingTemporal
) -> None:
    export, staff = await written_export(sessions), as_staff(settings)
    path = f"/v1/exports/{export.id}"
    assert (await client.post(f"{path}/cancel", headers=staff)).status_code == 202
    assert recorder.signals == [(f"export-{export.id}", "cancel")]
    recorder.failure = not_found()
    assert (await client.post(f"{path}/cancel", headers=staff)).status_code == 202
    assert recorder.started_with == {f"export-{export.id}": "cancel"}
    async with sessions.begin() as session:
        values = {"status": ExportStatus.CANCELED, "ended_at": now()}
        await session.execute(update(Export).where(col(Export.id) == export.id).values(values))
    late = await client.post(f"{path}/cancel", headers=staff)
    assert (late.status_code, late.json()["reason"]) == (409, "export_not_running")
    nothing = await client.get(f"{path}/file", headers=staff)
    assert (nothing.status_code, nothing.json()["reason"]) == (404, "not_found")
