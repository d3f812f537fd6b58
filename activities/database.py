"""The connection to PostgreSQL that activities and routes share."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

Sessions = async_sessionmaker[AsyncSession]


def open_database(url: str, pool_size: int) -> AsyncEngine:
    """An engine with a bounded pool. Connections are checked before use, so a restarted database is no error."""
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,
        connect_args={"timeout": 10, "command_timeout": 30},
    )


def open_snapshots(engine: AsyncEngine, patience: timedelta) -> AsyncEngine:
    """Connections to the same database whose transactions see one moment of it, for statements that take minutes.

    The server ends one that takes longer than `patience`; the pool of the others is not asked for them. Each connection
    is closed after its use.
    """
    seconds = patience.total_seconds()
    return create_async_engine(
        engine.url,
        poolclass=NullPool,
        isolation_level="REPEATABLE READ",
        hide_parameters=True,
        connect_args={
            "timeout": 10,
            "command_timeout": seconds + 30,
            "server_settings": {"statement_timeout": str(round(seconds * 1000)), "TimeZone": "UTC"},
        },
    )


def sessions_of(engine: AsyncEngine) -> Sessions:
    """Sessions whose objects stay readable after the commit."""
    return async_sessionmaker(engine, expire_on_commit=False)
