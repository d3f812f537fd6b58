"""The whole stack on one machine: PostgreSQL, Temporal, Stripe double, mailbox, worker and API, wired together.

A part that the environment names (`DATABASE_URL`, `TEMPORAL_ADDRESS`, `SMTP_URL`, `STRIPE_API_KEY`, `FILES_URL`)
is used instead of its embedded twin.
"""

import asyncio
import http.client
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from sandbox.home import Home
from sandbox.ports import Reservation
from sandbox.postgres import EmbeddedPostgres, PostgresError
from sandbox.processes import Program, ProgramFailedError, Ready, Restart, Supervisor
from sandbox.remembered import reserve_ports, stack_secrets
from sandbox.temporal import is_healthy, server_command

STRIPE_TEST_KEY = "sk_test_sandbox"
PUBLISHABLE_KEY = "pk_test_sandbox"
_DATABASE = "registrar"
_OUTSIDE = ("DATABASE_URL", "TEMPORAL_ADDRESS", "SMTP_URL", "STRIPE_API_KEY", "FILES_URL")
# Which outside part makes which of our ports needless.
_PORTS = {
    "api": None,
    "worker_metrics": None,
    "temporal": "TEMPORAL_ADDRESS",
    "temporal_ui": "TEMPORAL_ADDRESS",
    "stripe": "STRIPE_API_KEY",
    "mailbox": "SMTP_URL",
    "smtp": "SMTP_URL",
}
_POSTGRES_CHECK_SECONDS = 1.0


@dataclass(frozen=True)
class StackStep:
    """One line of progress. A program that died and comes back starts again and is ready again."""

    name: str
    state: Literal["starting", "ready", "skipped", "failed"]
    detail: str
    seconds: float


class Endpoints(BaseModel):
    """Where to find the parts of a running stack; None for what is not part of it."""

    model_config = ConfigDict(frozen=True)

    api: str
    api_docs: str
    temporal_ui: str
    temporal_address: str
    mailbox: str | None
    stripe: str | None
    # It may hold somebody's password.
    database_url: str = Field(repr=False)


class StackError(Exception):
    """The stack could not be brought up, or cannot go on. Names the step, its log and how that ends."""

    def __init__(self, step: str, cause: BaseException) -> None:
        super().__init__(f"{step}: {cause}")
        self.step = step


def _registrar(*arguments: str) -> tuple[str, ...]:
    return (str(Path(sys.executable).parent / "registrar"), *arguments)


@dataclass(frozen=True)
class Application:
    """The commands that run on the infrastructure. `{port}` is the API's port; a step without a command is left out."""

    migrate: Sequence[str] = _registrar("migrate")
    seed: Sequence[str] = _registrar("academy", "load")
    worker: Sequence[str] = _registrar("worker")
    promote: Sequence[str] = _registrar("promote")
    api: Sequence[str] = _registrar("api", "--host", "127.0.0.1", "--port", "{port}")
    worker_is_ready: re.Pattern[str] | None = re.compile("worker polls")
    health: str = "/health/ready"


