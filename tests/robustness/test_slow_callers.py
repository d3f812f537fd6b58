"""Callers that send too much, too little or nothing, and such that do not listen: they end, and hold up nobody."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import httpx
import pytest
import uvicorn
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from temporalio.client import Client

from activities.database import open_database, sessions_of
from api import create_app
from models.vocabulary import Role
from routes.slow_callers import patient_for
from sandbox.guest_server import GuestServer
from sandbox.ports import listen_on
from settings import Settings
from tests.api.callers import as_
from tests.api.conftest import installation_in_test_mode
from tests.eventually import eventually
from tests.robustness.idle_temporal import IdleTemporal

_PATIENCE = 0.4
# Longer than anything is waited for, however busy the machine is.
_FOR_SURE = 30
_LARGE = 20_000_000
_FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
_KINDS = {
    "json": ("/v1/orders", "application/json"),
    "form": ("/verify", "multipart/form-data; boundary=x"),
    "webhook": ("/v1/webhooks/stripe", "application/json"),
    "no login": ("/v1/unsubscribe/x", "application/x-www-form-urlencoded"),
}


@dataclass(frozen=True)
class Served:
    """The API on a real server that is patient for a moment, with a single connection to the database."""

    settings: Settings
    port: int
    engine: AsyncEngine
    server: GuestServer

    async def still_works(self) -> None:
        """Others are answered meanwhile, from the database too."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=_FOR_SURE) as http:
            assert (await http.get("/health/live")).status_code == 200
            orders = await http.get("/v1/orders", headers=as_(self.settings, "frida", Role.STAFF))
            assert orders.status_code == 200

    def head(self, kind: str, *more: str) -> bytes:
        """The head of a request with a body, by somebody who may send it."""
        path, media_type = _KINDS[kind]
        token = as_(self.settings, "frida", Role.STAFF)["Authorization"]
        lines = [f"POST {path} HTTP/1.1", "Host: registrar.test", f"Authorization: {token}", "Idempotency-Key: k"]
        return "\r\n".join([*lines, f"Content-Type: {media_type}", *more, "", ""]).encode()


@pytest.fixture(scope="module")
async def served(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """It is served as the command line does, on a port of its own."""
    settings = installation_in_test_mode(tmp_path_factory.mktemp("files")).model_copy(
        update={"slow_caller_seconds": _PATIENCE}
    )
    engine = open_database(database_url, 1)
    app = create_app(settings, temporal=cast(Client, IdleTemporal()), sessions=sessions_of(engine))

    async def a_lot(_request: Request) -> Response:
        return Response(b"x" * _LARGE)

    app.router.routes.append(Route("/a-lot", a_lot))
    listener = listen_on()
    config = uvicorn.Config(
        app, http=patient_for(settings.slow_caller_seconds), ws="none", log_config=None, access_log=False
    )
    server = GuestServer(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))

    async def started() -> bool:
        return server.started

    await eventually(started)
    yield Served(settings, listener.getsockname()[1], engine, server)
    server.stop()
    await task
    await engine.dispose()


