"""Files of exports over HTTP: in pieces, written down, and by links for whoever may still have them."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import update

from activities.database import Sessions
from activities.export_links import ExportLink, link_token, recipient
from activities.files import FileStore
from activities.signed_links import sign_link
from models.tables import Export, Person, ReportRecipient, RoleGrant, TutorApplication
from models.tables.columns import now
from models.vocabulary import ApplicationStatus, ExportFormat, ExportReport, ExportStatus, Role
from settings import Settings
from tests.api.callers import as_, as_staff
from tests.api.exporting_temporal import downloads, finish_export, written_export

LINK_SECRET = "another-secret-of-thirty-two-bytes"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"link_secret": SecretStr(LINK_SECRET)})


@pytest.fixture
def files(settings: Settings) -> FileStore:
    return FileStore(settings.files_url)


async def test_the_file_is_streamed_and_each_download_written_down(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, files: FileStore, tmp_path: Path
) -> None:
    export, staff, data = await written_export(sessions), as_staff(settings), b"\xef\xbb\xbfOrder\r\n" * 400_000
    path = f"/v1/exports/{export.id}/file"
    early = await client.get(path, headers=staff)
    assert (early.status_code, early.json()["reason"]) == (404, "document_not_ready")
    await finish_export(sessions, files, export, data)
    got = await client.get(path, headers=staff)
    assert (got.status_code, got.content) == (200, data)
    assert got.headers["content-disposition"] == 'attachment; filename="orders-2026-03-01.csv"'
    assert got.headers["content-type"] == "text/csv; charset=utf-8"
    assert (got.headers["content-length"], got.headers["cache-control"]) == (str(len(data)), "no-store")
    known = await client.get(path, headers={**staff, "If-None-Match": got.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert await downloads(sessions) == [("staff:frida", "downloaded", export.id)]
    # Somebody changed the last byte in the store: nobody gets all of it.
    stored = tmp_path / "exports" / str(export.id) / "orders.csv"
    stored.write_bytes(data[:-1] + b"x")
    with pytest.raises(Exception, match=r"^$") as cut:
        await client.get(path, headers=staff)
    assert type(cut.value).__name__ == "_AnswerCutOffError"
    stored.write_bytes(data + b"x")
    longer = await client.get(path, headers=staff)
    assert (longer.status_code, longer.json()["reason"]) == (500, "internal")
    stored.unlink()
    gone = await client.get(path, headers=staff)
    assert (gone.status_code, gone.json()["reason"]) == (404, "document_not_ready")
    async with sessions.begin() as session:
        await session.execute(update(Export).values(expires_at=now()))
    for late in (await client.get(path, headers=staff), await client.post(path.replace("file", "link"), headers=staff)):
        assert (late.status_code, late.json()["reason"]) == (410, "export_expired")


async def test_a_link_is_good_for_a_day_and_for_whoever_may_still_have_the_file(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, files: FileStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    person = Person(email="p@example.org", full_name="P")
    application = TutorApplication(applicant_id=person.id, status=ApplicationStatus.DRAFT, workflow_id="w")
    async with sessions.begin() as session:
        session.add(person)
        await session.flush()
        session.add(application)
    export = await written_export(sessions)
    await finish_export(sessions, files, export, b"data")
    made = await client.post(f"/v1/exports/{export.id}/link", headers=as_(settings, person.id, Role.STAFF, Role.TUTOR))
    assert made.status_code == 200, made.text
    path = httpx.URL(made.json()["url"]).path
    got = await client.get(path)
    assert (got.status_code, got.content, got.headers["cache-control"]) == (200, b"data", "no-store")
    assert await downloads(sessions) == [(f"staff:{person.id}", "downloaded by link", export.id)]

    grant = RoleGrant(person_id=person.id, role=Role.STAFF, granted_by="admin:ada", application_id=application.id)
    async with sessions.begin() as session:
        session.add(grant)
    assert (await client.get(path)).status_code == 200
    async with sessions.begin() as session:
        await session.execute(update(RoleGrant).values(revoked_at=now()))
    taken = await client.get(path)
    assert (taken.status_code, taken.headers["content-type"]) == (404, "text/html; charset=utf-8")
    async with sessions.begin() as session:
        session.add(RoleGrant(**grant.model_dump(exclude={"id", "revoked_at"})))
    assert (await client.get(path)).status_code == 200

    with monkeypatch.context() as later:
        later.setattr("routes.export_links.now", lambda: now() + timedelta(hours=24, seconds=1))
        assert (await client.get(path)).status_code == 410
    async with sessions.begin() as session:
        await session.execute(update(Export).values(status=ExportStatus.EXPIRED))
    assert (await client.get(path)).status_code == 410
    assert len(await downloads(sessions)) == 3


async def test_a_link_ends_with_its_file_and_needs_a_secret(
    client: httpx.AsyncClient, app: FastAPI, settings: Settings, sessions: Sessions, files: FileStore
) -> None:
    export = await written_export(sessions)
    early = await client.post(f"/v1/exports/{export.id}/link", headers=as_staff(settings))
    assert (early.status_code, early.json()["reason"]) == (404, "document_not_ready")
    await finish_export(sessions, files, export, b"data", kept_for=timedelta(hours=1))
    made = (await client.post(f"/v1/exports/{export.id}/link", headers=as_staff(settings))).json()
    assert (
        made["expires_at"]
        == (await client.get(f"/v1/exports/{export.id}", headers=as_staff(settings))).json()["expires_at"]
    )


async def test_links_of_reports_are_for_those_on_their_lists(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, files: FileStore
) -> None:
    export = await written_export(sessions, ExportReport.SALES, actor="schedule:daily-sales", format_=ExportFormat.PDF)
    await finish_export(sessions, files, export, b"%PDF-1.7")
    person = Person(email="p@example.org", full_name="P")
    tomorrow = now() + timedelta(days=1)
    token = link_token(LINK_SECRET, ExportLink(export.id, recipient(person.id)), tomorrow)
    async with sessions.begin() as session:
        session.add(person)
        await session.flush()
        session.add(ReportRecipient(report=ExportReport.FINANCE, person_id=person.id))
    assert (await client.get(f"/v1/exports/download/{token}")).status_code == 404
    async with sessions.begin() as session:
        session.add(ReportRecipient(report=ExportReport.SALES, person_id=person.id))
    got = await client.get(f"/v1/exports/download/{token}")
    assert (got.status_code, got.content, got.headers["content-type"]) == (200, b"%PDF-1.7", "application/pdf")
    assert await downloads(sessions) == [(f"recipient:{person.id}", "downloaded by link", export.id)]

    audit = await written_export(sessions, ExportReport.AUDIT, actor="admin:ada")
    await finish_export(sessions, files, audit, b"data")
    running = await written_export(sessions)
    for bad in (
        "x",
        f"{token}x",
        link_token("a-secret-of-somebody-else-of-32-bytes", ExportLink(export.id, "admin:ada"), tomorrow),
        sign_link(LINK_SECRET, "certificate", {"sub": str(export.id), "for": "admin:ada"}, tomorrow),
        sign_link(LINK_SECRET, "export", {"sub": "no id", "for": "admin:ada"}, tomorrow),
        link_token(LINK_SECRET, ExportLink(uuid4(), "admin:ada"), tomorrow),
        link_token(LINK_SECRET, ExportLink(running.id, "admin:ada"), tomorrow),
        # Whoever it was made for has a role by now that may not have it, or never was one.
        link_token(LINK_SECRET, ExportLink(audit.id, "staff:frida"), tomorrow),
        link_token(LINK_SECRET, ExportLink(audit.id, "emperor:x"), tomorrow),
        link_token(LINK_SECRET, ExportLink(export.id, recipient(uuid4())), tomorrow),
        link_token(LINK_SECRET, ExportLink(export.id, "recipient:nobody"), tomorrow),
    ):
        refused = await client.get(f"/v1/exports/download/{bad}")
        assert (refused.status_code, refused.headers["content-type"]) == (404, "text/html; charset=utf-8"), bad
    assert len(await downloads(sessions)) == 1