class Stack:
    """Everything one machine needs, with its data in `home`. An async context manager: leaving stops what it started.

    While it runs, a program that dies is started again; `failed` raises once something is gone for good. `home` may be
    a folder, or a claim on one that ends when the stack does.
    """

    def __init__(
        self,
        home: Path | Home,
        on_progress: Callable[[StackStep], None] = lambda step: None,
        *,
        application: Application | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._claim = None if isinstance(home, Path) else home
        self.home = (home if isinstance(home, Path) else home.path).resolve()
        self._on_progress = on_progress
        self._application = application or Application()
        self._given = dict(os.environ if environment is None else environment)
        self._outside = {name for name in _OUTSIDE if self._given.get(name)}
        self._postgres = EmbeddedPostgres(self.home / "postgres")
        self._postgres_starting: asyncio.Task[None] | None = None
        self._postgres_watch: asyncio.Task[None] | None = None
        self._ports: dict[str, Reservation] = {}
        self._environment: dict[str, str] = {}
        self._supervisor: Supervisor | None = None

    @property
    def endpoints(self) -> Endpoints:
        """The addresses of the parts."""
        return Endpoints(
            api=self._url("api"),
            api_docs=f"{self._url('api')}/docs",
            temporal_ui=self.environment["TEMPORAL_UI_URL"],
            temporal_address=self.environment["TEMPORAL_ADDRESS"],
            mailbox=None if "SMTP_URL" in self._outside else self._url("mailbox"),
            stripe=None if "STRIPE_API_KEY" in self._outside else self._url("stripe"),
            database_url=self.environment["DATABASE_URL"],
        )

    @property
    def environment(self) -> dict[str, str]:
        """The settings of the application processes, as environment variables."""
        if not self._environment:
            raise RuntimeError("this stack is not running")
        return dict(self._environment)

    @property
    def supervisor(self) -> Supervisor:
        """Runs the programs: `temporal`, `stripe`, `mailbox`, `worker` and `api`."""
        if self._supervisor is None:
            raise RuntimeError("this stack is not running")
        return self._supervisor

    async def failed(self) -> None:
        """Wait, for as long as the stack goes well. Raises `StackError` when it cannot go on."""
        try:
            await asyncio.shield(self.supervisor.failed)
        except ProgramFailedError as error:
            raise StackError(error.program.name, error) from error

    async def __aenter__(self) -> Self:
        self._supervisor = Supervisor(self._tell_of_restart)
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self._ports = reserve_ports(self.home, [n for n, outside in _PORTS.items() if outside not in self._outside])
            self._environment = self._settings()
            await self._bring_up()
        except BaseException:
            await self._tear_down()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tear_down()

    async def _bring_up(self) -> None:
        run = self._application
        await _together(
            self._step("PostgreSQL", self._start_postgres, outside="DATABASE_URL"),
            self._step("Temporal", self._start_temporal, outside="TEMPORAL_ADDRESS"),
            self._step("Stripe double", self._start_stripe, outside="STRIPE_API_KEY"),
            self._step("Mailbox", self._start_mailbox, outside="SMTP_URL"),
        )
        await self._step("Schema", self._migrate, needless=not run.migrate)
        await self._step("Sample academy", self._seed, needless=not run.seed)
        await _together(
            self._step("Worker", self._start_worker, needless=not run.worker),
            self._step("API", self._start_api, needless=not run.api),
        )

    async def _tear_down(self) -> None:
        if self._postgres_watch is not None:
            self._postgres_watch.cancel()
        await self.supervisor.stop()
        if self._postgres_starting is not None:
            # A thread cannot be cancelled: what it is about to start must have started before it can be stopped.
            await asyncio.wait([self._postgres_starting])
        await asyncio.to_thread(self._postgres.stop)
        for reservation in self._ports.values():
            reservation.release()
        if self._claim is not None:
            self._claim.release()

    async def _step(
        self, name: str, action: Callable[[], Awaitable[str]], *, outside: str | None = None, needless: bool = False
    ) -> None:
        started = time.monotonic()
        if needless or outside in self._outside:
            self._on_progress(StackStep(name, "skipped", f"{outside} is set" if outside else "not wanted", 0))
            return
        self._on_progress(StackStep(name, "starting", "", 0))
        try:
            detail = await action()
        except Exception as error:
            self._on_progress(StackStep(name, "failed", str(error), time.monotonic() - started))
            raise StackError(name, error) from error
        self._on_progress(StackStep(name, "ready", detail, time.monotonic() - started))

    def _tell_of_restart(self, program: Program, what: str, back: bool) -> None:
        self._on_progress(StackStep(program.name, "ready" if back else "starting", what, 0))

    async def _start_postgres(self) -> str:
        def start() -> None:
            self._postgres.start()
            self._postgres.ensure_database(_DATABASE)

        self._postgres_starting = asyncio.create_task(asyncio.to_thread(start))
        await asyncio.shield(self._postgres_starting)
        self._postgres_watch = asyncio.create_task(self._watch_postgres())
        return "embedded, through a Unix socket"

    async def _watch_postgres(self) -> None:
        # The server is a daemon and nobody's child, so nobody but us would notice.
        while True:
            await asyncio.sleep(_POSTGRES_CHECK_SECONDS)
            if not self._postgres.is_running():
                self._on_progress(StackStep("PostgreSQL", "starting", "the server died; it starts again", 0))
                try:
                    await asyncio.to_thread(self._postgres.restart)
                except PostgresError as error:
                    if not self.supervisor.failed.done():
                        self.supervisor.failed.set_exception(StackError("PostgreSQL", error))
                    return
                self._on_progress(StackStep("PostgreSQL", "ready", "is back", 0))

    async def _start_temporal(self) -> str:
        address = self._environment["TEMPORAL_ADDRESS"]
        command = server_command(
            port=self._ports["temporal"].port,
            ui_port=self._ports["temporal_ui"].port,
            db_file=self.home / "temporal.sqlite",
        )
        await self._keep_running(
            "temporal", command, lambda: is_healthy(address), ports=("temporal", "temporal_ui"), stop_within=10
        )
        return self._url("temporal_ui")

    async def _start_stripe(self) -> str:
        command = [
            sys.executable, "-m", "sandbox.stripe_double",
            "--host", "127.0.0.1", "--port", str(self._ports["stripe"].port),
            "--data", str(self.home / "stripe.sqlite"),
            "--api-key", STRIPE_TEST_KEY, "--publishable-key", PUBLISHABLE_KEY,
            "--webhook-url", f"{self._url('api')}/v1/webhooks/stripe",
            "--webhook-secret", self._environment["STRIPE_WEBHOOK_SECRETS"],
            "--public-url", self._url("stripe"),
        ]  # fmt: skip
        await self._keep_running("stripe", command, re.compile("stripe double listening"), ports=("stripe",))
        return self._url("stripe")

    async def _start_mailbox(self) -> str:
        command = [
            sys.executable, "-m", "sandbox.mailbox", "--maildir", str(self.home / "maildir"),
            "--smtp-port", str(self._ports["smtp"].port), "--http-port", str(self._ports["mailbox"].port),
        ]  # fmt: skip
        await self._keep_running("mailbox", command, re.compile("mailbox listening"), ports=("smtp", "mailbox"))
        return self._url("mailbox")

    async def _migrate(self) -> str:
        await self.supervisor.run(self._program("migrate", self._application.migrate))
        return "database and search attributes"

    async def _seed(self) -> str:
        await self.supervisor.run(self._program("academy", self._application.seed))
        return "people, courses, slots, coupons"

    async def _start_worker(self) -> str:
        ready = self._application.worker_is_ready
        await self._keep_running("worker", self._application.worker, ready, ports=("worker_metrics",))
        if self._application.promote:
            await self.supervisor.run(self._program("promote", self._application.promote))
        return "waits for work"

    async def _start_api(self) -> str:
        port, path = self._ports["api"].port, self._application.health

        async def is_ready() -> bool:
            return await asyncio.to_thread(_answers_ok, port, path)

        command = [argument.replace("{port}", str(port)) for argument in self._application.api]
        await self._keep_running("api", command, is_ready, ports=("api",))
        return f"{self._url('api')}/docs"

    async def _keep_running(
        self,
        name: str,
        command: Sequence[str],
        ready: Ready | None,
        *,
        ports: Sequence[str],
        stop_within: float = 35,
    ) -> None:
        def hand_over() -> None:
            for port in ports:
                self._ports[port].hand_over()

        program = self._program(name, command, restart="always", stop_within=stop_within, before_start=hand_over)
        await self.supervisor.start(program, ready)

    def _program(
        self,
        name: str,
        command: Sequence[str],
        *,
        restart: Restart = "never",
        stop_within: float = 35,
        before_start: Callable[[], None] | None = None,
    ) -> Program:
        log = self.home / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        # Wide, so that one event is one line; unbuffered, so that the last words before a crash are there.
        env = {**self._given, "COLUMNS": "160", "PYTHONUNBUFFERED": "1", **self._environment}
        return Program(name, command, env, log, restart=restart, stop_within=stop_within, before_start=before_start)

    def _settings(self) -> dict[str, str]:
        secrets = stack_secrets(self.home)
        chosen = {
            # For whoever reads the files in `logs/`.
            "LOG_FORMAT": "text",
            "PUBLIC_URL": self._url("api"),
            "JWT_SECRET": secrets["jwt"],
            "LINK_SECRET": secrets["link"],
            "FILES_URL": (self.home / "files").as_uri(),
            "STRIPE_WEBHOOK_SECRETS": secrets["webhook"],
            "TEMPORAL_UI_URL": "http://127.0.0.1:8233",
            "WORKER_METRICS_ADDRESS": f"127.0.0.1:{self._ports['worker_metrics'].port}",
        }
        # What the environment says about our own parts counts, except about a part that is embedded.
        chosen |= {name: self._given[name] for name in chosen if self._given.get(name)}
        chosen |= {name: self._given[name] for name in self._outside}
        if "DATABASE_URL" not in self._outside:
            chosen["DATABASE_URL"] = self._postgres.url(_DATABASE)
        if "TEMPORAL_ADDRESS" not in self._outside:
            chosen["TEMPORAL_ADDRESS"] = f"127.0.0.1:{self._ports['temporal'].port}"
            chosen["TEMPORAL_UI_URL"] = self._url("temporal_ui")
            chosen["TEMPORAL_NAMESPACE"] = "default"
        if "SMTP_URL" not in self._outside:
            chosen["SMTP_URL"] = f"smtp://127.0.0.1:{self._ports['smtp'].port}"
        if "STRIPE_API_KEY" not in self._outside:
            chosen["STRIPE_API_KEY"] = STRIPE_TEST_KEY
            chosen["STRIPE_PUBLISHABLE_KEY"] = PUBLISHABLE_KEY
            chosen["STRIPE_API_BASE"] = self._url("stripe")
            chosen["STRIPE_WEBHOOK_SECRETS"] = secrets["webhook"]
        return chosen

    def _url(self, part: str) -> str:
        return f"http://127.0.0.1:{self._ports[part].port}"


async def _together(*steps: Awaitable[None]) -> None:
    """Run the steps at the same time. When one fails, the others are cancelled and its error alone is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(_waiting_for(step))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors.exceptions[0].__cause__


async def _waiting_for(step: Awaitable[None]) -> None:
    await step


def _answers_ok(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
