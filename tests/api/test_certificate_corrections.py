"""Another name on a certificate over HTTP: slips at once, anything else with evidence and by a person."""

import asyncio
from datetime import datetime
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.certificate_corrections import WantedName, request_correction
from activities.certificates import CertificateActivities
from activities.database import Sessions
from models.messages.certificates import DecideCorrection
from models.tables import NameCorrection
from models.tables.columns import now
from models.vocabulary import Role
from routes import certificate_corrections
from rules.decision import Refused
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.certificates_on_record import (
    ReadPlace,
    certify_course,
    complete_place,
    confirm_name,
    place_of,
    write_academy,
)
from tests.api.certifying_temporal import CertifyingTemporal
from tests.api.orders_on_record import write_order, write_school
from tests.api.recording_temporal import unreachable
from tests.api.uploads import HTML, PDF, PNG


@pytest.fixture
def steps(sessions: Sessions) -> CertificateActivities:
    return CertificateActivities(sessions)


@pytest.fixture
def recorder(steps: CertificateActivities) -> CertifyingTemporal:
    return CertifyingTemporal(steps=steps)


@pytest.fixture
async def place(sessions: Sessions) -> ReadPlace:
    await write_academy(sessions)
    school = await write_school(sessions)
    await certify_course(sessions, school.course)
    place = await place_of(sessions, await write_order(sessions, school, school.anna, 1, paid=True))
    await complete_place(sessions, place)
    await confirm_name(sessions, place.student, "Lukasz Zolcinski")
    return place


@pytest.fixture
async def path(client: httpx.AsyncClient, settings: Settings, place: ReadPlace) -> str:
    """Where to ask for another name on the certificate of the place."""
    own = as_student(settings, place.student)
    [certificate] = (await client.post(f"/v1/enrollments/{place.id}/certificate", headers=own)).json()["certificates"]
    return f"/v1/certificates/{certificate['id']}/corrections"


async def ask(
    client: httpx.AsyncClient,
    path: str,
    caller: dict[str, str],
    name: str,
    file: bytes | None = None,
    *,
    key: str | None = None,
) -> httpx.Response:
    headers = {**caller, "Idempotency-Key": key or uuid4().hex}
    files: list[tuple[str, tuple[str | None, str | bytes]]] = [("name", (None, name))]
    if file is not None:
        files.append(("file", ("passport.pdf", file)))
    return await client.post(path, files=files, headers=headers)


async def wishes(sessions: Sessions) -> list[tuple[str, str]]:
    query = select(col(NameCorrection.requested_name), col(NameCorrection.status))
    async with sessions() as session:
        return [
            (name, status) for name, status in await session.execute(query.order_by(col(NameCorrection.created_at)))
        ]


async def test_a_slip_is_corrected_at_once(
    client: httpx.AsyncClient, settings: Settings, place: ReadPlace, path: str
) -> None:
    own = as_student(settings, place.student)
    first, again = [await ask(client, path, own, "Łukasz Zolcinski", key="k") for _ in range(2)]
    assert (first.status_code, first.json()["status"]) == (201, "approved")
    assert first.json() == again.json()
    assert (first.json()["needs_person"], first.json()["decided_by"]) == (False, None)
    new = (await client.get(f"/v1/certificates/{first.json()['new_certificate_id']}", headers=own)).json()
    assert (new["holder"], new["origin"], new["number"][-1]) == ("Łukasz Zolcinski", "correction", "2")
    old = (await client.get(path.removesuffix("/corrections"), headers=own)).json()
    assert (old["status"], old["successor_id"]) == ("superseded", new["id"])
    listed = (await client.get(path, headers=own)).json()
    assert [each["new_certificate_id"] for each in listed["items"]] == [new["id"]]
    code = old["verify_url"].rpartition("/")[2]
    page = await client.get(f"/verify/{code}", headers={"Accept": "application/json"})
    assert (page.json()["validity"], page.json()["superseded_by"]) == ("superseded", new["verify_url"])
    late = await ask(client, path, own, "Łukasz Zolciński")
    assert (late.status_code, late.json()["reason"]) == (409, "certificate_not_issued")


