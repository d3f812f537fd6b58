"""A whole installation of its own for a run: the stack, the floor's worker, a caller, and the clock that reads them."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError

from activities.database import Sessions, open_database, sessions_of
from bench.contenders import Floor, Registrar, enlist, start_floor_worker
from bench.processors import ProcessorClock
from sandbox.home import claim_home
from sandbox.stack import Stack
from sandbox.stripe_double import StripeDoubleControl
from settings import Settings
from workflows.connection import connect

_ALARMS = text("CREATE TABLE floor_alarms (id uuid PRIMARY KEY)")
_EVENTS = text("CREATE TABLE floor_events (event_id text PRIMARY KEY, received_at timestamptz NOT NULL)")


@dataclass
class Rig:
    """What every row of the run works with. Each student orders once."""

    home: Path
    stack: Stack
    settings: Settings
    engine: AsyncEngine
    temporal: Client
    clock: ProcessorClock
    registrar: Registrar
    floor: Floor
    double: StripeDoubleControl
    students: list[UUID]
    tell: Callable[[str], None]
    _taken: int = field(default=0)

    @property
    def sessions(self) -> Sessions:
        """Sessions of the record."""
        return sessions_of(self.engine)

    @property
    def maildir(self) -> Path:
        """Where the mails of the stack arrive."""
        return self.home / "maildir"

    def numbers(self, count: int) -> range:
        """The next students that have not ordered yet. Raises `ValueError` if there are not so many."""
        if self._taken + count > len(self.students):
            raise ValueError(f"the rig has {len(self.students)} students, {self._taken} of them taken")
        self._taken += count
        return range(self._taken - count, self._taken)

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL of the record."""
        return self.settings.database_url.get_secret_value()


@asynccontextmanager
async def rigged(folder: Path, students: int, tell: Callable[[str], None]) -> AsyncIterator[Rig]:
    """Bring everything up in the folder; leaving stops it. `tell` is told how it goes."""
    home = claim_home(folder, "stack")
    async with Stack(home, lambda step: None) as stack:
        settings = Settings.model_validate({key.lower(): value for key, value in stack.environment.items()})
        url = settings.database_url.get_secret_value()
        engine = open_database(url, 10)
        try:
            enlisted = await enlist(sessions_of(engine), students)
            async with engine.begin() as connection:
                await connection.execute(_ALARMS)
                await connection.execute(_EVENTS)
            temporal = await connect(settings.temporal_address, settings.temporal_namespace)
            # It looks for sleeping jobs of others than those that are measured.
            with suppress(RPCError):
                await temporal.get_schedule_handle("wake-drips").pause()
            log = home.path / "logs" / "floor-worker.log"
            await start_floor_worker(stack.supervisor, sys.executable, settings.temporal_address, log, url)
            assert stack.endpoints.stripe is not None  # noqa: S101 - no part from outside is used
            async with (
                Registrar.reached_at(stack.endpoints.api, temporal, settings, enlisted) as registrar,
                StripeDoubleControl(stack.endpoints.stripe) as double,
            ):
                clock = ProcessorClock(home.path / "postgres")
                yield Rig(
                    home=home.path,
                    stack=stack,
                    settings=settings,
                    engine=engine,
                    temporal=temporal,
                    clock=clock,
                    registrar=registrar,
                    floor=Floor(temporal),
                    double=double,
                    students=enlisted,
                    tell=tell,
                )
        finally:
            await engine.dispose()
