"""The connection to PostgreSQL that activities and routes share."""

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

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


def sessions_of(engine: AsyncEngine) -> Sessions:
    """Sessions whose objects stay readable after the commit."""
    return async_sessionmaker(engine, expire_on_commit=False)
