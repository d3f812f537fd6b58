"""Who sees which certificates and their files: their holders and staff, or whoever holds the link of the mail."""

from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from activities.cart_links import recovery_token
from activities.certificate_documents import certificate_key
from activities.certificate_links import VALID_FOR, download_token
from activities.database import Sessions
from activities.files import FileStore
from models.tables.columns import now
from models.vocabulary import CertificateStatus, RevocationReason, Role
from routes.parts import Parts
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.certificates_on_record import (
    CODE,
    FILE,
    ReadPlace,
    place_of,
    write_academy,
    write_certificate,
)
from tests.api.orders_on_record import School, write_order, write_school

NEWER = "01J9Z3V6T1Q8N4W2X7C5B0KDMJ"
SECRET = "a-secret-that-signs-links-of-thirty-two"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"link_secret": SecretStr(SECRET)})


@pytest.fixture
async def school(sessions: Sessions) -> School:
    await write_academy(sessions)
    return await write_school(sessions)


@pytest.fixture
async def order_id(sessions: Sessions, school: School) -> UUID:
    return await write_order(sessions, school, school.anna, 1, paid=True)


@pytest.fixture
async def place(sessions: Sessions, order_id: UUID) -> ReadPlace:
    return await place_of(sessions, order_id)


async def stored(settings: Settings, certificate_id: UUID) -> None:
    await FileStore(settings.files_url).put(certificate_key(certificate_id), FILE, "application/pdf")


async def test_its_holder_and_staff_read_a_certificate_and_nobody_else(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, order_id: UUID, place: ReadPlace, school: School
) -> None:
    certificate_id = await write_certificate(sessions, order_id)
    path = f"/v1/certificates/{certificate_id}"
    own = (await client.get(path, headers=as_student(settings, place.student))).json()
    assert (own["number"], own["holder"], own["course"]) == ("CERT-2026-000001", "Anna Ó Briain", "Course")
    assert (own["enrollment_id"], own["student_id"]) == (str(place.id), str(place.student))
    assert own["verify_url"].endswith(f"/verify/{CODE}")
    assert own["notes"] is None
    assert (await client.get(path, headers=as_staff(settings))).json()["notes"] == []
    # Who pays for the course, teaches it or is anybody else sees nothing.
    for who, role in ((school.anna, Role.STUDENT), (school.tutor, Role.TUTOR), (uuid4(), Role.STUDENT)):
        for address in (path, f"{path}.pdf", f"{path}/corrections"):
            hidden = await client.get(address, headers=as_(settings, who, role))
            assert (hidden.status_code, hidden.json()["reason"]) == (404, "not_found"), address
        assert (await client.get("/v1/certificates", headers=as_(settings, who, role))).json()["total"] == 0


async def test_lists_are_narrowed_sorted_and_leave_out_what_the_platform_wrote(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, order_id: UUID, place: ReadPlace
) -> None:
    first = await write_certificate(sessions, order_id, status=CertificateStatus.SUPERSEDED)
    second = await write_certificate(
        sessions, order_id, code=NEWER, number="CERT-2026-000002", predecessor_id=first, issued_at=now()
    )
    staff = as_staff(settings)
    listed = (await client.get("/v1/certificates", headers=staff)).json()["items"]
    assert [(each["id"], each["successor_id"]) for each in listed] == [(str(second), None), (str(first), str(second))]
    narrowed = {
        "status": "superseded",
        "number": "CERT-2026-000001",
        "enrollment_id": str(place.id),
        "student_id": str(place.student),
        "course_id": str(place.course),
        "origin": "completion",
    }
    one = (await client.get("/v1/certificates", params=narrowed, headers=staff)).json()
    assert [each["id"] for each in one["items"]] == [str(first)]
    assert one["total"] == 1
    for name in ("enrollment_id", "student_id", "course_id"):
        nothing = await client.get("/v1/certificates", params={name: str(uuid4())}, headers=staff)
        assert nothing.json()["total"] == 0, name
    for number in ("a\x00b", "x" * 41):
        refused = await client.get("/v1/certificates", params={"number": number}, headers=staff)
        assert (refused.status_code, refused.json()["reason"]) == (422, "invalid_request")
    by_number = await client.get("/v1/certificates", params={"sort": "number"}, headers=staff)
    assert [each["id"] for each in by_number.json()["items"]] == [str(first), str(second)]


