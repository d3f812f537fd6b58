"""The record as tests find it, empty or with the sample academy, made by the server in one round trip.

Truncating costs new files for every table and index, and loading the academy its files and a statement for each table.
So the academy is loaded once into a schema of its own, which no part of Registrar looks into, and copied from there.
"""

from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel
from tenacity import retry, retry_if_exception, stop_after_attempt

from activities.database import Sessions, open_database, sessions_of
from models.tables.columns import now
from sandbox.sample_academy import load_academy as load_from_files
from sandbox.sample_academy import read_academy

_TABLES = [table.name for table in SQLModel.metadata.sorted_tables]
_ZONE = ZoneInfo(read_academy().academy.time_zone)


def _is_deadlock(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and "deadlock detected" in str(error.orig)


async def keep_fresh_records(database_url: str) -> None:
    """Teach a migrated, empty database to empty itself and to fill itself with the academy of today."""
    engine = open_database(database_url, 1)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA fresh"))
        await connection.execute(text("CREATE TABLE fresh.day AS SELECT CAST(:today AS text) AS day"), _today())
        # Whoever still writes ends before the rows are looked for, as before a truncation.
        await _create(
            connection,
            "empty",
            [
                f"LOCK TABLE {', '.join(_TABLES)} IN SHARE ROW EXCLUSIVE MODE",
                *(f"DELETE FROM {name}" for name in _TABLES),  # noqa: S608
            ],
        )
    await load_from_files(sessions_of(engine))
    async with engine.begin() as connection:
        filled = [name for name in _TABLES if await connection.scalar(text(f"SELECT EXISTS (SELECT FROM {name})"))]  # noqa: S608
        for name in filled:
            await connection.execute(text(f"CREATE TABLE fresh.{name} AS TABLE public.{name}"))
        await _create(
            connection,
            "fill",
            [f"INSERT INTO public.{name} SELECT * FROM fresh.{name}" for name in filled],  # noqa: S608
        )
        await connection.execute(text("SELECT fresh.empty()"))
    await engine.dispose()


@retry(retry=retry_if_exception(_is_deadlock), stop=stop_after_attempt(5), reraise=True)
async def empty_record(sessions: Sessions) -> None:
    """Delete every row. Whoever still writes, such as the loser of a race, may hold what this waits for."""
    async with sessions.begin() as session:
        await session.execute(text("SELECT fresh.empty()"))


async def load_academy(sessions: Sessions) -> None:
    """Write the sample academy of today into an empty record."""
    async with sessions.begin() as session:
        if await session.scalar(text("SELECT day FROM fresh.day")) == _today()["today"]:
            await session.execute(text("SELECT fresh.fill()"))
            return
    # A run that goes on over midnight.
    await load_from_files(sessions)


def _today() -> dict[str, str]:
    return {"today": now().astimezone(_ZONE).date().isoformat()}


async def _create(connection: AsyncConnection, name: str, statements: list[str]) -> None:
    # A replica neither asks for what a row refers to nor minds that history is rewritten.
    body = ";\n".join(statements)
    await connection.execute(
        text(
            f"CREATE FUNCTION fresh.{name}() RETURNS void LANGUAGE plpgsql"
            f" SET session_replication_role = replica AS $$ BEGIN\n{body};\nEND $$"
        )
    )
