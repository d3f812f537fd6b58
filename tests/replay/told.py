"""A runner of workflows that writes down what the server tells each job, and what the job wants done.

The SDK's core makes news for a job out of a history, and compares what the job wants with what it did. Both are seen
here, so that a job can also be told the same by a test, with other code around the workflow's own.
"""

import asyncio
import copy
import dataclasses
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import (
    Interceptor,
    Replayer,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInstance,
)
from temporalio.worker._workflow_instance import WorkflowInstanceDetails

from models import search
from worker import WORKFLOWS

# A replay that takes longer hangs.
_PATIENCE = 30


@dataclass(frozen=True)
class Told:
    """One time that a job was told something: what it wants done now, and how it describes itself."""

    news: WorkflowActivation
    wants: Sequence[WorkflowCommand]
    details: str
    waits_for: str | None

    @property
    def kinds(self) -> list[str]:
        """What it wants done, by kind."""
        return [str(command.WhichOneof("variant")) for command in self.wants]


@dataclass
class Story:
    """All that a job was told, and whether its code could follow."""

    details: WorkflowInstanceDetails
    told: list[Told] = field(default_factory=list)
    failure: Exception | None = None

    @property
    def rests(self) -> list[int]:
        """After how many of the news it had nothing more to do, until somebody woke it."""
        lengths = [each.news.history_length for each in self.told]
        return [at for at in range(1, len(lengths) + 1) if at == len(lengths) or lengths[at] != lengths[at - 1]]


class Retold:
    """A job like another one, which is told things by a test. To be made on a running loop.

    Of the patches that it has not had yet, it takes those that begin with a word: with others of today, it would want
    other things than those that it is told about.
    """

    def __init__(self, story: Story, code: type[WorkflowInboundInterceptor], patches: str) -> None:
        details = dataclasses.replace(
            story.details,
            info=copy.deepcopy(story.details.info),
            interceptor_classes=[code],
            patch_activation_callback=lambda asked: asked.patch_id.startswith(patches),
        )
        self._instance = UnsandboxedWorkflowRunner().create_instance(details)

    def hears(self, told: Told, *, is_replaying: bool, is_build_old: bool = False) -> Told:
        """Tell it the same news. Raises `AssertionError` if its code fails."""
        news = WorkflowActivation()
        news.CopyFrom(told.news)
        news.is_replaying = is_replaying
        news.target_worker_deployment_version_changed = is_build_old
        answer = self._instance.activate(news)
        assert not answer.HasField("failed"), answer.failed.failure.message
        return _told(self._instance, news, answer)


class _Scribe(UnsandboxedWorkflowRunner):
    """Writes down one job after the other. What is not on record is not done: nobody is there to do it."""

    def __init__(self) -> None:
        self.stories: list[Story] = []

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        story = Story(dataclasses.replace(det, info=copy.deepcopy(det.info)))
        self.stories.append(story)
        instance = super().create_instance(det)
        activate = instance.activate

        def overheard(news: WorkflowActivation) -> WorkflowActivationCompletion:
            answer = activate(news)
            if any(job.HasField("remove_from_cache") for job in news.jobs):
                return answer
            story.told.append(_told(instance, news, answer))
            if news.is_replaying or answer.HasField("failed"):
                return answer
            nothing = WorkflowActivationCompletion(run_id=answer.run_id)
            nothing.successful.SetInParent()
            return nothing

        instance.activate = overheard  # type: ignore[method-assign, assignment]
        return instance


def _told(instance: WorkflowInstance, news: WorkflowActivation, answer: WorkflowActivationCompletion) -> Told:
    info = getattr(instance, "_info")  # noqa: B009 - the interpreter's own
    return Told(
        news=news,
        wants=list(answer.successful.commands),
        details=str(getattr(instance, "_current_details")),  # noqa: B009 - the interpreter's own
        waits_for=info.typed_search_attributes.get(search.WAITING_FOR),
    )


async def stories_of(histories: Sequence[WorkflowHistory], *interceptors: Interceptor) -> list[Story]:
    """Replay them, with other code around the workflows' own if it is given. What came of each, in their order.

    Nothing that a history does not hold is done any more: a job that is woken at its end only says what it wants.
    """

    async def each() -> AsyncIterator[WorkflowHistory]:
        for history in histories:
            yield history

    scribe = _Scribe()
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=scribe,
        interceptors=list(interceptors),
        data_converter=pydantic_data_converter,
    )
    stories = []
    async with replayer.workflow_replay_iterator(each()) as results:
        for _ in histories:
            result = await asyncio.wait_for(anext(results), _PATIENCE)
            # Core may begin a job anew if its code has failed.
            [story, *_] = scribe.stories
            story.failure = result.replay_failure
            stories.append(story)
            scribe.stories.clear()
    return stories
