"""The record and Stripe, compared: what a job can put right it is told, of everything else a person decides."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.findings import FindingActivities
    from activities.findings_workbook import FindingsWorkbookActivities
    from activities.reconciliation import ReconciliationActivities
    from models.messages.checks import PursuedFindings, PursueFindings
    from models.messages.reconciliation import (
        CompareBooks,
        ComparedBooks,
        EndReconciliation,
        Reconcile,
        ReconciliationOutcome,
        TellJobs,
        WriteFindings,
    )
    from models.vocabulary import CheckKind
    from workflows.policies import BOOKS, DOCUMENTS, JOBS, TASK
    from workflows.queues import DOCUMENTS_QUEUE
    from workflows.round import Round
    from workflows.scheduled import scheduled_at

_LOOKS_BACK = {"recent": timedelta(days=1), "nightly": timedelta(days=7)}


@workflow.defn(name="ReconciliationWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class ReconciliationWorkflow(Round):
    """One comparison. Another one right after it changes nothing."""

    TITLE = "The record and Stripe"
    DOES = "They are compared."

    @workflow.run
    async def run(self, reconcile: Reconcile) -> ReconciliationOutcome:
        """Compare, tell the jobs that can heal, ask people about the rest, and make the workbook at night."""
        compared = await self._compare(reconcile)
        told = await self._tell_jobs(compared)
        pursued = await self._ask(reconcile)
        await workflow.execute_activity_method(
            ReconciliationActivities.end_reconciliation,
            EndReconciliation(run_id=compared.run_id, told=told, asked=pursued.asked),
            summary="Write down what it came to",
            **TASK,
        )
        if reconcile.scope == "nightly":
            await self._write_workbook(compared)
        self._over(f"{compared.found} differences, {told} jobs told, {pursued.asked} people asked.")
        return ReconciliationOutcome(run_id=compared.run_id, found=compared.found, told=told, asked=pursued.asked)

    async def _compare(self, reconcile: Reconcile) -> ComparedBooks:
        until = scheduled_at() - timedelta(minutes=reconcile.settle_minutes)
        since = scheduled_at() - _LOOKS_BACK[reconcile.scope]
        self._doing(f"They are compared from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC.")
        return await workflow.execute_activity_method(
            ReconciliationActivities.compare_books,
            CompareBooks(
                scope=reconcile.scope,
                looked_from=since,
                looked_until=until,
                workflow_id=workflow.info().workflow_id,
            ),
            summary="Compare the record with Stripe",
            **BOOKS,
        )

    async def _tell_jobs(self, compared: ComparedBooks) -> int:
        if not compared.healing:
            return 0
        told = await workflow.execute_activity_method(
            ReconciliationActivities.tell_jobs,
            TellJobs(run_id=compared.run_id),
            summary=f"Tell the jobs behind {compared.healing} findings to look again",
            # After a day without webhooks there are as many as orders; who was told stays told.
            **BOOKS,
        )
        return told.told

    async def _ask(self, reconcile: Reconcile) -> PursuedFindings:
        return await workflow.execute_activity_method(
            FindingActivities.pursue_findings,
            PursueFindings(found_by=CheckKind.RECONCILIATION, healing_minutes=reconcile.healing_minutes),
            summary="Have people asked about what no job can put right",
            **JOBS,
        )

    async def _write_workbook(self, compared: ComparedBooks) -> None:
        await workflow.execute_activity_method(
            FindingsWorkbookActivities.write_findings,
            WriteFindings(run_id=compared.run_id),
            task_queue=DOCUMENTS_QUEUE,
            summary=f"Make the workbook of {compared.found} findings",
            **DOCUMENTS,
        )
