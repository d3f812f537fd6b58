"""Every effect that a step has on the outside, seen where it leaves the process, whichever step it is.

There are five doors: commits of the record, HTTP requests (Stripe and the learning platform), mails, files, and calls
of Temporal by a step's own client. A new step, or a new effect of an old one, goes through one of them by itself.
"""

import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any, Protocol
from unittest.mock import patch

import aiosmtplib
import greenlet
import httpx
import obstore
from sqlalchemy.engine.default import DefaultDialect
from temporalio import service as temporal_service

_PRODUCT = str(Path(__file__).parents[2] / "activities") + "/"
_READING = ("get_", "describe_", "list_", "count_", "query_", "poll_")


class Door(StrEnum):
    """Through which an effect leaves."""

    COMMIT = "commit"
    HTTP = "http"
    MAIL = "mail"
    FILE = "file"
    TEMPORAL = "temporal"


@dataclass(frozen=True)
class Effect:
    """One call of the outside: through which door, what it asks for, and from which lines of the product."""

    door: Door
    what: str
    place: str
    is_read: bool = False


class Watch(Protocol):
    """Whoever looks on while a step has effects."""

    def passing(self, effect: Effect) -> AbstractContextManager[None]:
        """Goes around the call, and may raise before it is made, or once it was carried out and nobody knows yet.

        An `Answered` takes the place of the answer.
        """


class Answered(Exception):  # noqa: N818 - it is an answer of the other side, not an error of ours
    """What an HTTP caller is given instead of the true answer."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Whatever this task and its subtasks do outside is shown to the watch."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


@contextmanager
def doors() -> Iterator[None]:
    """Doors that tell who is watching. Whoever is not watched goes through as ever."""
    commit, post = DefaultDialect.do_commit, httpx.AsyncHTTPTransport.handle_async_request
    call = temporal_service._BridgeServiceClient._rpc_call

    def do_commit(self: DefaultDialect, connection: Any) -> None:
        with _passing(Door.COMMIT, "commit"):
            commit(self, connection)

    async def handle_async_request(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        try:
            with _passing(Door.HTTP, f"{request.method} {request.url.path}", is_read=request.method == "GET"):
                response = await post(self, request)
                # Carried out is what was answered to the end.
                await response.aread()
                return response
        except Answered as answered:
            answered.response.request = request
            return answered.response

    async def rpc_call(self: Any, rpc: str, *args: Any, **more: Any) -> Any:
        with _passing(Door.TEMPORAL, rpc, is_read=rpc.startswith(_READING)):
            return await call(self, rpc, *args, **more)

    with (
        patch.object(DefaultDialect, "do_commit", do_commit),
        patch.object(httpx.AsyncHTTPTransport, "handle_async_request", handle_async_request),
        patch.object(temporal_service._BridgeServiceClient, "_rpc_call", rpc_call),
        patch.object(aiosmtplib.SMTP, "connect", _through(Door.MAIL, aiosmtplib.SMTP.connect, is_read=True)),
        patch.object(aiosmtplib.SMTP, "rcpt", _through(Door.MAIL, aiosmtplib.SMTP.rcpt, is_read=True)),
        patch.object(aiosmtplib.SMTP, "data", _through(Door.MAIL, aiosmtplib.SMTP.data)),
        patch.object(obstore, "put_async", _through(Door.FILE, obstore.put_async)),
        patch.object(obstore, "copy_async", _through(Door.FILE, obstore.copy_async)),
        patch.object(obstore, "delete_async", _through(Door.FILE, obstore.delete_async)),
        patch.object(obstore, "get_async", _through(Door.FILE, obstore.get_async, is_read=True)),
    ):
        yield


def _through(door: Door, call: Callable[..., Awaitable[Any]], *, is_read: bool = False) -> Callable[..., Any]:
    name = getattr(call, "__name__")  # noqa: B009 - a callable need not have one

    @wraps(call)
    async def watched_call(*args: Any, **more: Any) -> Any:
        with _passing(door, name, is_read=is_read):
            return await call(*args, **more)

    return watched_call


@contextmanager
def _passing(door: Door, what: str, *, is_read: bool = False) -> Iterator[None]:
    watch = _watch.get()
    if watch is None:
        yield
        return
    with watch.passing(Effect(door, what, _place(), is_read)):
        yield


def _place() -> str:
    """The lines of the activities that lead here, innermost first."""
    lines: list[str] = []
    frame: FrameType | None = sys._getframe(1)
    inside: greenlet.greenlet | None = greenlet.getcurrent()
    while True:
        while frame is not None:
            if frame.f_code.co_filename.startswith(_PRODUCT):
                lines.append(f"{frame.f_code.co_filename.removeprefix(_PRODUCT)}:{frame.f_lineno}")
            frame = frame.f_back
        # A statement of SQLAlchemy runs in a greenlet, whose frames do not lead back to those of its caller.
        inside = inside.parent if inside is not None else None
        if inside is None:
            return " < ".join(lines)
        frame = inside.gr_frame
