"""Seeing each job of a path as it begins, and acting on one at a moment of its history."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

_TELL = "tell_that_a_job_begins"
Handle = WorkflowHandle[object, object]


@dataclass(frozen=True)
class Moment:
    """A place in a path: the history of the nth job of a type, once it has this event."""

    workflow: str
    nth: int
    event_id: int


@dataclass
class Watch(Interceptor):
    """Is told of every job that begins, and strikes one of them once its history has an event.

    Workflow code runs in other threads; what it tells is taken up on the loop that made the watch.
    """

    temporal: Client
    moment: Moment | None = None
    strike: Callable[[Handle], Awaitable[None]] | None = None
    jobs: list[tuple[str, str]] = field(default_factory=list)
    struck: str | None = None

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._strikes: set[asyncio.Task[None]] = set()
        self.has_struck = asyncio.Event()

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        """What tells of a job is inside the sandbox."""
        input.unsafe_extern_functions[_TELL] = lambda *job: self._loop.call_soon_threadsafe(self._hear, *job)
        return _TellsOfItsBeginning

    async def over(self) -> None:
        """Wait for strikes that are under way, and give up those whose moment has not come."""
        for task in self._strikes:
            task.cancel()
        await asyncio.gather(*self._strikes, return_exceptions=True)

    def _hear(self, workflow_type: str, workflow_id: str) -> None:
        if (workflow_type, workflow_id) in self.jobs:
            return
        self.jobs.append((workflow_type, workflow_id))
        wanted = self.moment
        nth = sum(kind == workflow_type for kind, _ in self.jobs) - 1
        if wanted is not None and (wanted.workflow, wanted.nth) == (workflow_type, nth):
            self._strikes.add(self._loop.create_task(self._wait_and_strike(workflow_id, wanted.event_id)))

    async def _wait_and_strike(self, workflow_id: str, event_id: int) -> None:
        handle: Handle = self.temporal.get_workflow_handle(workflow_id)
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.event_id >= event_id:
                break
        assert self.strike is not None
        self.struck = workflow_id
        try:
            await self.strike(handle)
        except RPCError:
            # It was over before.
            self.struck = None
        self.has_struck.set()


class _TellsOfItsBeginning(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> object:  # noqa: A002
        if not workflow.unsafe.is_replaying():
            info = workflow.info()
            workflow.extern_functions()[_TELL](info.workflow_type, info.workflow_id)
        return await super().execute_workflow(input)
