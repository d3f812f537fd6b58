"""What surrounds every request: its id, the limits of its body, security headers, the access log and the counters."""

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from activities.logs import request_under_way
from models.errors import Reason
from routes.metrics import known_method
from routes.parts import parts_of
from routes.problems import unexpected

MAX_BODY_BYTES = 1_000_000
STRICT_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_access_log = logging.getLogger("registrar.access")


class Envelope:
    """The outermost layer of the application: nothing leaves it as a bare exception or without its headers."""

    def __init__(self, app: ASGIApp, *, larger_bodies: Mapping[re.Pattern[str], int] = MappingProxyType({})) -> None:
        """`larger_bodies` are the paths to which more may be posted than `MAX_BODY_BYTES`, and how much."""
        self._app = app
        self._larger_bodies = larger_bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        under_way = request_under_way.set(partial(_named, scope))
        answered: int | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = message["status"]
                _add_headers(MutableHeaders(scope=message), scope["path"], request_id)
            await send(message)

        try:
            await self._serve(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a problem document
            response = unexpected(Request(scope), error)
            if answered is not None:
                raise _AnswerCutOffError from None
            await response(scope, receive, send_with_headers)
        finally:
            self._account(scope, answered or HTTPStatus.INTERNAL_SERVER_ERROR, time.perf_counter() - started)
            request_under_way.reset(under_way)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        received, limit = 0, self._limit(scope)
        too_large = f"A body may have {limit / 1_000_000:g} MB at most."
        patience = parts_of(Request(scope)).settings.slow_caller_seconds * max(1, limit / MAX_BODY_BYTES)
        deadline: float | None = asyncio.get_running_loop().time() + patience

        async def receive_within_limit() -> Message:
            nonlocal received, deadline
            if received > limit:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large)
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    HTTPStatus.REQUEST_TIMEOUT, f"A body has to be here within {patience:g} seconds."
                ) from None
            if not message.get("more_body", False):
                # What is waited for from now on is that the caller goes away.
                deadline = None
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large)
            return message

        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > limit:
            # Whoever wants to read it hears of it before anything of it has come.
            received = int(announced)
        await self._app(scope, receive_within_limit, send)

    def _limit(self, scope: Scope) -> int:
        limits = (
            limit
            for path, limit in self._larger_bodies.items()
            if scope["method"] == "POST" and path.fullmatch(scope["path"])
        )
        return next(limits, MAX_BODY_BYTES)

    def _account(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route(scope)
        metrics = parts_of(Request(scope)).metrics
        metrics.observe(route=route, method=scope["method"], status=status, seconds=seconds)
        reason: Reason | None = scope["state"].get("refused_with")
        if reason is not None:
            metrics.refusals.labels(reason.value).inc()
        _access_log.info(
            "answered",
            extra={
                "method": known_method(scope["method"]),
                "status": status,
                "reason": reason and reason.value,
                "ms": round(seconds * 1000, 1),
            },
        )


class _AnswerCutOffError(Exception):
    """The answer broke off after its headers were sent; the server closes the connection."""


def _named(scope: Scope) -> dict[str, object]:
    return {"request_id": scope["state"]["request_id"], "route": _route(scope)}


def _route(scope: Scope) -> str:
    # The template, never the path: paths and queries may hold what nobody should log.
    return getattr(scope.get("route"), "path", "unmatched")


def _request_id(offered: str | None) -> str:
    return offered if offered is not None and _REQUEST_ID.fullmatch(offered) else str(uuid4())


def _add_headers(headers: MutableHeaders, path: str, request_id: str) -> None:
    headers["X-Request-Id"] = request_id
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "no-referrer"
    headers.setdefault("Content-Security-Policy", STRICT_POLICY)
    if path.startswith("/v1/"):
        headers["Cache-Control"] = "no-store"
