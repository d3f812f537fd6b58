"""Counting what one order asks of PostgreSQL, step by step, where SQLAlchemy hands it over."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio import activity

_request: ContextVar[str | None] = ContextVar("request", default=None)


@dataclass
class StepCost:
    """What one step asked for. Each transaction is a BEGIN and a COMMIT or ROLLBACK, each checkout one ping."""

    runs: int = 0
    statements: int = 0
    transactions: int = 0
    checkouts: int = 0
    verbs: dict[str, int] = field(default_factory=dict)

    @property
    def round_trips(self) -> int:
        """How often PostgreSQL was waited for."""
        return self.statements + 2 * self.transactions + self.checkouts


class StatementCount:
    """Counts on every engine of this process while it is `counting`."""

    def __init__(self) -> None:
        self.steps: dict[str, StepCost] = {}
        self._seen: set[tuple[str, object]] = set()

    @contextmanager
    def counting(self) -> Iterator["StatementCount"]:
        """Listen until the context is left."""
        hooks = (
            (Engine, "before_cursor_execute", self._statement),
            (Engine, "begin", self._begin),
            (Pool, "checkout", self._checkout),
        )
        for target, name, hook in hooks:
            event.listen(target, name, hook)
        try:
            yield self
        finally:
            for target, name, hook in hooks:
                event.remove(target, name, hook)

    def _statement(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        if (step := self._step()) is not None:
            step.statements += 1
            verb = statement.split(maxsplit=1)[0].lower()
            step.verbs[verb] = step.verbs.get(verb, 0) + 1

    def _begin(self, _connection: object) -> None:
        if (step := self._step()) is not None:
            step.transactions += 1

    def _checkout(self, *_: object) -> None:
        if (step := self._step()) is not None:
            step.checkouts += 1

    def _step(self) -> StepCost | None:
        name, run = _current()
        if name is None:
            return None
        step = self.steps.setdefault(name, StepCost())
        if (name, run) not in self._seen:
            self._seen.add((name, run))
            step.runs += 1
        return step


class NamesRequests:
    """An ASGI layer that tells the count which request a statement belongs to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request under its name."""
        if scope["type"] == "http":
            # A new string each time: its identity tells two requests for the same thing apart.
            _request.set(" ".join((scope["method"], scope["path"])))
        await self._app(scope, receive, send)


def current_step() -> str | None:
    """The activity or the request that runs now, by its name; none outside of both."""
    return _current()[0]


def _current() -> tuple[str | None, object]:
    if activity.in_activity():
        info = activity.info()
        return info.activity_type, (info.workflow_id, info.activity_id, info.attempt)
    name = _request.get()
    return name, id(name)