async def test_the_file_is_the_one_that_was_issued(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, order_id: UUID, place: ReadPlace
) -> None:
    certificate_id = await write_certificate(sessions, order_id)
    path, own = f"/v1/certificates/{certificate_id}.pdf", as_student(settings, place.student)
    early = await client.get(path, headers=own)
    assert (early.status_code, early.json()["reason"]) == (404, "document_not_ready")
    await stored(settings, certificate_id)
    found = await client.get(path, headers=own)
    assert (found.status_code, found.content) == (200, FILE)
    assert found.headers["content-type"] == "application/pdf"
    assert found.headers["content-disposition"] == 'inline; filename="CERT-2026-000001.pdf"'
    again = await client.get(path, headers={**own, "If-None-Match": found.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("status", "more"),
    [
        (CertificateStatus.REVOKED, {"revoked_at": now(), "revocation_reason": RevocationReason.OTHER}),
        (CertificateStatus.SUPERSEDED, {}),
    ],
)
async def test_what_does_not_count_any_more_is_for_staff_alone(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, order_id: UUID, place: ReadPlace,
    status: CertificateStatus, more: dict[str, object],
) -> None:  # fmt: skip
    certificate_id = await write_certificate(sessions, order_id, status=status, **more)
    await stored(settings, certificate_id)
    path = f"/v1/certificates/{certificate_id}.pdf"
    refused = await client.get(path, headers=as_student(settings, place.student))
    assert (refused.status_code, refused.json()["reason"]) == (409, "certificate_not_issued")
    assert (await client.get(path, headers=as_staff(settings))).content == FILE
    token = download_token(SECRET, certificate_id, now())
    link = await client.get(f"/v1/certificates/download/{token}")
    assert (link.status_code, link.headers["location"]) == (303, f"http://127.0.0.1:8000/verify/{CODE}")


async def test_one_that_has_expired_stays_its_holders(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, order_id: UUID, place: ReadPlace
) -> None:
    over = now() - timedelta(days=1)
    certificate_id = await write_certificate(sessions, order_id, status=CertificateStatus.EXPIRED, expires_at=over)
    await stored(settings, certificate_id)
    own = as_student(settings, place.student)
    assert (await client.get(f"/v1/certificates/{certificate_id}.pdf", headers=own)).content == FILE


async def test_the_link_of_the_mail_needs_no_login_and_ends_after_a_month(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, order_id: UUID
) -> None:
    certificate_id = await write_certificate(sessions, order_id)
    token = download_token(SECRET, certificate_id, now())
    assert (await client.get(f"/v1/certificates/download/{token}")).json()["reason"] == "document_not_ready"
    await stored(settings, certificate_id)
    found = await client.get(f"/v1/certificates/download/{token}")
    assert (found.status_code, found.content, found.headers["cache-control"]) == (200, FILE, "no-store")
    old = download_token(SECRET, certificate_id, now() - VALID_FOR)
    late = await client.get(f"/v1/certificates/download/{old}")
    assert (late.status_code, late.headers["content-type"]) == (410, "text/html; charset=utf-8")
    moment = now()
    forged = (
        download_token("another-secret-of-thirty-two-bytes!!", certificate_id, moment),
        # A link of a cart is signed with the same secret, and for carts alone.
        recovery_token(SECRET, certificate_id, 1, moment),
        download_token(SECRET, uuid4(), moment),
        token[:-4],
        "x",
    )
    for each in forged:
        refused = await client.get(f"/v1/certificates/download/{each}")
        assert refused.status_code == 404, each


async def test_without_a_secret_no_link_is_good(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, order_id: UUID, app: FastAPI
) -> None:
    certificate_id = await write_certificate(sessions, order_id)
    await stored(settings, certificate_id)
    token = download_token(SECRET, certificate_id, now())
    app.state.parts = Parts.of(settings.model_copy(update={"link_secret": None}))
    assert (await client.get(f"/v1/certificates/download/{token}")).status_code == 404
