"""Anybody can check a certificate by its code or its file, and sees what is true at this moment, and no address."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

import cli
from activities.database import Sessions
from models.certificate_facts import CertificateFacts
from models.tables.columns import now
from models.vocabulary import CertificateStatus, RevocationReason
from routes.rate_limits import A_MINUTE
from tests.api.certificates_on_record import CODE, FILE, write_academy, write_certificate
from tests.api.orders_on_record import write_order, write_school

NEWER = "01J9Z3V6T1Q8N4W2X7C5B0KDMJ"
JSON = {"Accept": "application/json"}
PAGE = {"Accept": "text/html,application/xhtml+xml,application/json;q=0.9"}


@dataclass(frozen=True)
class Trusting:
    """Settings that trust the load balancers of a network."""

    forwarded_allow_ips: str = "10.0.0.0/8"
    slow_caller_seconds: float = 1


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


async def test_what_came_of_a_test_order_is_called_a_test(
    client: httpx.AsyncClient, sessions: Sessions, order_id: UUID
) -> None:
    facts = CertificateFacts(student_full_name="Anna", course_name="Course", is_test=True)
    await write_certificate(sessions, order_id, facts=facts.model_dump(mode="json"))
    told = (await client.get(f"/verify/{CODE}", headers=JSON)).json()
    assert (told["is_test"], told["validity"]) == (True, "valid")
    page = (await client.get(f"/verify/{CODE}", headers=PAGE)).text
    assert "This is a test." in page
    assert "is valid" not in page


@pytest.mark.parametrize("path", ["/verify", f"/verify/{CODE}"])
async def test_a_person_gets_a_page_of_every_refusal(
    client: httpx.AsyncClient, sessions: Sessions, order_id: UUID, path: str
) -> None:
    await write_certificate(sessions, order_id)
    large = {"file": ("c.pdf", b" " * 11_000_000)}

    async def in_pieces() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="c.pdf"\r\n\r\n'
        for _ in range(11):
            yield b" " * 1_000_000

    chunked = {**PAGE, "Content-Type": "multipart/form-data; boundary=x"}
    for refused, status, words in (
        (await client.post(path, headers=PAGE), 422, "No file came."),
        (await client.post(path, data={"other": "x"}, headers=PAGE), 422, "No file came."),
        (await client.post(path, files=large, headers=PAGE), 413, "too large"),
        (await client.post(path, content=in_pieces(), headers=chunked), 413, "too large"),
        (await client.get("/verify/none", headers=PAGE), 404, "no such certificate"),
    ):
        assert (refused.status_code, words in refused.text) == (status, True), refused.text[-800:]
        assert '<form method="post" action="/verify" enctype="multipart/form-data">' in refused.text
        assert "form-action 'self'" in refused.headers["content-security-policy"]
    assert (await client.post(path, files=large, headers=JSON)).json()["reason"] == "payload_too_large"
    assert (await client.post(path, headers=JSON)).json()["reason"] == "invalid_request"


async def test_who_asks_too_often_is_told_before_the_file_is_read(
    client: httpx.AsyncClient, sessions: Sessions, order_id: UUID
) -> None:
    for _ in range(A_MINUTE):
        await client.get("/verify/x", headers=JSON)
    pieces = 0

    async def file() -> AsyncIterator[bytes]:
        nonlocal pieces
        for _ in range(10):
            pieces += 1
            yield b" " * 100_000

    refused = await client.post("/verify", content=file(), headers=JSON)
    assert (refused.status_code, pieces) == (429, 0)


async def test_behind_a_proxy_each_caller_counts_apart(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, sessions: Sessions, order_id: UUID
) -> None:
    served: dict[str, str] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _app, **options: served.update(options))
    monkeypatch.setattr(cli, "_settings", Trusting)
    cli.api()
    config = uvicorn.Config(app, lifespan="off", log_config=None, forwarded_allow_ips=served["forwarded_allow_ips"])
    config.load()

    async def answers(proxy: str, callers: Iterable[str]) -> list[int]:
        transport = httpx.ASGITransport(app=config.loaded_app, client=(proxy, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://registrar.test") as client:
            asked = [await client.get("/verify/x", headers={**JSON, "X-Forwarded-For": each}) for each in callers]
            return [answer.status_code for answer in asked]

    assert await answers("10.9.8.7", ["192.0.2.1"] * A_MINUTE) == [404] * A_MINUTE
    assert await answers("10.9.8.7", ["192.0.2.1", "192.0.2.2"]) == [429, 404]
    invented = [f"192.0.2.{number}" for number in range(100, 101 + A_MINUTE)]
    assert await answers("203.0.113.9", invented) == [404] * A_MINUTE + [429]


async def test_nobody_tries_codes_for_long(client: httpx.AsyncClient, sessions: Sessions, order_id: UUID) -> None:
    await write_certificate(sessions, order_id)
    answers = [await client.get(f"/verify/{CODE}", headers=JSON) for _ in range(A_MINUTE + 1)]
    assert [answer.status_code for answer in answers] == [200] * A_MINUTE + [429]
    assert answers[-1].json()["reason"] == "too_many_requests"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 61
    page = await client.get(f"/verify/{CODE}", headers=PAGE)
    assert page.status_code == 429
    assert "very often" in page.text
