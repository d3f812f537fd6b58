"""The real parts that tests share: PostgreSQL, two Temporal servers, a mailbox, the Stripe double."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

import migrations
import models.tables  # noqa: F401 - fills the metadata
from activities.database import Sessions, open_database, sessions_of
from sandbox.postgres import EmbeddedPostgres
from models import search
from workflows.registration import add_search_attributes


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
    names = ", ".join(table.name for table in SQLModel.metadata.sorted_tables)
    async with engine.begin() as connection:
        await connection.execute(text(f"TRUNCATE {names} CASCADE"))
    return sessions_of(engine)


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
