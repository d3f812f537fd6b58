"""A build with other code on the real server: an application goes on with it in its sleep, a pinned job does not."""

from collections.abc import Sequence
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkerDeploymentVersion, WorkflowIDConflictPolicy
from temporalio.worker import Worker, WorkerDeploymentConfig

from models.messages.applications import ApplicationOutcome, ApplicationRef, ByApplicant
from models.messages.disputes import DisputedPayment, DisputeFacts, DisputeOutcome, ReadDispute
from models.messages.tasks import DecideTask
from models.vocabulary import ApplicationStatus, DisputeStatus, TaskAction
from tests.eventually import eventually
from tests.workflows.application_world import ADA, APPLICANT, APPLICATION_ID, ApplicationWorld
from tests.workflows.next_build import ChangedApplicationWorkflow
from worker import sandboxed_runner
from workflows.deployment import make_current
from workflows.dispute import DisputeWorkflow
from workflows.tutor_application import TutorApplicationWorkflow

QUEUE = DEPLOYMENT = f"upgrades-{uuid4().hex[:8]}"


class Bank:
    """Says how the dispute stands."""

    status = DisputeStatus.UNDER_REVIEW

    @activity.defn
    async def read_dispute(self, step: ReadDispute) -> DisputeFacts:
        return DisputeFacts(status=self.status, order_id=APPLICATION_ID)


class Herald:
    """Hears what the changed code announces."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @activity.defn
    async def announce(self, chapter: str) -> None:
        self.heard.append(chapter)


def worker_of(
    build: str, client: Client, world: ApplicationWorld, bank: Bank, herald: Herald, application: type
) -> Worker:
    version = WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=build)
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=[application, DisputeWorkflow],
        activities=[*world.steps, bank.read_dispute, herald.announce],  # type: ignore[list-item]
        workflow_runner=sandboxed_runner(),
        deployment_config=WorkerDeploymentConfig(version=version, use_worker_versioning=True),
    )


async def builds_of(handle: "WorkflowHandle[object, object]") -> Sequence[str]:
    """The builds that have carried the workflow on, in order, each as often as in a row."""
    builds: list[str] = []
    async for event in handle.fetch_history_events():
        build = event.workflow_task_completed_event_attributes.deployment_version.build_id
        if build and builds[-1:] != [build]:
            builds.append(build)
    return builds


async def test_an_application_goes_on_with_the_next_build_and_a_pinned_job_does_not(real_temporal: Client) -> None:
    world, bank, herald = ApplicationWorld(), Bank(), Herald()
    before, after = TutorApplicationWorkflow, ChangedApplicationWorkflow
    actor = f"student:{APPLICANT}"
    ref = ApplicationRef(application_id=APPLICATION_ID, applicant_id=APPLICANT, actor=actor)
    async with worker_of("v1", real_temporal, world, bank, herald, before):
        await make_current(real_temporal, "v1", deployment=DEPLOYMENT)
        start = WithStartWorkflowOperation(
            TutorApplicationWorkflow.run, ref, id=f"{QUEUE}-application", task_queue=QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )  # fmt: skip
        await real_temporal.execute_update_with_start_workflow(
            TutorApplicationWorkflow.begin, ref, start_workflow_operation=start
        )
        application = await start.workflow_handle()
        await application.execute_update(TutorApplicationWorkflow.submit, ByApplicant(actor=actor))
        dispute = await real_temporal.start_workflow(
            DisputeWorkflow.run, DisputedPayment(stripe_dispute_id="du_1"), id=f"{QUEUE}-dispute", task_queue=QUEUE
        )

        async def both_sleep() -> bool:
            state = await dispute.query(DisputeWorkflow.status)
            return bool(world.open_tasks) and state.status == DisputeStatus.UNDER_REVIEW

        await eventually(both_sleep)

    async with worker_of("v2", real_temporal, world, bank, herald, after):
        await make_current(real_temporal, "v2", deployment=DEPLOYMENT)
        [task] = world.open_tasks
        await application.execute_update(
            TutorApplicationWorkflow.decide,
            DecideTask(task_id=task.task_id, action=TaskAction.APPROVE, actor=f"staff:{ADA}"),
        )
        assert await application.result() == ApplicationOutcome(status=ApplicationStatus.APPROVED)
        assert world.did == ["approve", "profile", "role", "platform"]
        assert await builds_of(application) == ["v1", "v2"]  # type: ignore[arg-type]
        assert herald.heard == ["end"], "the chapter that was over is replayed as it was"

        bank.status = DisputeStatus.WON
        await dispute.signal(DisputeWorkflow.dispute_changed)
        async with worker_of("v1", real_temporal, world, bank, herald, before):
            assert await dispute.result() == DisputeOutcome(status=DisputeStatus.WON)
        assert await builds_of(dispute) == ["v1"]  # type: ignore[arg-type]
