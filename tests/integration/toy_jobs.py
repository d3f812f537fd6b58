"""Jobs that fail on purpose, under the names of real ones, on the real server: for those who look at jobs and act."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy, SearchAttributePair
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.database import Sessions
from models import search
from models.identifiers import new_id
from models.messages.tasks import DecideTask, TaskDecided
from models.tables import HumanTask
from models.tables.columns import now
from models.vocabulary import TaskAction, TaskKind, WaitingFor
from rules.tasks import queue_of
from tests.eventually import eventually

_SLOW = RetryPolicy(initial_interval=timedelta(hours=1))
_SECONDS = timedelta(seconds=30)


@dataclass
class Switches:
    """What the toys do: fail, until it is mended."""

    is_mended: bool = False
    tries: list[str] = field(default_factory=list)

    @activity.defn
    async def send_mail(self) -> str:
        """Fail with a type of its own, until it is mended."""
        self.tries.append(activity.info().workflow_id)
        if not self.is_mended:
            raise ApplicationError("no", type="smtp_unreachable")
        return "sent"


SWITCHES = Switches()


@workflow.defn(name="DocumentCopyWorkflow")
class MailsOnce:
    """Hangs in its only step, and then for an hour in the rest after its failure."""

    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            "send_mail", result_type=str, start_to_close_timeout=_SECONDS, retry_policy=_SLOW
        )


@workflow.defn(name="RefundWorkflow")
class Breaks:
    """Fails, until it is mended."""

    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(0.01)
        if not SWITCHES.is_mended:
            raise ApplicationError("broken", non_retryable=True)
        return "whole"


@workflow.defn(name="CartWorkflow")
class Asks:
    """Waits for the decision of its task; a cancellation ends it."""

    def __init__(self) -> None:
        self.decided: list[DecideTask] = []

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: bool(self.decided))
        return f"{self.decided[0].action} by {self.decided[0].actor}"

    @workflow.update
    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take it."""
        self.decided.append(decision)
        return TaskDecided(task_id=decision.task_id, action=decision.action)


@workflow.defn(name="CascadeWorkflow")
class Refuses:
    """Refuses every decision, with a reason of its own."""

    @workflow.run
    async def run(self) -> None:
        await workflow.sleep(timedelta(days=1))

    @workflow.update
    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Refuse it."""
        raise ApplicationError("not this way", type="odd", non_retryable=True)


@workflow.defn(name="WedgedToy")
class Wedges:
    """Its code cannot go on."""

    @workflow.run
    async def run(self) -> None:
        raise RuntimeError("a defect")


@workflow.defn(name="BrokenToy")
class BreaksForGood:
    """Fails at once, and nothing of the record says that what it was for is over."""

    @workflow.run
    async def run(self) -> None:
        raise ApplicationError("broken", non_retryable=True)


@dataclass
class Toys:
    """The toys on a queue of their own."""

    temporal: Client
    queue: str

    async def start(
        self, toy: object, workflow_id: str, *others: SearchAttributePair[object], job: str = "toy"
    ) -> WorkflowHandle[object, str]:
        """Start one, listed as that kind of job."""
        return await self.temporal.start_workflow(  # type: ignore[call-overload,no-any-return]
            toy.run,  # type: ignore[attr-defined]
            id=workflow_id,
            task_queue=self.queue,
            search_attributes=search.at_start(job, "running", WaitingFor.NOTHING, *others),
            task_timeout=timedelta(seconds=1),
        )

    async def lists(self, workflow_id: str, query: str = "") -> None:
        """Return once the server lists it."""
        about = f'WorkflowId="{workflow_id}"' + (f" AND {query}" if query else "")

        async def is_listed() -> bool:
            return (await self.temporal.count_workflows(about)).count > 0

        await eventually(is_listed)


@asynccontextmanager
async def playing(temporal: Client) -> AsyncIterator[Toys]:
    """The toys with a worker. All of them fail."""
    SWITCHES.is_mended, SWITCHES.tries = False, []
    queue = f"toys-{uuid4().hex}"
    async with Worker(
        temporal,
        task_queue=queue,
        workflows=[MailsOnce, Breaks, Asks, Refuses, Wedges, BreaksForGood],
        activities=[SWITCHES.send_mail],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield Toys(temporal, queue)
        async for run in temporal.list_workflows(f'TaskQueue="{queue}" AND ExecutionStatus="Running"'):
            await temporal.get_workflow_handle(run.id).terminate("the test is over")


async def open_task(
    sessions: Sessions, workflow_id: str, *actions: TaskAction, kind: TaskKind = TaskKind.REFUND_FAILED
) -> HumanTask:
    """A task of the job that allows these."""
    task = HumanTask(
        id=new_id(),
        kind=kind,
        subject_kind="order",
        subject_id=new_id(),
        workflow_id=workflow_id,
        reason="Stripe refused it.",
        allowed_actions=list(actions),
        queue=queue_of(kind),
        due_at=now(),
    )
    async with sessions.begin() as session:
        session.add(task)
    return task
