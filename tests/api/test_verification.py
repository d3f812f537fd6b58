"""Anybody can check a certificate by its code or its file, and sees what is true at this moment, and no address."""

from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from activities.database import Sessions
from models.tables.columns import now
from models.vocabulary import CertificateStatus, RevocationReason
from routes.rate_limits import A_MINUTE
from tests.api.certificates_on_record import CODE, FILE, write_academy, write_certificate
from tests.api.orders_on_record import write_order, write_school

NEWER = "01J9Z3V6T1Q8N4W2X7C5B0KDMJ"
JSON = {"Accept": "application/json"}
PAGE = {"Accept": "text/html,application/xhtml+xml,application/json;q=0.9"}


@pytest.fixture
async def order_id(sessions: Sessions) -> UUID:
    await write_academy(sessions)
    school = await write_school(sessions)
    return await write_order(sessions, school, school.anna, 1, paid=True)


async def test_a_valid_certificate(client: httpx.AsyncClient, sessions: Sessions, order_id: UUID) -> None:
    await write_certificate(sessions, order_id, expires_at=now() + timedelta(days=100))
    found = (await client.get(f"/verify/{CODE}", headers=JSON)).raise_for_status()
    told = found.json()
    assert told["validity"] == "valid"
    assert told["holder"] == "Anna Ó Briain"
    assert (told["course"], told["issuer"], told["number"]) == ("Course", "Test Academy", "CERT-2026-000001")
    assert told["revoked_at"] is told["superseded_by"] is told["is_same_file"] is None
    assert found.headers["cache-control"] == "no-store"
    page = (await client.get(f"/verify/{CODE}", headers=PAGE)).raise_for_status()
    assert page.headers["content-type"].startswith("text/html")
    assert "This certificate is valid." in page.text
    assert "Anna Ó Briain" in page.text
    assert "noindex" in page.text
    assert "@" not in page.text.split("</style>")[1]


@pytest.mark.parametrize("typed", [CODE.lower(), "-".join((CODE[:13], CODE[13:])), CODE.replace("0", "O")])
async def test_a_code_may_be_typed(client: httpx.AsyncClient, sessions: Sessions, order_id: UUID, typed: str) -> None:
    await write_certificate(sessions, order_id)
    assert (await client.get(f"/verify/{typed}", headers=JSON)).json()["code"] == CODE


async def test_what_is_over_is_expired_before_its_job_says_so(
    client: httpx.AsyncClient, sessions: Sessions, order_id: UUID
) -> None:
    await write_certificate(sessions, order_id, expires_at=now() - timedelta(seconds=1))
    assert (await client.get(f"/verify/{CODE}", headers=JSON)).json()["validity"] == "expired"
    assert "has expired" in (await client.get(f"/verify/{CODE}", headers=PAGE)).text


async def test_a_revoked_one_says_why_and_when(client: httpx.AsyncClient, sessions: Sessions, order_id: UUID) -> None:
    await write_certificate(
        sessions,
        order_id,
        status=CertificateStatus.REVOKED,
        revoked_at=now(),
        revocation_reason=RevocationReason.ISSUED_IN_ERROR,
        status_reason="what staff said, which nobody else reads",
    )
    told = (await client.get(f"/verify/{CODE}", headers=JSON)).json()
    assert (told["validity"], told["revocation_reason"]) == ("revoked", "issued_in_error")
    assert told["revoked_at"] is not None
    page = (await client.get(f"/verify/{CODE}", headers={**PAGE, "Accept-Language": "de-AT"})).text
    assert "Es wurde irrtümlich ausgestellt" in page
    assert "what staff said" not in page


async def test_a_replaced_one_leads_to_the_newer(client: httpx.AsyncClient, sessions: Sessions, order_id: UUID) -> None:
    old = await write_certificate(sessions, order_id, status=CertificateStatus.SUPERSEDED)
    await write_certificate(sessions, order_id, code=NEWER, number="CERT-2026-000002", predecessor_id=old)
    told = (await client.get(f"/verify/{CODE}", headers=JSON)).json()
    assert (told["validity"], told["superseded_by"]) == ("superseded", f"http://127.0.0.1:8000/verify/{NEWER}")
    assert f'href="http://127.0.0.1:8000/verify/{NEWER}"' in (await client.get(f"/verify/{CODE}", headers=PAGE)).text


@pytest.mark.parametrize("code", ["01J9Z3V6T1Q8N4W2X7C5B0KDMK", "x", "%00", "' OR 1=1 --", "U" * 26, "1" * 5000])
async def test_an_unknown_code(client: httpx.AsyncClient, sessions: Sessions, order_id: UUID, code: str) -> None:
    await write_certificate(sessions, order_id)
    refused = await client.get(f"/verify/{code}", headers=JSON)
    assert (refused.status_code, refused.json()["reason"]) == (404, "not_found")
    page = await client.get(f"/verify/{code}", headers=PAGE)
    assert page.status_code == 404
    assert "no such certificate" in page.text


async def test_the_file_tells_whether_it_was_changed(
    client: httpx.AsyncClient, sessions: Sessions, order_id: UUID
) -> None:
    await write_certificate(sessions, order_id)
    for sent, is_same in ((FILE, True), (FILE + b" ", False), (b"", False)):
        told = await client.post(f"/verify/{CODE}", files={"file": ("c.pdf", sent)}, headers=JSON)
        assert told.json()["is_same_file"] is is_same
    by_file = await client.post("/verify", files={"file": ("c.pdf", FILE)}, headers=JSON)
    assert by_file.json()["code"] == CODE
    unknown = await client.post("/verify", files={"file": ("c.pdf", b"other")}, headers=JSON)
    assert unknown.status_code == 404
    page = await client.post(f"/verify/{CODE}", files={"file": ("c.pdf", b"other")}, headers=PAGE)
    assert "not the one that we issued" in page.text


async def test_a_name_is_text_whatever_it_says(client: httpx.AsyncClient, sessions: Sessions, order_id: UUID) -> None:
    await write_certificate(sessions, order_id, holder='<script>alert("x")</script> & Söhne')
    page = (await client.get(f"/verify/{CODE}", headers=PAGE)).text
    assert "<script" not in page
    assert "&lt;script&gt;" in page


async def test_nobody_tries_codes_for_long(client: httpx.AsyncClient, sessions: Sessions, order_id: UUID) -> None:
    await write_certificate(sessions, order_id)
    answers = [await client.get(f"/verify/{CODE}", headers=JSON) for _ in range(A_MINUTE + 1)]
    assert [answer.status_code for answer in answers] == [200] * A_MINUTE + [429]
    assert answers[-1].json()["reason"] == "too_many_requests"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 61
    page = await client.get(f"/verify/{CODE}", headers=PAGE)
    assert page.status_code == 429
    assert "very often" in page.text
