"""An export of a report that adds up: its file is made."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.reports import ReportActivities
    from models.messages.exports import ExportProgress, ExportRequest, RenderReport
    from models.vocabulary import ExportStatus
    from workflows.policies import FILES
    from workflows.queues import DOCUMENTS_QUEUE


@workflow.defn(name="ExportWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class ExportWorkflow:
    """One file."""

    @workflow.run
    async def run(self, request: ExportRequest) -> ExportProgress:
        """Make it."""
        report = await workflow.execute_activity_method(
            ReportActivities.render_report,
            RenderReport(
                export_id=request.export_id,
                report=request.report,
                format=request.format,
                filters=request.filters,
                moment=workflow.now(),
            ),
            task_queue=DOCUMENTS_QUEUE,
            summary="Add it up",
            **FILES,
        )
        return ExportProgress(status=ExportStatus.DONE, rows_written=report.row_count, row_count=report.row_count)
