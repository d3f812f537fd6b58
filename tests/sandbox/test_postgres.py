"""The embedded PostgreSQL: durable, recovering, alone on its data, and gone when we are."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from sandbox.postgres import EmbeddedPostgres, PostgresError
from tests.eventually import eventually

OWNER = """
import sys
from pathlib import Path
from sandbox.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Neither the length nor the characters of a path may matter.
    return tmp_path_factory.mktemp("a folder: with a name that is far too long for the address of a socket") / "data"


@pytest.fixture
def server(data: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(data, durable=True) as started:
        started.ensure_database("academy")
        yield started


@asynccontextmanager
async def connected(server: EmbeddedPostgres, database: str = "academy") -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url(database).replace("+asyncpg", ""))
    try:
        yield connection
    finally:
        connection.terminate()


async def test_sqlalchemy_and_asyncpg_take_the_url(server: EmbeddedPostgres) -> None:
    engine = create_async_engine(server.url("academy"))
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT current_database()"))).scalar_one() == "academy"
    await engine.dispose()
    async with connected(server) as connection:
        assert await connection.fetchval("SHOW max_connections") == "200"
        assert await connection.fetchval("SHOW fsync") == "on"
        assert await connection.fetchval("SHOW listen_addresses") == ""
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
        assert await connection.fetchval("SELECT upper('łódź')") == "ŁÓDŹ"


async def test_databases_are_made_once_and_dropped_under_their_clients(server: EmbeddedPostgres) -> None:
    name = 'it\'s a "database"'
    server.ensure_database(name)
    server.ensure_database(name)
    async with connected(server, name) as connection:
        assert await connection.fetchval("SELECT current_database()") == name
        server.drop_database(name)
        server.drop_database(name)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(server.url(name).replace("+asyncpg", ""))


async def test_what_was_committed_survives_a_crash(server: EmbeddedPostgres) -> None:
    async with connected(server) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS seats (name text)")
        await connection.execute("INSERT INTO seats VALUES ('committed')")
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("INSERT INTO seats VALUES ('open')")
        server.restart(immediate=True)
    async with connected(server) as connection:
        assert await connection.fetchval("SELECT string_agg(name, ',') FROM seats") == "committed"
    server.restart()
    async with connected(server) as connection:
        assert await connection.fetchval("SELECT count(*) FROM seats") == 1


async def test_a_killed_server_starts_again(server: EmbeddedPostgres) -> None:
    assert server.is_running()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)

    async def is_dead() -> bool:
        return not server.is_running()

    await eventually(is_dead)
    server.restart()
    async with connected(server) as connection:
        assert await connection.fetchval("SELECT 1") == 1


def test_one_folder_has_one_owner(server: EmbeddedPostgres, data: Path) -> None:
    with pytest.raises(PostgresError, match="another process"):
        EmbeddedPostgres(data).start()
    assert server.is_running()


async def test_a_record_whose_number_is_now_somebody_elses_is_no_hindrance(data: Path) -> None:
    with EmbeddedPostgres(data, durable=False) as server:
        record = (data / "postmaster.pid").read_text()
        assert server.is_running()
    lines = record.splitlines()
    lines[0] = str(os.getpid())
    (data / "postmaster.pid").write_text("\n".join(lines))
    with EmbeddedPostgres(data, durable=False) as server:
        server.ensure_database("academy")
        async with connected(server) as connection:
            assert await connection.fetchval("SHOW fsync") == "off"


async def test_no_server_outlives_its_killed_owner(data: Path) -> None:
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", OWNER, str(data), stdin=-1, stdout=-1)
    assert owner.stdout is not None
    pid = int(await owner.stdout.readline())
    server = psutil.Process(pid)
    owner.kill()
    await owner.wait()

    async def is_gone() -> bool:
        return not server.is_running() or server.status() == psutil.STATUS_ZOMBIE

    await eventually(is_gone)
    with EmbeddedPostgres(data) as again:
        assert again.is_running()


def test_a_failure_shows_the_log(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "data", durable=False):
        pass
    with (tmp_path / "data" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(PostgresError, match="no_such_setting"):
        EmbeddedPostgres(tmp_path / "data", durable=False).start()
