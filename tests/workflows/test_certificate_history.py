"""What certificates cost in events, on the fast server: one with a year of validity, and a run over many learners."""

from collections import Counter
from uuid import UUID

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from models.identifiers import certificate_batch_workflow_id, certificate_workflow_id
from models.listing import CERTIFICATE_SUMMARY, batch_attributes, certificate_attributes
from models.messages.certificates import (
    BatchBegun,
    BatchPage,
    BatchPageDone,
    BatchProgress,
    BatchRequest,
    CertificateAnswer,
    CertificateOutcome,
    CertificateStart,
    EndBatch,
    RenewCertificate,
)
from models.vocabulary import BatchStatus, CertificateOrigin, CertificateStatus
from tests.workflows.certificate_world import ENROLLMENT, CertificateWorld
from worker import sandboxed_runner
from workflows.certificate import CertificateWorkflow
from workflows.certificate_batch import CertificateBatchWorkflow
from workflows.queues import DOCUMENTS_QUEUE, REGISTRAR_QUEUE

_TASKS = ("WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED")


async def _events(handle: WorkflowHandle[object, object]) -> Counter[str]:
    history = await handle.fetch_history()
    return Counter(EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in history.events)


async def test_events_of_a_certificate_and_of_its_year(fast_temporal: WorkflowEnvironment) -> None:
    """The happy path, and what a year of notices adds."""
    client = fast_temporal.client
    world = CertificateWorld(valid_days=365)
    documents = Worker(client, task_queue=DOCUMENTS_QUEUE, activities=[world.render_certificate])
    async with documents, Worker(
        client,
        task_queue=REGISTRAR_QUEUE,
        workflows=[CertificateWorkflow],
        activities=[step for step in world.steps if step != world.render_certificate],  # type: ignore[misc]
        workflow_runner=sandboxed_runner(),
    ):  # fmt: skip
        start = WithStartWorkflowOperation(
            CertificateWorkflow.run,
            CertificateStart(enrollment_id=ENROLLMENT),
            id=certificate_workflow_id(ENROLLMENT),
            task_queue=REGISTRAR_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            search_attributes=certificate_attributes(ENROLLMENT),
            static_summary=CERTIFICATE_SUMMARY,
        )
        wish = CertificateStart(enrollment_id=ENROLLMENT, origin=CertificateOrigin.COMPLETION)
        answer = await client.execute_update_with_start_workflow(
            CertificateWorkflow.issue, wish, start_workflow_operation=start
        )
        assert answer.status is CertificateStatus.ISSUED
        handle = await start.workflow_handle()
        async with fast_temporal.time_skipping_unlocked():  # type: ignore[attr-defined]
            assert await handle.result() == CertificateOutcome(certificates=1)
        events = await _events(handle)
        assert [occasion for _, occasion in world.sent()] == ["", "60d", "30d", "7d", ""]

        # After its end another run renews it: over the wire, too, a renewal stays one.
        again = WithStartWorkflowOperation(
            CertificateWorkflow.run,
            CertificateStart(enrollment_id=ENROLLMENT),
            id=certificate_workflow_id(ENROLLMENT),
            task_queue=REGISTRAR_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        )
        [old] = world.rows
        renewed: CertificateAnswer = await client.execute_update_with_start_workflow(
            CertificateWorkflow.renew,
            RenewCertificate(certificate_id=old, actor="staff:7"),
            start_workflow_operation=again,
        )
        assert renewed.certificate_id not in (None, old)
    rest = {kind: count for kind, count in events.items() if kind not in _TASKS}
    notices = 4  # before its end, and at its end
    looks = 10  # every 30 days, when it may move to a newer build, until the first notice
    assert rest == {
        "WORKFLOW_EXECUTION_STARTED": 1,
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED": 1,
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED": 1,
        # Issued, tended before and after it is rendered, and at each notice and look.
        "MARKER_RECORDED": 3 + notices + looks,
        # The PDF and every mail.
        "ACTIVITY_TASK_SCHEDULED": 2 + notices,
        "ACTIVITY_TASK_STARTED": 2 + notices,
        "ACTIVITY_TASK_COMPLETED": 2 + notices,
        "TIMER_STARTED": notices + looks + 1,
        "TIMER_FIRED": notices + looks,
        "TIMER_CANCELED": 1,
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES": notices + 1,
        "WORKFLOW_EXECUTION_COMPLETED": 1,
    }
    assert sum(events[kind] for kind in _TASKS) <= 3 * (4 + 2 * notices + looks)


async def test_events_of_a_run_over_many_learners(fast_temporal: WorkflowEnvironment) -> None:
    learners = {"left": 250}

    @activity.defn
    async def begin_batch(request: BatchRequest) -> BatchBegun:
        return BatchBegun(batch_id=request.batch_id, total=learners["left"])

    @activity.defn
    async def issue_page(page: BatchPage) -> BatchPageDone:
        done = min(page.limit, learners["left"])
        learners["left"] -= done
        return BatchPageDone(done=done)

    @activity.defn
    async def end_batch(step: EndBatch) -> None:
        assert not step.is_canceled

    request = BatchRequest(batch_id=UUID(int=7), course_id=UUID(int=8), actor="staff:7")
    async with Worker(
        fast_temporal.client,
        task_queue=REGISTRAR_QUEUE,
        workflows=[CertificateBatchWorkflow],
        activities=[begin_batch, issue_page, end_batch],
        workflow_runner=sandboxed_runner(),
    ):
        handle = await fast_temporal.client.start_workflow(
            CertificateBatchWorkflow.run,
            request,
            id=certificate_batch_workflow_id(request.batch_id),
            task_queue=REGISTRAR_QUEUE,
            search_attributes=batch_attributes(request.course_id),
        )
        assert await handle.result() == BatchProgress(status=BatchStatus.DONE, total=250, done=250)
    events = await _events(handle)
    steps = 1 + 4 + 1
    assert events["ACTIVITY_TASK_SCHEDULED"] == events["ACTIVITY_TASK_COMPLETED"] == steps
    assert events["UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"] == 1
    # Each step, and the task that takes its answer; the start and its task, the end and how it is listed.
    assert sum(events.values()) == 6 * steps + 4 + 2
