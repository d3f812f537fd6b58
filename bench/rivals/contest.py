"""The same five-step order carried by DBOS, by Celery and by bare Temporal, on the PostgreSQL server of the run."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
from dbos import DBOSClient, EnqueueOptions
from sqlalchemy import text

from bench.figures import Round
from bench.rig import Rig
from bench.rivals import celery_app, steps
from bench.rivals.dbos_worker import QUEUE, VERSION, WORKFLOW
from bench.rivals.steps import Places
from bench.rivals.temporal_workflow import FIVE_STEPS_QUEUE, FiveStepsWorkflow
from bench.timing import in_lanes
from sandbox.ports import listen_on
from sandbox.processes import Program, Supervisor
from sandbox.stack import STRIPE_TEST_KEY

_DATABASES = {"five_steps_temporal": "Temporal", "five_steps_dbos": "DBOS", "five_steps_celery": "Celery"}
_DIES_OFTEN = 10_000
# What the workers say once they take orders.
_TEMPORAL_IS_READY = "five steps polls"
_DBOS_IS_READY = "dbos worker polls"
_CELERY_IS_READY = r"celery@.* ready\."


@dataclass
class Rival:
    """One engine with its worker process, its tables and how an order is begun."""

    name: str
    program: str
    processor_name: str
    is_ready: str
    record: asyncpg.Connection
    begin: Callable[[str], Awaitable[object]]
    _waiting: dict[str, asyncio.Future[None]] = field(default_factory=dict)

    async def listen(self) -> None:
        """Hear of every order that is through, so that nothing is asked for that."""
        await self.record.add_listener(steps.MAILED, lambda *told: self._told(str(told[-1])))

    def _told(self, order_id: str) -> None:
        if (future := self._waiting.pop(order_id, None)) is not None and not future.done():
            future.set_result(None)

    async def carry(self, order_id: str) -> None:
        """One order until its mail is sent."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[order_id] = future
        await self.begin(order_id)
        await future

    async def round(self, orders: int, lanes: int) -> Round:
        """So many, side by side."""
        timing, _ = await in_lanes([str(uuid4()) for _ in range(orders)], lanes, self.carry)
        return Round.of(timing)


@dataclass
class Contest:
    """The rivals, ready."""

    supervisor: Supervisor
    rivals: Sequence[Rival]
    stripe_url: str


@asynccontextmanager
async def contest(rig: Rig) -> AsyncIterator[Contest]:
    """Bring up a worker process for each, and a Stripe double that tells nobody; leaving stops them."""
    supervisor = Supervisor()
    records: list[asyncpg.Connection] = []
    try:
        stripe_url = await _stripe(rig, supervisor)
        urls = {database: await _database(rig, database) for database in _DATABASES}
        smtp_port = urlsplit(rig.settings.smtp_url.get_secret_value()).port
        assert smtp_port is not None  # noqa: S101 - the stack's mailbox
        rivals = []
        for database, name in _DATABASES.items():
            places = Places(urls[database], stripe_url, STRIPE_TEST_KEY, smtp_port)
            record = await asyncpg.connect(urls[database].replace("+psycopg", ""))
            records.append(record)
            rival = await _STARTS[name](rig, supervisor, places, record)
            await rival.listen()
            await rival.round(10, 2)
            rivals.append(rival)
        yield Contest(supervisor, rivals, stripe_url)
    finally:
        for record in records:
            await record.close()
        await supervisor.stop()


async def _database(rig: Rig, name: str) -> str:
    """A database of its own on the same server; its URL for psycopg."""
    async with rig.engine.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text(f"CREATE DATABASE {name}"))
    url = rig.engine.url.set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)
    record = await asyncpg.connect(url.replace("+psycopg", ""))
    for statement in steps.SCHEMA:
        await record.execute(statement)
    await record.close()
    return url


async def _stripe(rig: Rig, supervisor: Supervisor) -> str:
    """A double of their own: the webhooks of the other one would be Registrar's work."""
    with listen_on() as listener:
        port = listener.getsockname()[1]
    command = [
        sys.executable, "-m", "sandbox.stripe_double", "--port", str(port), "--api-key", STRIPE_TEST_KEY,
        "--data", str(rig.home / "rivals-stripe.sqlite"),
    ]  # fmt: skip
    await supervisor.start(_program(rig, "rivals-stripe", command, {}), re.compile("stripe double listening"))
    return f"http://127.0.0.1:{port}"


async def _start_temporal(rig: Rig, supervisor: Supervisor, places: Places, record: asyncpg.Connection) -> Rival:
    command = [sys.executable, "-m", "bench.rivals.temporal_worker", rig.settings.temporal_address]
    await supervisor.start(
        _program(rig, "five-steps-temporal", command, places.environment), re.compile(_TEMPORAL_IS_READY)
    )

    async def begin(order_id: str) -> None:
        await rig.temporal.start_workflow(
            FiveStepsWorkflow.run, order_id, id=f"five-steps-{order_id}", task_queue=FIVE_STEPS_QUEUE
        )

    return Rival(
        "the five steps on bare Temporal",
        "five-steps-temporal",
        "five steps on Temporal",
        _TEMPORAL_IS_READY,
        record,
        begin,
    )


async def _start_dbos(rig: Rig, supervisor: Supervisor, places: Places, record: asyncpg.Connection) -> Rival:
    own = {"RIVALS_DBOS_URL": places.database_url}
    command = [sys.executable, "-m", "bench.rivals.dbos_worker"]
    program = _program(rig, "five-steps-dbos", command, places.environment | own)
    await supervisor.start(program, re.compile(_DBOS_IS_READY))
    client = await asyncio.to_thread(DBOSClient, system_database_url=places.database_url)

    async def begin(order_id: str) -> None:
        options = EnqueueOptions(queue_name=QUEUE, workflow_name=WORKFLOW, workflow_id=order_id, app_version=VERSION)
        await client.enqueue_async(options, order_id)

    return Rival("DBOS, a workflow of five steps", "five-steps-dbos", "DBOS worker", _DBOS_IS_READY, record, begin)


async def _start_celery(rig: Rig, supervisor: Supervisor, places: Places, record: asyncpg.Connection) -> Rival:
    own = {"RIVALS_CELERY_URL": f"sqla+{places.database_url}"}
    celery_app.app.conf.broker_url = own["RIVALS_CELERY_URL"]
    command = [
        sys.executable, "-m", "celery", "--app", "bench.rivals.celery_app", "worker", "--pool", "prefork",
        "--concurrency", "4", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO",
    ]  # fmt: skip
    await supervisor.start(
        _program(rig, "five-steps-celery", command, places.environment | own), re.compile(_CELERY_IS_READY)
    )

    async def begin(order_id: str) -> None:
        await asyncio.to_thread(celery_app.order(order_id).apply_async)

    return Rival("Celery, a chain of five tasks", "five-steps-celery", "Celery worker", _CELERY_IS_READY, record, begin)


_STARTS = {"Temporal": _start_temporal, "DBOS": _start_dbos, "Celery": _start_celery}


def _program(rig: Rig, name: str, command: list[str], own: dict[str, str]) -> Program:
    plain = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "PYTHONPATH") if key in os.environ}
    log = rig.home / "logs" / f"{name}.log"
    # Celery's parent and its children are one group, so that all of them die at once.
    return Program(name, command, plain | own, log, restart="always", give_up_after=_DIES_OFTEN)
