"""An export: written down with its snapshot, its file made part by part, and put together."""

import asyncio
from typing import TypeVar

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.export_parts import ExportPartActivities
    from activities.exports import ExportActivities
    from models.errors import Reason, refusal
    from models.messages.exports import (
        EndExport,
        ExportBegun,
        ExportProgress,
        ExportRequest,
        JoinExport,
        RenderedReport,
        RenderReport,
        WritePart,
    )
    from models.messages.jobs import JobState
    from models.vocabulary import ExportStatus, WaitingFor
    from rules.exports import REPORTS
    from workflows.desk import Desk
    from workflows.policies import EXPORT, FILES, SNAPSHOT
    from workflows.queues import DOCUMENTS_QUEUE
    from workflows.shielding import to_its_end

# Its steps are those of the reports, which add up in ways of their own.
_RENDER_REPORT = "render_report"
_REFUSALS = (Reason.TOO_MANY_ROWS, Reason.FORMAT_NOT_AVAILABLE)

Made = TypeVar("Made")


@workflow.defn(name="ExportWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class ExportWorkflow:
    """One file. What is written stays written, so that an export goes on after its last part, whatever happens.

    A million rows are twenty parts: a history holds them.
    """

    @workflow.init
    def __init__(self, request: ExportRequest) -> None:
        self._request = request
        self._progress = ExportProgress(status=ExportStatus.RUNNING)
        self._begun: ExportBegun | None = None
        self._why: str | None = None
        self._is_to_stop = False
        self._desk = Desk(
            f"Export of {request.report.replace('_', ' ')} as {request.format}",
            "The snapshot is taken.",
            listed=(ExportStatus.RUNNING, WaitingFor.NOTHING),
        )
        self._desk.status = ExportStatus.RUNNING

    @workflow.run
    async def run(self, request: ExportRequest) -> ExportProgress:
        """Take the snapshot, write the file, and say how it ended. A cancellation is a `cancel`."""
        return await to_its_end(asyncio.create_task(self._tell_story()), self._stop)

    def _stop(self) -> None:
        self._is_to_stop = True

    async def _tell_story(self) -> ExportProgress:
        try:
            end = await self._made()
        except ActivityError as error:
            if self._is_to_stop and is_cancelled_exception(error):
                end = self._ended(ExportStatus.CANCELED)
            else:
                # What can be done later is tried until it is: this cannot.
                workflow.logger.error("an export cannot be written: %s", _kind(error))
                end = self._failed(_reason(error))
        await self._end(end)
        return self._progress

    # ---- the chapters ----

    async def _made(self) -> EndExport:
        if self._is_to_stop:
            return self._ended(ExportStatus.CANCELED)
        begun = self._begun = await self._begin()
        if begun.refusal is not None:
            self._why = begun.refusal_detail
            return self._failed(begun.refusal)
        if REPORTS[self._request.report].adds_up:
            return self._ended(ExportStatus.CANCELED) if self._is_to_stop else await self._report()
        self._progress = self._progress.model_copy(update={"row_count": begun.row_count})
        for number in range(begun.parts):
            if self._is_to_stop:
                return self._ended(ExportStatus.CANCELED)
            await self._write(number, begun)
        return self._ended(ExportStatus.CANCELED) if self._is_to_stop else await self._join()

    async def _unless_stopped(self, step: workflow.ActivityHandle[Made]) -> Made:
        """What the step comes to. It is not waited for once the export is to stop: it may be one that never succeeds.

        What it still leaves in the store it deletes by itself (`ExportNotRunningError`).
        """
        await workflow.wait_condition(lambda: self._is_to_stop or step.done())
        if self._is_to_stop:
            step.cancel()
        return await step

    async def _begin(self) -> ExportBegun:
        self._desk.tell(WaitingFor.NOTHING, "Its snapshot is taken.", in_passing=True)
        return await self._unless_stopped(
            workflow.start_activity_method(
                ExportActivities.begin_export, self._request, summary="Write it down, and take the snapshot", **SNAPSHOT
            )
        )

    async def _write(self, number: int, begun: ExportBegun) -> None:
        written = self._progress.rows_written
        self._desk.tell(WaitingFor.NOTHING, f"{written:,} of {begun.row_count:,} rows are written.", in_passing=True)
        part = await self._unless_stopped(
            workflow.start_activity_method(
                ExportPartActivities.write_part,
                WritePart(export_id=self._request.export_id, number=number),
                task_queue=DOCUMENTS_QUEUE,
                summary=f"Part {number + 1} of {begun.parts}",
                **EXPORT,
            )
        )
        self._progress = self._progress.model_copy(update={"rows_written": part.rows_written})

    async def _join(self) -> EndExport:
        self._desk.tell(WaitingFor.NOTHING, "All rows are written: the parts are put together.", in_passing=True)
        file = await self._unless_stopped(
            workflow.start_activity_method(
                ExportPartActivities.join_export,
                JoinExport(export_id=self._request.export_id),
                task_queue=DOCUMENTS_QUEUE,
                summary="Put the parts together",
                **EXPORT,
            )
        )
        return self._ended(ExportStatus.DONE).model_copy(update={"sha256": file.sha256, "size": file.size})

    async def _report(self) -> EndExport:
        request = self._request
        self._desk.tell(WaitingFor.NOTHING, "It is added up.", in_passing=True)
        step: workflow.ActivityHandle[RenderedReport] = workflow.start_activity(
            _RENDER_REPORT,
            RenderReport(
                export_id=request.export_id,
                report=request.report,
                format=request.format,
                filters=request.filters,
                moment=workflow.now(),
            ),
            task_queue=DOCUMENTS_QUEUE,
            result_type=RenderedReport,
            summary="Add it up",
            **EXPORT,
        )
        report = await self._unless_stopped(step)
        self._progress = self._progress.model_copy(update={"row_count": report.row_count})
        facts = report.model_dump(include={"sha256", "size", "row_count", "snapshot_at"})
        return self._ended(ExportStatus.DONE).model_copy(update=facts)

    async def _end(self, end: EndExport) -> None:
        await workflow.execute_activity_method(
            ExportActivities.end_export, end, summary=f"Write down that it is {end.status}", **FILES
        )
        self._desk.status = end.status
        rows = self._progress.row_count or 0
        if end.status is ExportStatus.DONE:
            self._progress = self._progress.model_copy(update={"rows_written": rows})
        self._progress = self._progress.model_copy(update={"status": end.status, "reason": end.reason})
        said = {
            ExportStatus.DONE: f"Done: {rows:,} rows. The file is kept for a week.",
            ExportStatus.CANCELED: "Canceled: there is no file.",
        }
        self._desk.tell(WaitingFor.NOTHING, said.get(end.status, f"Failed. {self._why or 'It cannot be written.'}"))

    def _failed(self, reason: Reason) -> EndExport:
        return self._ended(ExportStatus.FAILED).model_copy(update={"reason": reason})

    def _ended(self, status: ExportStatus) -> EndExport:
        return EndExport(export_id=self._request.export_id, status=status, workflow_id=workflow.info().workflow_id)

    # ---- messages ----

    @workflow.update(description="Wait until it is written down what was asked for, and the snapshot is taken")
    async def begin(self) -> ExportBegun:
        """Answer who has started it; refused if it has too many rows."""
        await workflow.wait_condition(
            lambda: self._begun is not None or self._progress.status is not ExportStatus.RUNNING
        )
        # Where it failed before it had begun, the progress alone says why.
        begun = self._begun or ExportBegun(refusal=self._progress.reason)
        if begun.refusal is not None:
            raise refusal(begun.refusal, begun.refusal_detail or "It cannot be written.")
        return begun

    @workflow.signal(description="Stop: what is under way ends, and there is no file")
    def cancel(self) -> None:
        self._stop()

    @workflow.query(description="How many rows are written, and how many there are")
    def progress(self) -> ExportProgress:
        return self._progress

    @workflow.query(description="How far the export is")
    def status(self) -> JobState:
        return self._desk.state(None)


def _reason(error: ActivityError) -> Reason:
    """A report that cannot be had says why; anything else is a defect of ours."""
    return next((reason for reason in _REFUSALS if reason == _kind(error)), Reason.INTERNAL)


def _kind(error: ActivityError) -> str:
    return error.cause.type or "" if isinstance(error.cause, ApplicationError) else type(error.cause).__qualname__
