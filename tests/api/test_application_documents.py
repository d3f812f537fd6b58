"""What applicants show, over HTTP with real files: taken by content, kept by reference, served to few."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update
from sqlmodel import col

from activities.database import Sessions
from activities.files import FileStore, FileStoreAwayError
from models.tables import ApplicationDocument, AuditEntry, TutorApplication
from models.tables.columns import now
from models.vocabulary import ApplicationStatus, Role, TaskAction
from routes.uploads import MAX_FILE_BYTES
from settings import Settings
from tests.api.applications_on_record import Staffroom, write_application, write_decision, write_staffroom
from tests.api.callers import as_, as_student
from tests.api.uploads import BAD, GOOD, JPEG, PDF, PNG

CERTIFICATION = {"kind": "certification", "subject": "spanish"}
IDENTITY = {"kind": "identity"}
VIDEO = {"kind": "video", "link": "https://video.example/watch?v=1"}


@pytest.fixture
async def room(sessions: Sessions) -> Staffroom:
    return await write_staffroom(sessions)


@pytest.fixture
async def draft(sessions: Sessions, room: Staffroom) -> UUID:
    """Anna's draft."""
    return await write_application(sessions, room.anna, subjects=("spanish",))


@pytest.fixture
def anna(settings: Settings, room: Staffroom) -> dict[str, str]:
    return as_student(settings, room.anna)


def path_of(application_id: UUID) -> str:
    return f"/v1/tutor-applications/{application_id}/documents"


async def upload(
    client: httpx.AsyncClient,
    application_id: UUID,
    headers: dict[str, str],
    data: bytes | None = PDF,
    fields: dict[str, str] = IDENTITY,
    name: str = "passport.pdf",
) -> httpx.Response:
    files = {} if data is None else {"file": (name, data, "text/html")}
    if data is None:  # httpx makes it multipart only where there is a file
        files = {key: (None, value) for key, value in fields.items()}  # type: ignore[misc]
        fields = {}
    return await client.post(path_of(application_id), headers=headers, data=fields, files=files)


def stored_files(tmp_path: Path) -> list[Path]:
    return [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]


def stored(tmp_path: Path) -> list[bytes]:
    return [path.read_bytes() for path in stored_files(tmp_path)]


async def rows(sessions: Sessions) -> list[ApplicationDocument]:
    async with sessions() as session:
        query = select(ApplicationDocument).order_by(col(ApplicationDocument.created_at))
        return list((await session.execute(query)).scalars())


