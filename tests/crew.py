"""Workers that stay from test to test: to start and drain them costs more than what most tests ask of them."""

from contextlib import AsyncExitStack

from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from tests.eventually import eventually
from tests.installation import Installation
from worker import running_workers
from workflows.deployment import make_current

_SECONDS_TO_FINISH = 2


class Crew(Interceptor):
    """The workers of an installation, who are at work or away, and know how many steps they have in hand."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._at_work: AsyncExitStack | None = None
        self.steps = 0

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        return _Counting(next, self)

    async def work(self) -> None:
        """Start them, unless they are there already."""
        if self._at_work is not None:
            return
        async with AsyncExitStack() as stack:
            temporal, settings = self._installation.temporal, self._installation.settings
            await stack.enter_async_context(running_workers(temporal, settings, [self]))
            await make_current(temporal, settings.worker_build_id)
            self._at_work = stack.pop_all()

    async def finish(self) -> None:
        """Wait for the steps in hand. Whoever does not come to an end is drained, as when a worker is stopped."""

        async def is_idle() -> bool:
            return self.steps == 0

        try:
            await eventually(is_idle, _SECONDS_TO_FINISH)
        except AssertionError:
            await self.leave()

    async def leave(self) -> None:
        """Drain them, if they are there."""
        stack, self._at_work = self._at_work, None
        if stack is not None:
            await stack.aclose()


class _Counting(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, crew: Crew) -> None:
        super().__init__(following)
        self._crew = crew

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002 - Temporal's name
        self._crew.steps += 1
        try:
            return await super().execute_activity(input)
        finally:
            self._crew.steps -= 1
