"""Certificates for many learners of a course: page by page, each learner by the workflow of their certificates."""

import asyncio

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.certificate_batches import CertificateBatchActivities
    from models.messages.certificates import BatchBegun, BatchPage, BatchProgress, BatchRequest, EndBatch
    from models.messages.jobs import JobState
    from models.vocabulary import BatchStatus, WaitingFor
    from workflows.desk import Desk, listed_so_far
    from workflows.policies import BATCH, FILES
    from workflows.shielding import to_its_end
    from workflows.turns import Turns, unless_refused


@workflow.defn(name="CertificateBatchWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class CertificateBatchWorkflow:
    """One run over many learners. Who had their turn is on record, so a page that is begun again goes on exactly there.

    Ten thousand learners are a hundred pages: a history holds them.
    """

    @workflow.init
    def __init__(self, request: BatchRequest) -> None:
        self._request = request
        self._begun: BatchBegun | None = None
        self._turns = Turns()
        self._status = BatchStatus.RUNNING
        self._desk = Desk("Certificates", "It is written down whom they are for.", listed=listed_so_far()[:2])

    @workflow.run
    async def run(self, request: BatchRequest) -> BatchProgress:
        """Write down whom it is for, give each their turn, and write the workbook. A cancellation is a `cancel`."""
        return await to_its_end(asyncio.create_task(self._tell_story()), self._turns.stop)

    async def _tell_story(self) -> BatchProgress:
        begun = self._begun = await self._begin()
        self._turns.total = begun.total
        if begun.refusal is not None:
            self._status = BatchStatus.CANCELED
            self._desk.tell(WaitingFor.NOTHING, f"Refused: {begun.refusal_detail}")
            return self._progress()
        self._desk.status = BatchStatus.RUNNING
        is_over = await self._turns.taken(
            self._give_turns, lambda told: self._desk.tell(WaitingFor.NOTHING, f"{told} learners had their turn.")
        )
        await self._end(is_canceled=not is_over)
        self._desk.tell(WaitingFor.NOTHING, f"Over: {self._turns.done} of {begun.total} learners had their turn.")
        return self._progress()

    # ---- the chapters ----

    async def _begin(self) -> BatchBegun:
        return await workflow.execute_activity_method(
            CertificateBatchActivities.begin_batch, self._request, summary="Write down whom it is for", **FILES
        )

    async def _give_turns(self) -> int:
        """A page of them; none if nobody was left."""
        page = await workflow.execute_activity_method(
            CertificateBatchActivities.issue_page,
            BatchPage(batch_id=self._request.batch_id),
            summary=f"Learners from {self._turns.done + 1} on",
            **BATCH,
        )
        return page.done

    async def _end(self, *, is_canceled: bool) -> None:
        await workflow.execute_activity_method(
            CertificateBatchActivities.end_batch,
            EndBatch(batch_id=self._request.batch_id, is_canceled=is_canceled, workflow_id=workflow.info().workflow_id),
            summary="Write the end, and the workbook",
            **FILES,
        )
        self._status = BatchStatus.CANCELED if is_canceled else BatchStatus.DONE
        self._desk.status = self._status

    def _progress(self) -> BatchProgress:
        return BatchProgress(status=self._status, total=self._turns.total, done=self._turns.done)

    # ---- messages ----

    @workflow.update(description="Wait until it is written down whom it is for")
    async def begun(self) -> BatchBegun:
        """Answer who has started it; refused if it is for nobody, or for too many."""
        await workflow.wait_condition(lambda: self._begun is not None)
        return unless_refused(self._begun)

    @workflow.signal(description="Give nobody else a turn; what is under way ends")
    def cancel(self) -> None:
        self._turns.stop()

    @workflow.query(description="How many learners had their turn, at least")
    def progress(self) -> BatchProgress:
        return self._progress()

    @workflow.query(description="How far the run is")
    def status(self) -> JobState:
        return self._desk.state(None)