@pytest.mark.parametrize("media_type", GOOD)
async def test_a_file_is_what_its_content_is_and_comes_back_as_it_was(
    client: httpx.AsyncClient, anna: dict[str, str], draft: UUID, sessions: Sessions, media_type: str
) -> None:
    data = GOOD[media_type]
    answer = await upload(client, draft, anna, data, name="C:\\dir\\Zeug\u202egnp.html")
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["media_type"], body["size"], body["sha256"]) == (media_type, len(data), sha256(data).hexdigest())
    assert (body["file_name"], body["version"], body["first_version_id"]) == ("Zeuggnp.html", 1, body["id"])
    [row] = await rows(sessions)
    assert row.file_key == f"tutor-applications/{draft}/{row.id}"
    file = await client.get(answer.headers["Location"], headers=anna)
    assert (file.content, file.headers["Content-Type"]) == (data, media_type)
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    disposition = file.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename*=UTF-8''Zeuggnp.html.")
    again = await client.get(answer.headers["Location"], headers={**anna, "If-None-Match": file.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_document_is_not_stored(
    client: httpx.AsyncClient, anna: dict[str, str], draft: UUID, sessions: Sessions, tmp_path: Path, name: str
) -> None:
    answer = await upload(client, draft, anna, BAD[name])
    assert (answer.status_code, answer.json()["reason"]) == (415, "unsupported_file")
    assert (await rows(sessions), stored(tmp_path)) == ([], [])


async def test_ten_megabytes_are_taken_here_and_nowhere_else(
    client: httpx.AsyncClient, anna: dict[str, str], draft: UUID, sessions: Sessions, tmp_path: Path
) -> None:
    largest = PDF[:20] + b"\x00" * (MAX_FILE_BYTES - len(PDF)) + PDF[20:]
    assert (await upload(client, draft, anna, largest)).status_code == 201
    for data in (largest + b"\n", largest * 2):
        answer = await upload(client, draft, anna, data)
        assert (answer.status_code, answer.json()["reason"]) == (413, "payload_too_large")
        assert "10" in answer.json()["detail"]

    async def endless() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(120):
            yield b" " * 100_000

    headers = {**anna, "Content-Type": "multipart/form-data; boundary=x"}
    answer = await client.post(path_of(draft), headers=headers, content=endless())
    assert (answer.status_code, answer.json()["reason"]) == (413, "payload_too_large")
    for elsewhere in (f"{path_of(draft)}/{uuid4()}/verdict", f"/v1/tutor-applications/{draft}/answer"):
        answer = await client.post(elsewhere, headers=headers, content=b" " * 1_000_001)
        assert answer.json()["reason"] == "payload_too_large"
    assert (len(await rows(sessions)), len(stored(tmp_path))) == (1, 1)


async def test_what_does_not_belong_together_is_refused(
    client: httpx.AsyncClient, anna: dict[str, str], draft: UUID, sessions: Sessions, tmp_path: Path
) -> None:
    yesterday = (now() - timedelta(days=2)).date().isoformat()
    for data, fields, reason in (
        (None, IDENTITY, "invalid_request"),
        (PDF, VIDEO, "invalid_request"),
        (None, {"kind": "video", "link": "http://video.example/1"}, "invalid_request"),
        (None, {"kind": "video", "link": "https://user@video.example/1"}, "invalid_request"),
        (None, {"kind": "video", "link": "javascript:alert(1)"}, "invalid_request"),
        (None, {**VIDEO, "expires_on": "2099-01-01"}, "invalid_request"),
        (PDF, {**IDENTITY, "subject": "spanish"}, "invalid_request"),
        (PDF, {**IDENTITY, "expires_on": yesterday}, "invalid_request"),
        (PDF, {**IDENTITY, "expires_on": "soon"}, "invalid_request"),
        (PDF, {**IDENTITY, "verdict": "accepted"}, "invalid_request"),
        (PDF, {"kind": "diploma"}, "invalid_request"),
        (PDF, {"kind": "certification", "subject": "juggling"}, "unknown_subject"),
        (PDF, {"kind": "certification", "subject": "a" * 65}, "invalid_request"),
        (PDF, {**IDENTITY, "replaces": str(uuid4())}, "not_found"),
    ):
        answer = await upload(client, draft, anna, data, fields)
        assert answer.json()["reason"] == reason, fields
        assert "juggling" not in answer.text
    assert (await rows(sessions), stored(tmp_path)) == ([], [])
    headers = {**anna, "Content-Type": "multipart/form-data; boundary=x"}
    for content in (b"--x\r\n", b"nothing"):
        assert (await client.post(path_of(draft), headers=headers, content=content)).status_code == 422


async def test_the_same_again_is_the_same_also_at_once(
    client: httpx.AsyncClient, anna: dict[str, str], draft: UUID, sessions: Sessions, tmp_path: Path
) -> None:
    answers = await asyncio.gather(*(upload(client, draft, anna, PDF, CERTIFICATION) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    videos = [await upload(client, draft, anna, None, VIDEO) for _ in range(2)]
    assert [answer.status_code for answer in videos] == [201, 200]
    assert videos[0].json()["link"] == VIDEO["link"]
    assert (len(await rows(sessions)), stored(tmp_path)) == (2, [PDF])
    # For another purpose it is another document.
    assert (await upload(client, draft, anna, PDF, {"kind": "certification"})).status_code == 201
    async with sessions() as session:
        kinds = (await session.execute(select(col(AuditEntry.subject_kind)))).scalars().all()
    assert kinds == ["application_document"] * 3


async def test_a_newer_version_takes_the_place_of_the_one_before(
    client: httpx.AsyncClient, anna: dict[str, str], draft: UUID, sessions: Sessions, tmp_path: Path
) -> None:
    first = (await upload(client, draft, anna, PDF)).json()
    replacing = {**IDENTITY, "replaces": first["id"]}
    second = await upload(client, draft, anna, PNG, replacing)
    assert (second.status_code, second.json()["version"]) == (201, 2)
    assert second.json()["first_version_id"] == first["id"]
    repeated = await upload(client, draft, anna, PNG, replacing)
    assert (repeated.status_code, repeated.json()["id"]) == (200, second.json()["id"])
    assert (await upload(client, draft, anna, JPEG, replacing)).json()["reason"] == "not_found"
    other_kind = {"kind": "certification", "replaces": second.json()["id"]}
    assert (await upload(client, draft, anna, JPEG, other_kind)).json()["reason"] == "not_found"
    # The same picture with its last day corrected.
    third = await upload(client, draft, anna, PNG, {**IDENTITY, "expires_on": "2099-01-01"})
    assert (third.status_code, third.json()["version"]) == (201, 3)
    seen = (await client.get(f"/v1/tutor-applications/{draft}", headers=anna)).json()
    assert [document["id"] for document in seen["documents"]] == [third.json()["id"]]
    # Nobody has seen the others.
    assert stored(tmp_path) == [PNG]
    assert [row.file_key is None for row in await rows(sessions)] == [True, True, False]


async def test_what_was_handed_in_stays_with_its_decisions_and_what_was_not_is_erased(
    client: httpx.AsyncClient,
    anna: dict[str, str],
    draft: UUID,
    settings: Settings,
    sessions: Sessions,
    room: Staffroom,
    tmp_path: Path,
) -> None:
    async def removed(document: dict[str, Any]) -> int:
        return (await client.delete(f"{path_of(draft)}/{document['id']}", headers=anna)).status_code

    document = (await upload(client, draft, anna)).json()
    assert [await removed(document) for _ in range(2)] == [204, 404]
    assert stored(tmp_path) == []
    kept = (await upload(client, draft, anna)).json()
    async with sessions.begin() as session:
        await session.execute(
            update(TutorApplication).values(submitted_at=now(), status="info_requested", info_due_at=now())
        )
    await write_decision(sessions, draft, TaskAction.REQUEST_INFO, "staff:rosa")
    assert await removed(kept) == 204
    assert stored(tmp_path) == [PDF]
    # What is exchanged before anybody looks again is kept by nobody.
    hasty = (await upload(client, draft, anna, PNG)).json()
    better = (await upload(client, draft, anna, JPEG, {**IDENTITY, "replaces": hasty["id"]})).json()
    assert sorted(stored(tmp_path)) == [PDF, JPEG]
    assert await removed(better) == 204
    assert stored(tmp_path) == [PDF]
    rosa = as_(settings, room.rosa, Role.STAFF)
    shown = (await client.get(f"/v1/tutor-applications/{draft}", headers=rosa)).json()["documents"]
    assert [document["id"] for document in shown] == [kept["id"]]
    for document, status in ((kept, 200), (hasty, 404), (better, 404)):
        assert (await client.get(f"{path_of(draft)}/{document['id']}/file", headers=rosa)).status_code == status
    assert (await client.get(f"/v1/tutor-applications/{draft}", headers=anna)).json()["documents"] == []


async def test_files_are_for_the_applicant_and_reviewers(
    client: httpx.AsyncClient,
    anna: dict[str, str],
    draft: UUID,
    settings: Settings,
    sessions: Sessions,
    room: Staffroom,
    tmp_path: Path,
) -> None:
    document = (await upload(client, draft, anna)).json()
    path = f"{path_of(draft)}/{document['id']}"
    rosa = as_(settings, room.rosa, Role.STAFF)
    strangers = [
        as_student(settings, room.boris),
        as_(settings, room.otto, Role.STAFF),
        as_(settings, "x", Role.SERVICE),
    ]
    for caller in (rosa, *strangers):
        assert (await client.get(f"{path}/file", headers=caller)).status_code == 404
        assert (await upload(client, draft, caller)).status_code in {403, 404}
        assert (await client.delete(path, headers=caller)).status_code in {403, 404}
    async with sessions.begin() as session:
        await session.execute(update(TutorApplication).values(submitted_at=now(), status=ApplicationStatus.IN_REVIEW))
    assert (await client.get(f"{path}/file", headers=rosa)).content == PDF
    for caller in strangers:
        assert (await client.get(f"{path}/file", headers=caller)).status_code == 404
    for refused in (await upload(client, draft, anna, PNG), await client.delete(path, headers=anna)):
        assert (refused.status_code, refused.json()["reason"]) == (409, "application_not_editable")
    elsewhere = await write_application(sessions, room.boris, ApplicationStatus.IN_REVIEW)
    assert (await client.get(f"{path_of(elsewhere)}/{document['id']}/file", headers=rosa)).status_code == 404
    [file] = stored_files(tmp_path)
    file.write_bytes(PDF + b"changed")
    assert (await client.get(f"{path}/file", headers=rosa)).json()["reason"] == "internal"
    file.unlink()
    assert (await client.get(f"{path}/file", headers=rosa)).json()["reason"] == "not_found"


async def test_an_application_that_is_handed_in_meanwhile_keeps_no_file_without_a_row(
    client: httpx.AsyncClient,
    anna: dict[str, str],
    draft: UUID,
    sessions: Sessions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from routes import application_documents  # noqa: PLC0415 - what is watched

    looked_at = application_documents._require_editable

    async def handed_in_after_the_look(*arguments: Any) -> None:
        await looked_at(*arguments)
        async with sessions.begin() as session:
            await session.execute(
                update(TutorApplication).values(submitted_at=now(), status=ApplicationStatus.SUBMITTED)
            )

    monkeypatch.setattr(application_documents, "_require_editable", handed_in_after_the_look)
    answer = await upload(client, draft, anna)
    assert (answer.status_code, answer.json()["reason"]) == (409, "application_not_editable")
    assert (await rows(sessions), stored(tmp_path)) == ([], [])


async def test_there_is_an_end_to_documents(
    client: httpx.AsyncClient, anna: dict[str, str], draft: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.application_documents.MAX_DOCUMENTS", 2)
    first = (await upload(client, draft, anna)).json()
    assert (await upload(client, draft, anna, None, VIDEO)).status_code == 201
    answer = await upload(client, draft, anna, PNG)
    assert (answer.status_code, answer.json()["reason"]) == (409, "too_many_documents")
    assert (await upload(client, draft, anna, PNG, {**IDENTITY, "replaces": first["id"]})).status_code == 201


async def test_there_is_an_end_to_versions(
    client: httpx.AsyncClient, anna: dict[str, str], draft: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.application_documents.MAX_VERSIONS", 3)
    document = (await upload(client, draft, anna)).json()
    for data in (PNG, JPEG):
        document = (await upload(client, draft, anna, data, {**IDENTITY, "replaces": document["id"]})).json()
    for fields in ({**IDENTITY, "replaces": document["id"]}, CERTIFICATION):
        answer = await upload(client, draft, anna, PDF, fields)
        assert (answer.status_code, answer.json()["reason"]) == (409, "too_many_documents")
    assert (await upload(client, draft, anna, JPEG)).status_code == 200  # what is there already
    assert stored(tmp_path) == [JPEG]


@pytest.mark.parametrize("again", ["delete", "upload"])
async def test_what_is_taken_away_is_gone_for_others_at_once_and_the_repeat_erases_it(
    client: httpx.AsyncClient,
    anna: dict[str, str],
    draft: UUID,
    settings: Settings,
    sessions: Sessions,
    room: Staffroom,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    again: str,
) -> None:
    async def away(*_arguments: object) -> None:
        raise FileStoreAwayError

    document = (await upload(client, draft, anna)).json()
    path, rosa = f"{path_of(draft)}/{document['id']}", as_(settings, room.rosa, Role.STAFF)
    with monkeypatch.context() as cut_off:
        cut_off.setattr(FileStore, "delete", away)
        answer = await client.delete(path, headers=anna)
        assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
    assert stored(tmp_path) == [PDF]
    async with sessions.begin() as session:
        await session.execute(update(TutorApplication).values(submitted_at=now(), status="in_review"))
    await write_decision(sessions, draft, TaskAction.REQUEST_INFO, "staff:rosa")
    assert (await client.get(f"{path}/file", headers=rosa)).status_code == 404
    shown = (await client.get(f"/v1/tutor-applications/{draft}", headers=rosa)).json()
    assert shown["documents"] == []

    async with sessions.begin() as session:
        await session.execute(update(TutorApplication).values(status="info_requested", info_due_at=now()))
    if again == "delete":
        assert [(await client.delete(path, headers=anna)).status_code for _ in range(2)] == [204, 404]
        assert stored(tmp_path) == []
    else:
        assert (await upload(client, draft, anna, PNG)).status_code == 201
        assert stored(tmp_path) == [PNG]
    gone = (await rows(sessions))[0]
    assert (gone.file_key, gone.file_name) == (None, None)
