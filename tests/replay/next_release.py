"""Every workflow as a later release may have it: it writes something down before each step, and as each message comes.

Where the job is younger than the release, or has the step still before it, the release does so behind a patch.
"""

from typing import Any

from temporalio import workflow
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    SignalChildWorkflowInput,
    SignalExternalWorkflowInput,
    StartActivityInput,
    StartChildWorkflowInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

PATCH = "a note before chapter "


class _Notes:
    """Makes the command that the releases before do not know."""

    def __init__(self, is_patched: bool) -> None:
        self.is_patched = is_patched
        self.chapters = 0

    def make(self) -> None:
        # A patch is asked about once for all of a run, so each chapter has one of its own.
        self.chapters += 1
        if not self.is_patched or workflow.patched(f"{PATCH}{self.chapters}"):
            workflow.upsert_memo({"chapter": self.chapters})


class _NotedSteps(WorkflowOutboundInterceptor):
    def __init__(self, following: WorkflowOutboundInterceptor, notes: _Notes) -> None:
        super().__init__(following)
        self._notes = notes

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002 - Temporal's name
        self._notes.make()
        return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002
        self._notes.make()
        return super().start_local_activity(input)

    async def start_child_workflow(self, input: StartChildWorkflowInput) -> workflow.ChildWorkflowHandle[Any, Any]:  # noqa: A002
        self._notes.make()
        return await super().start_child_workflow(input)

    async def signal_child_workflow(self, input: SignalChildWorkflowInput) -> None:  # noqa: A002
        self._notes.make()
        await super().signal_child_workflow(input)

    async def signal_external_workflow(self, input: SignalExternalWorkflowInput) -> None:  # noqa: A002
        self._notes.make()
        await super().signal_external_workflow(input)


class NotedJob(WorkflowInboundInterceptor):
    """The code around a job of the next release."""

    is_patched = True

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self._notes = _Notes(self.is_patched)
        super().init(_NotedSteps(outbound, self._notes))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> object:  # noqa: A002
        self._notes.make()
        return await super().execute_workflow(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
        self._notes.make()
        await super().handle_signal(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> object:  # noqa: A002
        self._notes.make()
        return await super().handle_update_handler(input)


class ForgottenPatch(NotedJob):
    """The same, by somebody who has forgotten that jobs are asleep."""

    is_patched = False


class NextRelease(Interceptor):
    """Makes the workflows of a worker, or of a replayer, those of a later release."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        return NotedJob


class ReleaseWithoutPatches(Interceptor):
    """Makes them those of a bad one."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        return ForgottenPatch
