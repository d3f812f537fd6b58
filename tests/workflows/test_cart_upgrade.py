"""A cart that sleeps goes on with the newest build when it wakes, on the real server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerDeploymentConfig
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from models.identifiers import cart_workflow_id
from models.messages.carts import (
    AbandonedCart,
    CartOutcome,
    CartStart,
    CartStep,
    ChangeCart,
    ChangedCart,
    CheckedReminder,
    CheckReminder,
    EndCart,
    RecordChange,
)
from models.messages.mail import MailReport, SendMail
from models.vocabulary import CartStatus, MailStatus
from worker import sandboxed_runner
from workflows.cart import CartWorkflow

CART, PERSON = UUID(int=0xCA27), UUID(int=7)
# Not those of the installation that other tests use on the same server.
QUEUE = DEPLOYMENT = "carts-that-upgrade"
SECOND = timedelta(seconds=1)


@dataclass
class Steps:
    """A record whose times are seconds."""

    abandoned_at: datetime | None = None
    sent: list[str] = field(default_factory=list)

    @activity.defn
    async def change_cart(self, step: RecordChange) -> ChangedCart:
        return ChangedCart(status=CartStatus.OPEN, cutoff_at=datetime.now(UTC) + 2 * SECOND)

    @activity.defn
    async def abandon_cart(self, step: CartStep) -> AbandonedCart:
        since = self.abandoned_at = self.abandoned_at or datetime.now(UTC)
        left = [since + (number + 1) * SECOND for number in range(len(self.sent), 2)]
        return AbandonedCart(
            status=CartStatus.ABANDONED,
            reminders_at=tuple(left),
            first_reminder=len(self.sent) + 1,
            lost_at=since + 4 * SECOND,
        )

    @activity.defn
    async def check_reminder(self, step: CheckReminder) -> CheckedReminder:
        return CheckedReminder(status=CartStatus.ABANDONED)

    @activity.defn
    async def send_mail(self, request: SendMail) -> MailReport:
        self.sent.append(request.occasion)
        return MailReport(mail_id=CART, status=MailStatus.SENT)

    @activity.defn
    async def end_cart(self, step: EndCart) -> CheckedReminder:
        return CheckedReminder(status=step.status)


@asynccontextmanager
async def _builds(client: Client, steps: Steps) -> AsyncIterator[None]:
    """Workers of two builds side by side."""
    async with AsyncExitStack() as workers:
        for build in ("1", "2"):
            version = WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=build)
            worker = Worker(
                client,
                task_queue=QUEUE,
                workflows=[CartWorkflow],
                activities=[
                    steps.change_cart, steps.abandon_cart, steps.check_reminder, steps.send_mail, steps.end_cart,
                ],
                workflow_runner=sandboxed_runner(),
                deployment_config=WorkerDeploymentConfig(version=version, use_worker_versioning=True),
            )  # fmt: skip
            await workers.enter_async_context(worker)
        yield


@retry(retry=retry_if_exception_type(RPCError), stop=stop_after_delay(20), wait=wait_fixed(0.1), reraise=True)
async def _promote(client: Client, build: str) -> None:
    await client.workflow_service.set_worker_deployment_current_version(
        SetWorkerDeploymentCurrentVersionRequest(namespace=client.namespace, deployment_name=DEPLOYMENT, build_id=build)
    )


async def _told(client: Client, run_id: str) -> tuple[str, HistoryEvent]:
    """The build that a run ended on, and its last event."""
    history = await client.get_workflow_handle(cart_workflow_id(CART), run_id=run_id).fetch_history()
    builds = [
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    return builds[-1], history.events[-1]


async def test_a_cart_wakes_up_on_the_newest_build(real_temporal: Client) -> None:
    steps = Steps()
    async with _builds(real_temporal, steps):
        await _promote(real_temporal, "1")
        handle = await real_temporal.start_workflow(
            CartWorkflow.run,
            CartStart(cart_id=CART, person_id=PERSON),
            id=cart_workflow_id(CART),
            task_queue=QUEUE,
        )
        wish = ChangeCart(cart_id=CART, person_id=PERSON, course_ids=(CART,), actor=f"student:{PERSON}")
        await handle.execute_update(CartWorkflow.change, wish)
        await _promote(real_temporal, "2")
        assert await handle.result() == CartOutcome(status=CartStatus.LOST)
    assert steps.sent == ["1", "2"]
    assert handle.result_run_id is not None
    build, last = await _told(real_temporal, handle.result_run_id)
    went_on_as = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    assert build == "1"
    build, last = await _told(real_temporal, went_on_as)
    assert (build, last.event_type) == ("2", EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)
