"""Certificates for many learners over HTTP: tried out, begun once for a key, watched, canceled, and their workbook."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from activities import certificate_eligibility
from activities.certificate_batches import CertificateBatchActivities
from activities.database import Sessions
from activities.files import FileStore
from models.messages.certificates import BatchRequest, EndBatch
from models.tables.columns import now
from models.vocabulary import Role
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
from tests.api.orders_on_record import School, write_order, write_school
from tests.api.recording_temporal import not_found

Json = dict[str, Any]


@pytest.fixture
def batches(sessions: Sessions, settings: Settings) -> CertificateBatchActivities:
    return CertificateBatchActivities(sessions, FileStore(settings.files_url))


@pytest.fixture
def recorder(batches: CertificateBatchActivities) -> CertifyingTemporal:
    return CertifyingTemporal(batches=batches)


@pytest.fixture
async def school(sessions: Sessions) -> School:
    await write_academy(sessions)
    school = await write_school(sessions)
    await certify_course(sessions, school.course)
    return school


@pytest.fixture
async def places(sessions: Sessions, school: School) -> list[ReadPlace]:
    """Three learners: one can be certified, one has no confirmed name, one has not completed the course."""
    places = [
        await place_of(sessions, await write_order(sessions, school, school.anna, number, paid=True))
        for number in (1, 2, 3)
    ]
    for place in places[:2]:
        await complete_place(sessions, place)
    await confirm_name(sessions, places[0].student)
    return places


async def run(
    client: httpx.AsyncClient, settings: Settings, course: UUID, body: Json | None = None, *, key: str | None = None,
    **query: str,
) -> httpx.Response:  # fmt: skip
    headers = {**as_staff(settings), "Idempotency-Key": key or uuid4().hex}
    return await client.post(f"/v1/courses/{course}/certificates", json=body or {}, params=query, headers=headers)


async def test_a_dry_run_counts_and_writes_nothing(
    client: httpx.AsyncClient, settings: Settings, school: School, places: list[ReadPlace], recorder: CertifyingTemporal
) -> None:
    tried = await run(client, settings, school.course, dry_run="true")
    assert (tried.status_code, tried.json()) == (
        200,
        {
            "total": 3,
            "outcomes": {"issued": 1, "waiting": 1, "not_eligible": 1},
            "grounds": {"not_completed": 1, "name_unconfirmed": 2},
        },
    )
    one = await run(client, settings, school.course, {"enrollment_ids": [str(places[0].id)]}, dry_run="true")
    assert one.json()["outcomes"] == {"issued": 1}
    path, staff = f"/v1/courses/{school.course}/certificates", as_staff(settings)
    keyless = await client.post(path, json={}, params={"dry_run": "true"}, headers=staff)
    assert keyless.json() == tried.json()
    missing = await client.post(path, json={}, headers=staff)
    assert (missing.status_code, missing.json()["reason"]) == (400, "idempotency_key_missing")
    assert recorder.started == []
    runs = await client.get("/v1/certificate-batches", headers=as_staff(settings))
    assert runs.json()["total"] == 0


async def test_a_run_is_begun_once_for_a_key(
    client: httpx.AsyncClient, settings: Settings, school: School, places: list[ReadPlace],
    batches: CertificateBatchActivities, recorder: CertifyingTemporal,
) -> None:  # fmt: skip
    first = await run(client, settings, school.course, key="k")
    assert first.status_code == 202, first.text
    batch = first.json()
    assert (batch["status"], batch["total"], batch["done"]) == ("running", 3, 0)
    assert first.headers["location"] == f"/v1/certificate-batches/{batch['id']}"
    assert (await run(client, settings, school.course, key="k")).json() == batch
    for course, body in (
        (school.pack, {}),
        (school.course, {"enrollment_ids": [str(places[0].id)]}),
        (school.course, {"enrolled_from": "2026-01-01T00:00:00Z"}),
    ):
        other = await run(client, settings, course, body, key="k")
        assert (other.status_code, other.json()["reason"]) == (422, "idempotency_key_reused"), body
    path, staff = first.headers["location"], as_staff(settings)
    early = await client.get(f"{path}/result.xlsx", headers=staff)
    assert (early.status_code, early.json()["reason"]) == (404, "document_not_ready")
    canceled = await client.post(f"{path}/cancel", headers=staff)
    assert canceled.status_code == 202
    assert recorder.signals == [(f"certificate-batch-{batch['id']}", "cancel")]
    await batches.end_batch(EndBatch(batch_id=UUID(batch["id"]), is_canceled=True, workflow_id="w"))
    over = (await client.get(path, headers=staff)).json()
    assert (over["status"], over["has_result"]) == ("canceled", True)
    book = await client.get(f"{path}/result.xlsx", headers=staff)
    assert (book.status_code, book.content[:2]) == (200, b"PK")
    assert book.headers["content-disposition"].endswith('.xlsx"')
    late = await client.post(f"{path}/cancel", headers=staff)
    assert (late.status_code, late.json()["reason"]) == (409, "batch_not_running")
    started = len(recorder.started)
    assert (await run(client, settings, school.course, key="k")).json()["status"] == "canceled"
    other = await run(client, settings, school.course, {"enrollment_ids": [str(places[0].id)]}, key="k")
    assert other.json()["reason"] == "idempotency_key_reused"
    assert len(recorder.started) == started
    for narrowed, total in (({"status": "canceled"}, 1), ({"status": "done"}, 0), ({"course_id": str(uuid4())}, 0)):
        listed = await client.get("/v1/certificate-batches", params=narrowed, headers=staff)
        assert listed.json()["total"] == total


async def test_a_run_that_has_lost_its_workflow_can_be_canceled(
    client: httpx.AsyncClient, settings: Settings, school: School, places: list[ReadPlace], recorder: CertifyingTemporal
) -> None:
    batch = (await run(client, settings, school.course)).json()
    recorder.failure = not_found()
    canceled = await client.post(f"/v1/certificate-batches/{batch['id']}/cancel", headers=as_staff(settings))
    assert canceled.status_code == 202, canceled.text
    assert recorder.started_with == {f"certificate-batch-{batch['id']}": "cancel"}
    _, request = recorder.started[-1]
    assert isinstance(request, BatchRequest)
    assert (request.batch_id, request.course_id) == (UUID(batch["id"]), school.course)


@pytest.mark.parametrize("dry_run", ["true", "false"])
async def test_what_is_no_run_is_none_when_it_is_tried_out(
    client: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch, school: School,
    places: list[ReadPlace], recorder: CertifyingTemporal, dry_run: str,
) -> None:  # fmt: skip
    assert (await run(client, settings, uuid4(), dry_run=dry_run)).json()["reason"] == "not_found"
    later = {"enrolled_from": (now() + timedelta(days=1)).isoformat()}
    nobody = await run(client, settings, school.course, later, dry_run=dry_run)
    assert (nobody.status_code, nobody.json()["reason"]) == (422, "invalid_request")
    listed = {"enrollment_ids": [str(uuid4()), str(places[0].id)]}
    stranger = await run(client, settings, school.course, listed, dry_run=dry_run)
    assert (stranger.status_code, stranger.json()["reason"]) == (404, "not_found")
    monkeypatch.setattr(certificate_eligibility, "MAX_LEARNERS", 2)
    many = await run(client, settings, school.course, dry_run=dry_run)
    assert (many.status_code, many.json()["reason"]) == (422, "invalid_request")
    runs = await client.get("/v1/certificate-batches", headers=as_staff(settings))
    assert runs.json()["total"] == 0
    assert (await client.get(f"/v1/certificate-batches/{uuid4()}", headers=as_staff(settings))).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"enrollment_ids": [str(UUID(int=1))], "enrolled_from": "2026-01-01T00:00:00Z"},
        {"enrolled_from": "2026-01-01T00:00:00Z", "enrolled_until": "2026-01-01T00:00:00Z"},
        {"enrolled_from": "2026-01-01T00:00:00"},
        {"enrollment_ids": [str(UUID(int=1))] * 10_001},
        {"learners": []},
    ],
    ids=["list and span", "empty span", "no zone", "too many", "unknown field"],
)
async def test_whom_it_is_for_is_said_in_one_way(
    client: httpx.AsyncClient, settings: Settings, school: School, body: Json
) -> None:
    refused = await run(client, settings, school.course, body)
    assert (refused.status_code, refused.json()["reason"]) == (422, "invalid_request")


async def test_ten_thousand_ids_fit_into_a_request(
    client: httpx.AsyncClient, settings: Settings, school: School, recorder: CertifyingTemporal
) -> None:
    ids = [str(uuid4()) for _ in range(10_000)]
    answer = await run(client, settings, school.course, {"enrollment_ids": ids}, dry_run="true")
    assert (answer.status_code, answer.json()["detail"]) == (404, "10000 of the enrollments are not of this course.")


async def test_runs_are_for_staff(
    client: httpx.AsyncClient, settings: Settings, school: School, places: list[ReadPlace], tmp_path: Path
) -> None:
    batch = (await run(client, settings, school.course)).headers["location"]
    for headers in (as_student(settings, places[0].student), as_(settings, school.tutor, Role.TUTOR)):
        keyed = {**headers, "Idempotency-Key": "k"}
        answers = [
            await client.post(f"/v1/courses/{school.course}/certificates", json={}, headers=keyed),
            *[await client.get(where, headers=headers) for where in ("/v1/certificate-batches", batch)],
            await client.get(f"{batch}/result.xlsx", headers=headers),
            await client.post(f"{batch}/cancel", headers=headers),
        ]
        assert {answer.json()["reason"] for answer in answers} == {"role_not_allowed"}
