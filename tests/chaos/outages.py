"""Workers to whom each call of the outside fails once, as its port knows it: before it is carried out or after."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import aiosmtplib
import httpx
from obstore.exceptions import GenericError
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from tests.chaos.effects import Answered, Door, Effect, watched

_AT_ONCE = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Way:
    """One way to fail: before the call is carried out, or after."""

    error: Callable[[], Exception]
    is_after: bool = False


def _both(error: Callable[[], Exception]) -> tuple[Way, Way]:
    return Way(error), Way(error, is_after=True)


def _answer(status: int, **error: str) -> Callable[[], Exception]:
    return lambda: Answered(httpx.Response(status, json={"error": error}))


def _cut_off() -> Exception:
    return aiosmtplib.SMTPServerDisconnected("cut off")


WAYS: dict[str, tuple[Way, ...]] = {
    Door.COMMIT: _both(lambda: AsyncAdapt_asyncpg_dbapi.InterfaceError("connection is closed")),
    Door.HTTP: (
        *_both(_answer(500, type="api_error")),
        *_both(lambda: httpx.ReadTimeout("too late")),
        *_both(lambda: httpx.RemoteProtocolError("cut off")),
        Way(_answer(429, type="invalid_request_error", code="rate_limit")),
        Way(_answer(409, type="idempotency_error", code="idempotency_key_in_use")),
        Way(lambda: httpx.ConnectError("nobody listens")),
    ),
    Door.FILE: _both(lambda: GenericError("the store is away")),
    Door.TEMPORAL: _both(lambda: RPCError("away", RPCStatusCode.UNAVAILABLE, b"")),
    "connect": (Way(lambda: aiosmtplib.SMTPConnectError("refused")),),
    "rcpt": (Way(lambda: aiosmtplib.SMTPRecipientRefused(451, "later", "")), *_both(_cut_off)),
    "data": (*_both(_cut_off), Way(lambda: aiosmtplib.SMTPDataError(451, "later"))),
}


@dataclass
class Outages(Interceptor):
    """Each call that a task of an activity makes fails once; in which way goes by turns, beginning with any.

    Over its parts a test meets every way at every call. A loop fails in its first round and in its second.
    """

    begin_with: int = 0
    struck: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._failed: dict[str, set[str]] = defaultdict(set)
        self._turns: Counter[str] = Counter()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Unlucky(next, self)

    def attempt(self) -> "Attempt":
        """The attempt that begins now."""
        info = activity.info()
        return Attempt(self, self._failed[f"{info.workflow_run_id}/{info.is_local}/{info.activity_id}"])

    def next_way(self, effect: Effect) -> Way:
        """How the next such call fails."""
        kind = effect.what if effect.door is Door.MAIL else str(effect.door)
        ways = WAYS[kind]
        self._turns[kind] += 1
        self.struck[f"{effect.door}: {effect.what}"] += 1
        return ways[(self._turns[kind] + self.begin_with) % len(ways)]


@dataclass
class Attempt:
    """One attempt of a step, which may meet an outage."""

    outages: Outages
    failed_before: set[str]
    is_hit: bool = False

    def __post_init__(self) -> None:
        self._rounds: Counter[str] = Counter()

    @contextmanager
    def passing(self, effect: Effect) -> Iterator[None]:
        """Fail before or after the call, unless it has failed before in this task."""
        place = f"{effect.door}: {effect.what} at {effect.place}"
        self._rounds[place] += 1
        call = f"{place}, {min(self._rounds[place], 2)}"
        if call in self.failed_before:
            yield
            return
        self.failed_before.add(call)
        self.is_hit = True
        way = self.outages.next_way(effect)
        if way.is_after:
            yield
        raise way.error()


class _Unlucky(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, outages: Outages) -> None:
        super().__init__(inner)
        self._outages = outages

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002 - Temporal's name
        attempt = self._outages.attempt()
        try:
            with watched(attempt):
                done: object = await super().execute_activity(input)
                return done
        except ApplicationError as error:
            if not attempt.is_hit or error.non_retryable:
                raise
            # The same failure, but nobody has the time to wait until the outage is over.
            raise ApplicationError(
                error.message, type=error.type, next_retry_delay=_AT_ONCE, category=ApplicationErrorCategory.BENIGN
            ) from None
