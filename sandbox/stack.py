"""The whole stack on one machine: PostgreSQL, Temporal, Stripe double, mailbox, worker and API, wired together.

A part that the environment names (`DATABASE_URL`, `TEMPORAL_ADDRESS`, `SMTP_URL`, `STRIPE_API_KEY`, `FILES_URL`)
is used instead of its embedded twin.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import httpx
from pydantic import BaseModel, ConfigDict

from sandbox.home import Home
from sandbox.postgres import EmbeddedPostgres
from sandbox.processes import Program, Supervisor, says
from sandbox.temporal import server_command, wait_until_healthy

STRIPE_TEST_KEY = "sk_test_sandbox"
PUBLISHABLE_KEY = "pk_test_sandbox"


@dataclass(frozen=True)
class StackStep:
    """One line of progress."""

    name: str
    state: Literal["starting", "ready", "skipped", "failed"]
    detail: str
    seconds: float


class Endpoints(BaseModel):
    """Where to find the parts of a running stack."""

    model_config = ConfigDict(frozen=True)

    api: str
    api_docs: str
    temporal_ui: str
    temporal_address: str
    mailbox: str | None
    stripe: str | None
    database_url: str


class Stack:
    """Everything one machine needs. An async context manager: leaving it stops what it started."""

    def __init__(self, home: Home, on_progress: Callable[[StackStep], None]) -> None:
        self._home, self._on_progress = home, on_progress
        self._ports = home.ports()
        self._secrets = home.secrets()
        self._outside = {
            name: os.environ[name]
            for name in ("DATABASE_URL", "TEMPORAL_ADDRESS", "SMTP_URL", "STRIPE_API_KEY", "FILES_URL")
            if os.environ.get(name)
        }
        self._postgres = EmbeddedPostgres(home.path / "postgres")
        self._environment: dict[str, str] = {}
        self._supervisor: Supervisor | None = None

    @property
    def endpoints(self) -> Endpoints:
        """The addresses; complete once the stack is up."""
        return Endpoints(
            api=self._url("api"),
            api_docs=f"{self._url('api')}/docs",
            temporal_ui=self._environment["TEMPORAL_UI_URL"],
            temporal_address=self._environment["TEMPORAL_ADDRESS"],
            mailbox=None if "SMTP_URL" in self._outside else self._url("mailbox"),
            stripe=None if "STRIPE_API_KEY" in self._outside else self._url("stripe"),
            database_url=self._environment["DATABASE_URL"],
        )

    @property
    def environment(self) -> dict[str, str]:
        """The settings of the application processes, as environment variables."""
        return self._environment

    @property
    def supervisor(self) -> Supervisor:
        """Runs the processes; its `failed` tells when the stack can no longer go on."""
        assert self._supervisor is not None  # noqa: S101 - set on entering
        return self._supervisor

    async def __aenter__(self) -> Self:
        self._supervisor = Supervisor()
        try:
            await self._bring_up()
        except BaseException:
            await self._tear_down()
            raise
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._tear_down()

    async def _bring_up(self) -> None:
        await asyncio.gather(
            self._step("PostgreSQL", "DATABASE_URL", self._start_postgres),
            self._step("Temporal", "TEMPORAL_ADDRESS", self._start_temporal),
            self._step("Stripe double", "STRIPE_API_KEY", self._start_stripe),
            self._step("Mailbox", "SMTP_URL", self._start_mailbox),
        )
        self._environment = self._settings()
        await self._step("Schema", None, self._migrate)
        await self._step("Sample academy", None, self._load_academy)
        await asyncio.gather(self._step("Worker", None, self._start_worker), self._step("API", None, self._start_api))

    async def _tear_down(self) -> None:
        await self.supervisor.stop()
        await asyncio.to_thread(self._postgres.stop)
        self._home.release()

    async def _step(self, name: str, outside: str | None, action: Callable[[], Awaitable[str]]) -> None:
        started = time.monotonic()
        if outside in self._outside:
            self._on_progress(StackStep(name, "skipped", f"{outside} is set", 0))
            return
        self._on_progress(StackStep(name, "starting", "", 0))
        try:
            detail = await action()
        except Exception as error:
            self._on_progress(StackStep(name, "failed", str(error), time.monotonic() - started))
            raise
        self._on_progress(StackStep(name, "ready", detail, time.monotonic() - started))

    async def _start_postgres(self) -> str:
        await asyncio.to_thread(self._postgres.start)
        await asyncio.to_thread(self._postgres.ensure_database, "registrar")
        return "embedded, socket only"

    async def _start_temporal(self) -> str:
        command = server_command(
            port=self._ports["temporal"],
            ui_port=self._ports["temporal_ui"],
            db_file=self._home.path / "temporal.sqlite",
        )
        address = f"127.0.0.1:{self._ports['temporal']}"

        async def healthy() -> bool:
            try:
                await wait_until_healthy(address, 0.5)
            except TimeoutError:
                return False
            return True

        await self.supervisor.start(self._program("temporal", command), healthy)
        return self._url("temporal_ui")

    async def _start_stripe(self) -> str:
        command = [
            sys.executable, "-m", "sandbox.stripe_double",
            "--host", "127.0.0.1", "--port", str(self._ports["stripe"]),
            "--data", str(self._home.path / "stripe.sqlite"),
            "--api-key", STRIPE_TEST_KEY, "--publishable-key", PUBLISHABLE_KEY,
            "--webhook-url", f"{self._url('api')}/v1/webhooks/stripe", "--webhook-secret", self._secrets["webhook"],
            "--public-url", self._url("stripe"),
        ]  # fmt: skip
        program = self._program("stripe", command)
        await self.supervisor.start(program, says(program.log, "stripe double listening"))
        return self._url("stripe")

    async def _start_mailbox(self) -> str:
        command = [
            sys.executable, "-m", "sandbox.mailbox", "--maildir", str(self._home.path / "maildir"),
            "--smtp-port", str(self._ports["smtp"]), "--http-port", str(self._ports["mailbox"]),
        ]  # fmt: skip
        program = self._program("mailbox", command)
        await self.supervisor.start(program, says(program.log, "mailbox listening"))
        return self._url("mailbox")

    async def _migrate(self) -> str:
        await self.supervisor.run(self._program("migrate", self._registrar("migrate")))
        return "database and search attributes"

    async def _load_academy(self) -> str:
        await self.supervisor.run(self._program("academy", self._registrar("academy", "load")))
        return "people, courses, slots, coupons"

    async def _start_worker(self) -> str:
        program = self._program("worker", self._registrar("worker"), restart=True)
        await self.supervisor.start(program, says(program.log, "worker polls"))
        await self.supervisor.run(self._program("promote", self._registrar("promote")))
        return "polls registrar and registrar-documents"

    async def _start_api(self) -> str:
        command = self._registrar("api", "--host", "127.0.0.1", "--port", str(self._ports["api"]))

        async def ready() -> bool:
            try:
                async with httpx.AsyncClient() as http:
                    return (await http.get(f"{self._url('api')}/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await self.supervisor.start(self._program("api", command, restart=True), ready)
        return f"{self._url('api')}/docs"

    def _settings(self) -> dict[str, str]:
        embedded = {
            "DATABASE_URL": "" if "DATABASE_URL" in self._outside else self._postgres.url("registrar"),
            "TEMPORAL_ADDRESS": f"127.0.0.1:{self._ports['temporal']}",
            "TEMPORAL_UI_URL": self._url("temporal_ui"),
            "SMTP_URL": f"smtp://127.0.0.1:{self._ports['smtp']}",
            "STRIPE_API_KEY": STRIPE_TEST_KEY,
            "STRIPE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
            "STRIPE_WEBHOOK_SECRETS": self._secrets["webhook"],
            "FILES_URL": (self._home.path / "files").as_uri(),
            "PUBLIC_URL": self._url("api"),
            "JWT_SECRET": self._secrets["jwt"],
            "WORKER_METRICS_ADDRESS": f"127.0.0.1:{self._ports['worker_metrics']}",
        }
        if "STRIPE_API_KEY" not in self._outside:
            embedded["STRIPE_API_BASE"] = self._url("stripe")
        return embedded | {name: os.environ[name] for name in embedded if name in os.environ} | self._outside

    def _program(self, name: str, command: list[str], *, restart: bool = False) -> Program:
        log = self._home.path / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        plain = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TZ", "TMPDIR") if key in os.environ}
        return Program(name, command, plain | {"COLUMNS": "160", **self._environment}, log, restart)

    def _registrar(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).parent / "registrar"), *arguments]

    def _url(self, part: str) -> str:
        return f"http://127.0.0.1:{self._ports[part]}"
