"""Every error is a problem document that says what happened, and nothing that somebody sent or stored."""

import logging
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from activities.database import Sessions, open_database, sessions_of
from activities.logs import TextLines
from api import create_app
from models.errors import Reason
from routes.outages import is_outage
from routes.problems import KINDS, ProblemError
from settings import Settings
from tests.api.callers import as_staff, as_student
from tests.api.recording_temporal import RecordingTemporal
from tests.log_lines import log_lines

SECRET_WORDS = "anna.karenina@example.org"


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """What the application itself wrote to the log."""
    return "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("registrar."))


def assert_problem(answer: httpx.Response, reason: Reason) -> dict[str, object]:
    body: dict[str, object] = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.status_code == KINDS[reason].status == body["status"]
    assert body["reason"] == reason
    assert body["type"] == f"urn:registrar:problem:{reason}"
    assert body["title"] == KINDS[reason].title
    assert body["detail"]
    assert body["instance"] == f"urn:registrar:request:{answer.headers['X-Request-Id']}"
    return body


def test_every_reason_has_a_status_and_a_title() -> None:
    assert set(KINDS) == set(Reason)
    assert all(kind.title and 400 <= kind.status < 600 for kind in KINDS.values())
    assert len({kind.title for kind in KINDS.values()}) == len(Reason)


async def test_unknown_path_and_method(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/v1/nothing?mail=" + SECRET_WORDS), Reason.NOT_FOUND)
    wrong_method = await client.delete("/v1/orders")
    assert_problem(wrong_method, Reason.METHOD_NOT_ALLOWED)
    assert wrong_method.headers["Allow"]


async def test_invalid_input_is_pointed_at_and_never_echoed(client: httpx.AsyncClient, settings: Settings) -> None:
    answer = await client.post(
        "/v1/orders",
        headers={**as_student(settings, uuid4()), "Idempotency-Key": "k"},
        json={
            "lines": [
                {"course_id": SECRET_WORDS, "price": 1},
                {"course_id": str(uuid4()), SECRET_WORDS: 1},
                {"course_id": str(uuid4())},
            ],
            "payment_method": SECRET_WORDS,
            "coupon_code": SECRET_WORDS,
            "status": "completed",
        },
    )
    body = assert_problem(answer, Reason.INVALID_REQUEST)
    assert SECRET_WORDS not in answer.text
    errors = body["errors"]
    assert isinstance(errors, list)
    assert {error["pointer"] for error in errors} == {
        "#/lines/0/course_id",
        "#/lines/0/price",
        "#/lines/1/…",
        "#/payment_method",
        "#/coupon_code",
        "#/status",
    }
    details = {error["pointer"]: error["detail"] for error in errors}
    assert details["#/lines/0/course_id"] == "Input should be a UUID"
    assert details["#/status"] == "There is no such field."


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'"text"', b"[]", b"null", b""])
async def test_bodies_that_are_no_object(client: httpx.AsyncClient, settings: Settings, body: bytes) -> None:
    headers = {**as_staff(settings), "Idempotency-Key": "k", "Content-Type": "application/json"}
    assert_problem(await client.post("/v1/orders", headers=headers, content=body), Reason.INVALID_REQUEST)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, Reason.IDEMPOTENCY_KEY_MISSING),
        ("", Reason.INVALID_REQUEST),
        ("two words", Reason.INVALID_REQUEST),
        ("k" * 256, Reason.INVALID_REQUEST),
    ],
)
async def test_the_idempotency_key(
    client: httpx.AsyncClient, settings: Settings, key: str | None, reason: Reason
) -> None:
    headers = as_student(settings, uuid4())
    if key is not None:
        headers["Idempotency-Key"] = key
    body = {"lines": [{"course_id": str(uuid4())}], "payment_method": "checkout"}
    assert_problem(await client.post("/v1/orders", headers=headers, json=body), reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"payer_id": str(uuid4())}, Reason.ROLE_NOT_ALLOWED),
        ({"is_test": True}, Reason.ROLE_NOT_ALLOWED),
        ({"lines": [{"course_id": str(uuid4()), "student_id": str(uuid4())}]}, Reason.NOT_YOURS),
        ({"lines": []}, Reason.INVALID_REQUEST),
        ({"lines": [{"course_id": str(uuid4())}] * 2}, Reason.INVALID_REQUEST),
        ({"lines": [{"course_id": str(uuid4()), "slot_ids": [str(uuid4())] * 2}]}, Reason.INVALID_REQUEST),
        ({"lines": [{"course_id": str(uuid4())} for _ in range(21)]}, Reason.INVALID_REQUEST),
        ({"total_amount": 1}, Reason.INVALID_REQUEST),
    ],
)
async def test_what_a_student_may_not_ask_for(
    client: httpx.AsyncClient, settings: Settings, body: dict[str, object], reason: Reason
) -> None:
    headers = {**as_student(settings, uuid4()), "Idempotency-Key": "k"}
    good = {"lines": [{"course_id": str(uuid4())}], "payment_method": "checkout"}
    assert_problem(await client.post("/v1/orders", headers=headers, json={**good, **body}), reason)