@asynccontextmanager
async def connection(served: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A caller that does as it likes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    yield reader, writer
    writer.transport.abort()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other side ends the connection."""
    received = b""
    try:
        async with asyncio.timeout(_FOR_SURE):
            while piece := await reader.read(65536):
                received += piece
    except ConnectionResetError:
        pass
    return received


async def dribble(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send a little again and again, for as long as anybody takes it."""
    try:
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(_PATIENCE / 10)
    except (ConnectionError, OSError):
        pass


@pytest.mark.parametrize("beginning", [b"", b"GET /health/live HT", b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-A: "])
async def test_a_head_that_never_ends_is_not_waited_for(served: Served, beginning: bytes) -> None:
    async with connection(served) as (reader, writer):
        writer.write(beginning)
        sending = asyncio.create_task(dribble(writer, b"a" if beginning else b""))
        await served.still_works()
        assert await rest(reader) == b""
        sending.cancel()


async def test_a_second_head_is_waited_for_no_longer(served: Served) -> None:
    async with connection(served) as (reader, writer):
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /health/l")
        sending = asyncio.create_task(dribble(writer, b"a"))
        assert (await rest(reader)).count(b"HTTP/1.1 200 OK") == 1
        sending.cancel()


@pytest.mark.parametrize("length", ["Content-Length: 900000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("kind", ["json", "webhook", "no login"])
async def test_a_body_that_dribbles_is_refused_in_time(served: Served, kind: str, length: str) -> None:
    async with connection(served) as (reader, writer):
        writer.write(served.head(kind, length))
        sending = asyncio.create_task(dribble(writer, b"1\r\n \r\n" if "chunked" in length else b" "))
        await served.still_works()
        answer = await rest(reader)
        sending.cancel()
    assert b"408" in answer.split(b"\r\n")[0], answer
    assert b'"reason":"request_too_slow"' in answer
    assert served.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_an_answer_ends_the_patience_for_a_body_nobody_reads(served: Served) -> None:
    async with connection(served) as (reader, writer):
        writer.write(b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
        sending = asyncio.create_task(dribble(writer, b" "))
        answer = await rest(reader)
        sending.cancel()
    assert b"401" in answer.split(b"\r\n")[0], answer


async def test_a_caller_who_does_not_listen_is_left(served: Served) -> None:
    async with connection(served) as (reader, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /a-lot HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.still_works()

        async def is_gone() -> bool:
            return not served.server.server_state.connections and not served.server.server_state.tasks

        await eventually(is_gone)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await rest(reader)) < _LARGE


@pytest.mark.parametrize("kind", _KINDS)
async def test_too_much_is_refused_while_it_is_read(served: Served, kind: str) -> None:
    """Announced, in chunks that announce nothing, and more than was announced."""
    limit = 10_100_000 if kind == "form" else 1_000_000
    for length, body in (
        (f"Content-Length: {limit + 1}", b""),
        ("Transfer-Encoding: chunked", b"%x\r\n%s" % (len(_FORM) + limit, _FORM) + b" " * limit),
    ):
        async with connection(served) as (reader, writer):
            writer.write(served.head(kind, length) + body)
            async with asyncio.timeout(_FOR_SURE):
                status = await reader.readline()
        assert b"413" in status, (kind, length, status)
    await served.still_works()


async def test_more_than_was_announced_is_another_request(served: Served) -> None:
    async with connection(served) as (reader, writer):
        writer.write(served.head("webhook", "Content-Length: 2") + b"{}" + b" " * 2_000_000)
        answer = await rest(reader)
    assert answer.count(b"HTTP/1.1") == 2
    assert b"signature_invalid" in answer
    assert b"HTTP/1.1 400 Bad Request" in answer


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: -1",
        "Content-Length: 1e3",
        "Content-Length: 2\r\nTransfer-Encoding: x",
        "Transfer-Encoding: chunked, chunked",
    ],
)
async def test_lengths_that_contradict_each_other_are_refused(served: Served, framing: str) -> None:
    async with connection(served) as (reader, writer):
        writer.write(served.head("webhook", framing) + b"{}")
        answer = await rest(reader)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")), answer


async def test_what_is_packed_is_not_unpacked(served: Served) -> None:
    bomb = gzip.compress(json.dumps({"lines": [], "a": " " * 50_000_000}).encode())
    async with connection(served) as (reader, writer):
        writer.write(served.head("json", "Content-Encoding: gzip", f"Content-Length: {len(bomb)}") + bomb)
        assert b"422" in await reader.readline()


@pytest.mark.parametrize(
    "flood", [b"X-A: " + b"a" * 200_000, b"\r\n".join(b"X-%d: a" % each for each in range(20_000))]
)
async def test_a_flood_of_headers_is_refused(served: Served, flood: bytes) -> None:
    async with connection(served) as (reader, writer):
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n" + flood + b"\r\n\r\n")
        answer = await rest(reader)
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")
    await served.still_works()
