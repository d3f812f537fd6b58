"""PostgreSQL and Temporal die while a path is on its way, in the middle of a transaction and of a step."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from sandbox.postgres import EmbeddedPostgres
from sandbox.temporal import EmbeddedTemporal
from tests.apart import apart_from
from tests.chaos.effects import Door, Effect, doors, watched
from tests.installation import Installation
from tests.paths import PATHS
from tests.paths.world import RestingScene, World, kept_facts

# A path whose caller waits for nothing but the end of the job, once it has begun.
_PATH = "free"
_IN_ITS_TRANSACTION = ("complete_order", "render_receipt")
_IN_ITS_STEP = "send_mail"


class ServersDie(Interceptor):
    """PostgreSQL is restarted before a commit of the named steps, and Temporal before another step can report."""

    def __init__(self, postgres: EmbeddedPostgres, temporal: EmbeddedTemporal) -> None:
        self.postgres, self.temporal = postgres, temporal
        self.died: list[str] = []

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Served(next, self)

    @contextmanager
    def passing(self, effect: Effect) -> Iterator[None]:
        """Restart PostgreSQL with an open transaction that has everything but its commit."""
        step = activity.info().activity_type
        if effect.door is Door.COMMIT and step in _IN_ITS_TRANSACTION and step not in self.died:
            self.died.append(step)
            # A crash would cost the server of the tests what it has promised, since it is not a durable one.
            self.postgres.restart()
        yield


class _Served(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, servers: ServersDie) -> None:
        super().__init__(inner)
        self._servers = servers

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002 - Temporal's name
        with watched(self._servers):
            done: object = await super().execute_activity(input)
        step = activity.info().activity_type
        if step == _IN_ITS_STEP and step not in self._servers.died:
            self._servers.died.append(step)
            await self._servers.temporal.restart(kill=True)
        return done


async def test_a_path_lives_through_the_death_of_its_servers(
    idle_installation: Installation, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    async with apart_from(idle_installation, tmp_path) as (installation, temporal):
        world = await World.before(installation)
        servers = ServersDie(postgres, temporal)
        with doors():
            await PATHS[_PATH].play(RestingScene(installation, interceptors=[servers], world=world))
        assert servers.died == [*_IN_ITS_TRANSACTION, _IN_ITS_STEP]
        assert await world.facts() == kept_facts(_PATH)["world"]
        assert await world.wrongs() == []
