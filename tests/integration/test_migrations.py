"""The schema over time: from empty and back, the same as the models say, and safe when two come at once."""

import asyncio
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

import migrations
from sandbox.postgres import EmbeddedPostgres


@pytest.fixture
def empty_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    name = f"migrations_{uuid4().hex[:8]}"
    postgres.ensure_database(name)
    yield postgres.url(name)
    postgres.drop_database(name)


async def tables(url: str) -> set[str]:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        found = set(rows.scalars())
        functions = await connection.execute(
            text("SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'public'")
        )
        found |= set(functions.scalars())
    await engine.dispose()
    return found - {"alembic_version"}


async def test_up_down_and_up_again(empty_database: str) -> None:
    await asyncio.to_thread(migrations.upgrade, empty_database)
    assert {"orders", "people", "refuse_rewriting_history"} <= await tables(empty_database)
    await asyncio.to_thread(migrations.check, empty_database)
    await asyncio.to_thread(migrations.downgrade, empty_database)
    assert await tables(empty_database) == set()
    await asyncio.to_thread(migrations.upgrade, empty_database)
    await asyncio.to_thread(migrations.check, empty_database)


async def test_two_at_once(empty_database: str) -> None:
    program = f"import migrations; migrations.upgrade({empty_database!r})"
    both = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
        for _ in range(2)
    ]
    ended = await asyncio.gather(*(process.communicate() for process in both))
    assert [process.returncode for process in both] == [0, 0], ended
    await asyncio.to_thread(migrations.check, empty_database)
