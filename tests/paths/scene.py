"""What a path is told on, and the list of them all."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from temporalio.client import ScheduleActionExecutionStartWorkflow
from temporalio.worker import Interceptor

from schedules import SCHEDULES
from tests.eventually import eventually
from tests.installation import Installation, Json
from worker import running_workers
from workflows.deployment import make_current
from workflows.recurring import UTC
from workflows.schedule_server import apply_schedules


async def _nobody(name: str, workflow_id: str) -> None:
    """Nobody keeps what a path has made."""


@dataclass
class Scene:
    """A fresh academy, who is told of each job once its history is worth keeping, and what is put between the steps."""

    installation: Installation
    keep: Callable[[str, str], Awaitable[None]] = _nobody
    interceptors: Sequence[Interceptor] = field(default=())

    @asynccontextmanager
    async def at_work(self, **settings: object) -> AsyncIterator[None]:
        """Workers at work, with some of their settings changed."""
        changed = self.installation.settings.model_copy(update=settings)
        async with running_workers(self.installation.temporal, changed, self.interceptors):
            await make_current(self.installation.temporal, changed.worker_build_id)
            yield

    async def keep_order(self, name: str, order: Json, status: str = "completed") -> Json:
        """Keep the job of an order once it is over with this status; return the order."""
        ended = await self.installation.order_ends(order["id"], status)
        await self.keep(name, f"order-{order['id']}")
        return ended

    async def keep_ended(self, name: str, workflow_id: str) -> None:
        """Keep a job once it is over."""
        await self.installation.temporal.get_workflow_handle(workflow_id).result()
        await self.keep(name, workflow_id)

    async def keep_run_of(self, schedule_id: str) -> None:
        """Run a recurring job once and keep it, under the name of its schedule."""
        temporal = self.installation.temporal
        await apply_schedules(temporal, [each for each in SCHEDULES if each.id == schedule_id], UTC)
        schedule = temporal.get_schedule_handle(schedule_id)
        await schedule.trigger()

        async def has_run() -> bool:
            return bool((await schedule.describe()).info.recent_actions)

        await eventually(has_run)
        [started] = (await schedule.describe()).info.recent_actions
        assert isinstance(started.action, ScheduleActionExecutionStartWorkflow)
        await self.keep_ended(schedule_id.replace("-", "_"), started.action.workflow_id)
        await schedule.delete()


Story = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Path:
    """One story. One that `brings_workers` starts them by itself."""

    name: str
    story: Story
    brings_workers: bool

    async def play(self, scene: Scene) -> None:
        """Tell it from its beginning to its end. Raises what goes wrong."""
        if self.brings_workers:
            await self.story(scene)
        else:
            async with scene.at_work():
                await self.story(scene)


PATHS: dict[str, Path] = {}


def path(story: Story) -> Story:
    """Take a story into the list, by the name of its function."""
    return _listed(story, brings_workers=False)


def path_that_brings_workers(story: Story) -> Story:
    """Take a story into the list that starts workers by itself, such as some whose clock runs ahead."""
    return _listed(story, brings_workers=True)


def _listed(story: Story, *, brings_workers: bool) -> Story:
    name = getattr(story, "__name__")  # noqa: B009 - a callable need not have one
    assert name not in PATHS, f"two paths are called {name}"
    PATHS[name] = Path(name, story, brings_workers)
    return story
