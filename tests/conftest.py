"""The real parts that tests share: PostgreSQL, two Temporal servers, a mailbox, the Stripe double."""

import asyncio
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import hypothesis  # imported late, deep in a stack, it crashes the compiler of CPython 3.11.7
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowExecution, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

import migrations
from activities.database import Sessions, open_database, sessions_of
from models import search
from sandbox.mailbox import Mailbox
from sandbox.ports import listen_on
from sandbox.postgres import EmbeddedPostgres
from sandbox.stripe_double import StripeDouble
from sandbox.temporal import EmbeddedTemporal
from settings import Settings
from tests.crew import Crew
from tests.fresh_record import empty_record, keep_fresh_records, load_academy
from tests.installation import Installation, serving
from tests.thoroughness import IS_THOROUGH
from worker import WORKFLOWS, sandboxed_runner
from workflows.connection import connect
from workflows.registration import add_search_attributes, register_search_attributes

# The same examples each time, however long a busy machine takes over one of them.
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, max_examples=400 if IS_THOROUGH else 40
)
hypothesis.settings.load_profile("repeatable")

# Begun first, they leave nobody idle at the end. Those that wait for processes to be missed share the processors well
# with one that does not.
_LONGEST = (
    "test_demo.py",
    "test_crashes.py",
    "test_outages.py",
    "test_soak.py",
    "test_recipes.py",
    "test_order_end_to_end.py",
    "test_certificate_end_to_end.py",
    "test_worker_killed.py",
    "test_export_killed.py",
    "test_letters.py",
    "test_refund_requests.py",
    "test_refund_watch.py",
    "test_ways_to_pay.py",
    "test_cart_interleavings.py",
    "test_marketing_mail.py",
    "test_cascade.py",
    "test_interleavings.py",
    "test_document_pdf.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole files are handed out in this order, if xdist is told not to sort them by how many tests they have."""
    items.sort(key=lambda item: _LONGEST.index(item.path.name) if item.path.name in _LONGEST else len(_LONGEST))


def pytest_collection_finish() -> None:
    """What is imported by now stays, so the collector need not go through it again and again: a fifth of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server of this test run, without the waits that durability costs."""
    folder = Path(tempfile.mkdtemp(prefix="registrar-pg-"))
    with EmbeddedPostgres(folder / "data", durable=False) as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def database_url(postgres: EmbeddedPostgres) -> str:
    """A migrated, empty database."""
    postgres.ensure_database("registrar")
    url = postgres.url("registrar")
    await asyncio.to_thread(migrations.upgrade, url)
    await keep_fresh_records(url)
    return url


@pytest.fixture(scope="session")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """The tests' own connections, beside those of the parts under test."""
    opened = open_database(database_url, 20)
    yield opened
    await opened.dispose()


@pytest.fixture
async def sessions(engine: AsyncEngine) -> Sessions:
    """Sessions on the database with every table emptied."""
    opened = sessions_of(engine)
    await empty_record(opened)
    return opened


@pytest.fixture
async def fast_temporal() -> AsyncIterator[WorkflowEnvironment]:
    """The time-skipping server: a year in a second, but no visibility, schedules or reset.

    One for each test, since its clock, once ahead, never comes back to that of the activities.
    """
    binary = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter, test_server_existing_path=binary
    ) as environment:
        # This server cannot list the attributes it has.
        await add_search_attributes(environment.client, {key.name for key in search.ALL})
        yield environment


@pytest.fixture(scope="session")
async def real_temporal() -> AsyncIterator[Client]:
    """The real server, in memory, with our search attributes."""
    async with EmbeddedTemporal() as server:
        client = await connect(server.address, "default")
        await register_search_attributes(client)
        yield client


@pytest.fixture(scope="session")
async def shared_installation(
    database_url: str, engine: AsyncEngine, real_temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """The API, Stripe double and mailbox of this test run, without workers."""
    folder = tmp_path_factory.mktemp("installation")
    listener = listen_on()
    public_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    secret = "whsec_of_this_test_run"
    async with (
        StripeDouble.serve(webhook_url=f"{public_url}/v1/webhooks/stripe", webhook_secret=secret) as double,
        Mailbox.serve(folder / "maildir") as mailbox,
        httpx.AsyncClient(base_url=public_url, timeout=60) as http,
    ):
        settings = Settings.model_validate(
            {
                "database_url": database_url,
                "temporal_address": real_temporal.service_client.config.target_host,
                "stripe_api_key": double.api_key,
                "stripe_api_base": double.url,
                "stripe_webhook_secrets": secret,
                "stripe_publishable_key": double.publishable_key,
                "smtp_url": mailbox.smtp_url,
                "files_url": (folder / "files").as_uri(),
                "public_url": public_url,
                "jwt_secret": os.urandom(32).hex(),
                "link_secret": os.urandom(32).hex(),
            }
        )
        async with serving(settings, listener):
            yield Installation(settings, http, real_temporal, sessions_of(engine), double, mailbox)


@pytest.fixture(scope="module")
async def crew(shared_installation: Installation) -> AsyncIterator[Crew]:
    """The workers of one file of tests, away until a test needs them."""
    hired = Crew(shared_installation)
    yield hired
    await hired.leave()


@pytest.fixture
async def idle_installation(
    request: pytest.FixtureRequest, shared_installation: Installation, crew: Crew, sessions: Sessions
) -> AsyncIterator[Installation]:
    """A fresh academy with nobody at work: tests start the workers themselves."""
    if "installation" not in request.fixturenames:
        await crew.leave()
    await load_academy(sessions)
    await shared_installation.double.control.reset()
    shared_installation.mailbox.clear()
    temporal, begun = shared_installation.temporal, datetime.now(UTC)
    yield shared_installation
    await _terminate_all(temporal, crew)
    await _replay(temporal, [run async for run in temporal.list_workflows(f'StartTime >= "{begun.isoformat()}"')])


async def _terminate_all(temporal: Client, crew: Crew) -> None:
    """Nothing of this test may reach into the next one: neither a job that goes on, nor a step that it left behind."""
    while True:
        running = [run async for run in temporal.list_workflows('ExecutionStatus="Running"')]
        await asyncio.gather(*(_terminate(temporal, run) for run in running))
        await crew.finish()
        if not running:
            return


async def _terminate(temporal: Client, run: WorkflowExecution) -> None:
    try:
        await temporal.get_workflow_handle(run.id, run_id=run.run_id).terminate("the test is over")
    except RPCError as error:
        # The workers are still there, and may have come to its end by themselves.
        if error.status != RPCStatusCode.NOT_FOUND:
            raise


async def _replay(temporal: Client, runs: list[WorkflowExecution]) -> None:
    """Whatever a test made workflows do, a worker that starts afresh has to be able to go on with it."""

    async def histories() -> AsyncIterator[WorkflowHistory]:
        for run in runs:
            yield await temporal.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()

    # Every workflow that a replayer knows is prepared once more in a sandbox of its own.
    known = [each for each in WORKFLOWS if each.__name__ in {run.workflow_type for run in runs}]
    if runs:
        replayer = Replayer(workflows=known, workflow_runner=sandboxed_runner(), data_converter=pydantic_data_converter)
        await replayer.replay_workflows(histories())


@pytest.fixture
async def installation(idle_installation: Installation, crew: Crew) -> Installation:
    """A fresh academy with workers at work."""
    await crew.work()
    return idle_installation