async def test_another_surname_needs_evidence_and_a_person(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, steps: CertificateActivities, place: ReadPlace,
    path: str,
) -> None:  # fmt: skip
    own, staff = as_student(settings, place.student), as_staff(settings)
    bare = await ask(client, path, own, "Lukasz Nowak")
    assert (bare.status_code, bare.json()["reason"]) == (422, "evidence_required")
    for content in (HTML, b""):
        useless = await ask(client, path, own, "Lukasz Nowak", content)
        assert (useless.status_code, useless.json()["reason"]) == (415, "unsupported_file")
    assert await wishes(sessions) == []
    first, again = [await ask(client, path, own, "Lukasz Nowak", PDF, key="k") for _ in range(2)]
    assert (first.status_code, first.json()["status"], first.json()["needs_person"]) == (202, "requested", True)
    assert first.json() == again.json()
    for name, file in (("Lukasz Nowicki", PDF), ("Lukasz Nowak", PNG), ("Lukasz Nowak", None)):
        reused = await ask(client, path, own, name, file, key="k")
        assert (reused.status_code, reused.json()["reason"]) == (422, "idempotency_key_reused"), name
    other = await ask(client, path, own, "Lukas Zolcinski")
    assert (other.status_code, other.json()["reason"]) == (409, "correction_in_progress")
    evidence = f"{path}/{first.json()['id']}/evidence"
    shown = await client.get(evidence, headers=staff)
    assert (shown.status_code, shown.content, shown.headers["content-type"]) == (200, PDF, "application/pdf")
    assert shown.headers["content-disposition"] == 'attachment; filename="evidence.pdf"'
    assert (await client.get(evidence, headers=own)).json()["reason"] == "role_not_allowed"
    assert (await client.get(f"{path}/{uuid4()}/evidence", headers=staff)).status_code == 404
    decision = DecideCorrection(
        correction_id=UUID(first.json()["id"]), is_approved=True, actor="staff:frida", moment=now(), workflow_id="w"
    )
    await steps.decide_correction(decision)
    [decided] = (await client.get(path, headers=staff)).json()["items"]
    assert (decided["status"], decided["decided_by"]) == ("approved", "staff:frida")
    assert decided["requested_by"] == f"student:{place.student}"
    [seen] = (await client.get(path, headers=own)).json()["items"]
    assert (seen["decided_by"], seen["requested_by"]) == (None, None)
    new = (await client.get(f"/v1/certificates/{decided['new_certificate_id']}", headers=own)).json()
    assert new["holder"] == "Lukasz Nowak"


async def test_of_two_at_once_with_one_key_the_first_keeps_its_evidence(
    client: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch, place: ReadPlace, path: str
) -> None:
    own, staff = as_student(settings, place.student), as_staff(settings)
    both_have_looked = asyncio.Barrier(2)

    async def together(session: AsyncSession, wanted: WantedName, moment: datetime) -> NameCorrection | Refused:
        await both_have_looked.wait()
        return await request_correction(session, wanted, moment)

    monkeypatch.setattr(certificate_corrections, "request_correction", together)
    files = {"Lukasz Nowak": PDF, "Lukasz Nowicki": PDF[:-6] + b" " + PDF[-6:]}
    answers = await asyncio.gather(*(ask(client, path, own, *wish, key="k") for wish in files.items()))
    assert sorted(answer.status_code for answer in answers) == [202, 422]
    [refused] = [answer for answer in answers if answer.status_code == 422]
    assert refused.json()["reason"] == "idempotency_key_reused"
    [wish] = (await client.get(path, headers=staff)).json()["items"]
    shown = await client.get(f"{path}/{wish['id']}/evidence", headers=staff)
    assert (shown.status_code, shown.content) == (200, files[wish["requested_name"]])


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("Lukasz Zolcinski", 409, "name_unchanged"),
        ("1234", 422, "name_invalid"),
        ("", 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_wished_for(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, place: ReadPlace, path: str, name: str,
    status: int, reason: str,
) -> None:  # fmt: skip
    refused = await ask(client, path, as_student(settings, place.student), name)
    assert (refused.status_code, refused.json()["reason"]) == (status, reason)
    assert await wishes(sessions) == []


async def test_nobody_else_asks(client: httpx.AsyncClient, settings: Settings, sessions: Sessions, path: str) -> None:
    for headers in (as_student(settings, uuid4()), as_(settings, uuid4(), Role.TUTOR)):
        assert (await ask(client, path, headers, "Łukasz Zolcinski")).status_code == 404
    assert await wishes(sessions) == []
    assert (await ask(client, path, as_staff(settings), "Łukasz Zolcinski")).status_code == 201


@pytest.mark.parametrize("key", ["k", "another"])
async def test_a_wish_that_no_worker_heard_of_is_repeated(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, recorder: CertifyingTemporal, place: ReadPlace,
    path: str, key: str,
) -> None:  # fmt: skip
    own = as_student(settings, place.student)
    recorder.failure = unreachable()
    away = await ask(client, path, own, "Łukasz Zolcinski", key="k")
    assert (away.status_code, away.json()["reason"]) == (503, "unavailable")
    assert await wishes(sessions) == [("Łukasz Zolcinski", "requested")]
    recorder.failure = None
    assert (await ask(client, path, own, "Łukasz Zolcinski", key=key)).json()["status"] == "approved"
    assert await wishes(sessions) == [("Łukasz Zolcinski", "approved")]


async def test_a_file_may_have_ten_megabytes(
    client: httpx.AsyncClient, settings: Settings, place: ReadPlace, path: str
) -> None:
    large = PDF[:-6] + b" " * 10_000_000 + PDF[-6:]
    refused = await ask(client, path, as_student(settings, place.student), "Lukasz Nowak", large)
    assert (refused.status_code, refused.json()["reason"]) == (413, "payload_too_large")