async def test_staff_says_who_pays(client: httpx.AsyncClient, settings: Settings) -> None:
    headers = {**as_staff(settings), "Idempotency-Key": "k"}
    body = {"lines": [{"course_id": str(uuid4())}], "payment_method": "checkout"}
    problem = assert_problem(await client.post("/v1/orders", headers=headers, json=body), Reason.INVALID_REQUEST)
    assert problem["errors"] == [{"pointer": "#/payer_id", "detail": "Field required"}]


async def test_large_bodies_are_refused_announced_or_not(client: httpx.AsyncClient, settings: Settings) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    headers = {**as_staff(settings), "Idempotency-Key": "k", "Content-Type": "application/json"}
    for path in ("/v1/orders", "/v1/webhooks/stripe"):
        announced = await client.post(path, headers=headers, content=b" " * 1_000_001)
        assert_problem(announced, Reason.PAYLOAD_TOO_LARGE)
        streamed = await client.post(path, headers=headers, content=endless())
        assert_problem(streamed, Reason.PAYLOAD_TOO_LARGE)


@pytest.fixture
def failing(app: FastAPI) -> Iterator[dict[str, Exception]]:
    """Set `error` and GET /fails raises it; GET /breaks-off raises it after the first byte."""
    error: dict[str, Exception] = {}

    async def fails(_: Request) -> Response:
        raise error["error"]

    async def breaks_off(_: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"a"
            raise error["error"]

        return StreamingResponse(pieces())

    own = [Route("/fails", fails), Route("/breaks-off", breaks_off)]
    app.router.routes.extend(own)
    yield error
    for route in own:
        app.router.routes.remove(route)


async def test_an_unexpected_exception_tells_nobody_what_it_says(
    client: httpx.AsyncClient, failing: dict[str, Exception], caplog: pytest.LogCaptureFixture
) -> None:
    failing["error"] = ValueError(f"no such person: {SECRET_WORDS}")
    with caplog.at_level(logging.INFO):
        answer = await client.get(f"/fails?mail={SECRET_WORDS}", headers={"X-Request-Id": "abc-1"})
    assert_problem(answer, Reason.INTERNAL)
    assert SECRET_WORDS not in answer.text
    assert SECRET_WORDS not in logged(caplog)
    assert "unexpected ValueError at test_problems.py" in logged(caplog)


async def test_an_answer_that_breaks_off_is_not_dressed_up(
    client: httpx.AsyncClient, failing: dict[str, Exception], caplog: pytest.LogCaptureFixture
) -> None:
    failing["error"] = ValueError(SECRET_WORDS)
    with pytest.raises(Exception, match=r"^$") as broken:
        await client.get("/breaks-off")
    assert type(broken.value).__name__ == "_AnswerCutOffError"
    assert SECRET_WORDS not in logged(caplog)


@pytest.mark.parametrize(
    "error",
    [
        RPCError("away", RPCStatusCode.UNAVAILABLE, b""),
        RPCError("late", RPCStatusCode.DEADLINE_EXCEEDED, b""),
        # A server that dies under a call which has taken too long already to be tried again.
        RPCError("transport error", RPCStatusCode.UNKNOWN, b""),
        WorkflowUpdateRPCTimeoutOrCancelledError(),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
)
async def test_what_is_away_is_worth_another_try(
    client: httpx.AsyncClient, failing: dict[str, Exception], error: Exception
) -> None:
    failing["error"] = error
    answer = await client.get("/fails")
    assert_problem(answer, Reason.UNAVAILABLE)
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_refusal_anywhere_is_a_problem_document(
    client: httpx.AsyncClient, failing: dict[str, Exception]
) -> None:
    failing["error"] = ProblemError(Reason.COURSE_FULL, "No seat is left.")
    assert assert_problem(await client.get("/fails"), Reason.COURSE_FULL)["detail"] == "No seat is left."


async def test_a_defect_at_temporal_is_no_outage(client: httpx.AsyncClient, failing: dict[str, Exception]) -> None:
    failing["error"] = RPCError("what?", RPCStatusCode.INVALID_ARGUMENT, b"")
    assert_problem(await client.get("/fails"), Reason.INTERNAL)


async def test_a_database_that_is_away_is_worth_another_try(settings: Settings, recorder: RecordingTemporal) -> None:
    engine = open_database("postgresql+asyncpg://nobody@127.0.0.1:9/none", 1)
    app = create_app(settings, temporal=recorder, sessions=sessions_of(engine))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://registrar.test") as client:
        answer = await client.get("/v1/orders", headers=as_staff(settings))
    await engine.dispose()
    assert_problem(answer, Reason.UNAVAILABLE)
    assert answer.headers["Retry-After"]


async def test_a_connection_that_is_cut_is_an_outage_and_a_wrong_statement_is_not(sessions: Sessions) -> None:
    async with sessions() as session:
        with pytest.raises(Exception, match=r"termin|clos") as cut:
            await session.execute(text("select pg_terminate_backend(pg_backend_pid())"))
        await session.invalidate()
    assert is_outage(cut.value)
    async with sessions() as session:
        with pytest.raises(Exception, match="nothing") as wrong:
            await session.execute(text("select nothing from nowhere"))
    assert not is_outage(wrong.value)


@pytest.mark.parametrize(
    ("offered", "taken"),
    [("abc-1.2_X", True), ("", False), ("a" * 65, False), ("two words", False), ("a;b=c", False)],
)
async def test_request_ids_are_taken_over_if_they_are_harmless(
    client: httpx.AsyncClient, offered: str, taken: bool
) -> None:
    answer = await client.get("/health/live", headers={"X-Request-Id": offered})
    assert (answer.headers["X-Request-Id"] == offered) is taken
    assert answer.headers["X-Request-Id"]


async def test_security_headers_are_on_every_answer(client: httpx.AsyncClient, settings: Settings) -> None:
    for path in ("/v1/orders", "/v1/nothing", "/health/live", "/docs", "/openapi.json", "/checkout/cancelled"):
        headers = (await client.get(path, headers=as_staff(settings))).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "script-src 'unsafe-inline'" not in headers["Content-Security-Policy"]
        assert (headers.get("Cache-Control") == "no-store") is path.startswith(("/v1", "/checkout"))


async def test_the_access_log_names_routes_not_addresses(client: httpx.AsyncClient, settings: Settings) -> None:
    order_id, named = uuid4(), {"X-Request-Id": "abc-1"}
    with log_lines(TextLines()) as written:
        await client.get(f"/v1/orders/{order_id}?mail={SECRET_WORDS}", headers=as_staff(settings) | named)
        await client.get(f"/{SECRET_WORDS}")
    lines = [line for line in written.getvalue().splitlines() if "registrar.access" in line]
    assert "request_id=abc-1 method=GET route=/v1/orders/{order_id} status=404 reason=not_found ms=" in lines[0]
    assert "route=unmatched" in lines[1]
    assert SECRET_WORDS not in written.getvalue()
    assert str(order_id) not in written.getvalue()
