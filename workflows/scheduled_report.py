"""A report that comes back by itself: made in each format by a job of its own, and sent to whoever is to have it."""

import asyncio
from collections.abc import Mapping
from typing import NoReturn
from uuid import UUID

from temporalio import workflow
from temporalio.common import VersioningBehavior, WorkflowIDReusePolicy
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities.reports import ReportActivities
    from models.identifiers import export_id_for, export_workflow_id
    from models.listing import export_attributes
    from models.messages.exports import ExportFilters, ExportRequest, MakeReport
    from models.messages.jobs import JobState
    from models.messages.reports import PlannedReport, PlanReport, ReportSent
    from models.vocabulary import ExportFormat, ExportReport, ExportStatus, MailStatus, MailTemplate, WaitingFor
    from workflows.desk import Desk, listed_so_far
    from workflows.export import ExportWorkflow
    from workflows.mailing import send_mail
    from workflows.policies import TASK
    from workflows.scheduled import scheduled_at

# Whoever starts one by hand makes the report of the schedule.
SCHEDULES: Mapping[ExportReport, str] = {
    ExportReport.SALES: "daily-sales",
    ExportReport.FINANCE: "weekly-finance",
    ExportReport.STATEMENT: "monthly-statement",
}
_NOT_MADE = "report_not_made"


@workflow.defn(name="ScheduledReportWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class ScheduledReportWorkflow:
    """One report. The moment that it is meant for decides of which days it is and which exports it makes: a run that is
    late, or comes again, makes the same ones, and nobody gets a second mail.
    """

    @workflow.init
    def __init__(self, make: MakeReport) -> None:
        self._report = make.report
        self._desk = Desk(
            f"Report: {make.report}", "Its days are looked up.", listed=(listed_so_far()[0], WaitingFor.NOTHING)
        )
        self._desk.status = ExportStatus.RUNNING

    @workflow.run
    async def run(self, make: MakeReport) -> ReportSent:
        """Find its days, make its files, and send them. Raises `report_not_made` if no file could be made."""
        days = await self._plan()
        self._tell(f"The report from {days.date_from} on, before {days.date_until}, is made.")
        made = await asyncio.gather(*(self._export(days, each) for each in make.formats))
        export_ids = tuple(each for each in made if each is not None)
        if not export_ids:
            self._give_up()
        self._tell("It is sent to its recipients.")
        mails = await self._send(export_ids[0])
        self._desk.status = ExportStatus.DONE
        self._tell(f"Over: {len(export_ids)} files, {mails} mails.")
        return ReportSent(days=days, export_ids=export_ids, mails=mails)

    # ---- the chapters ----

    async def _plan(self) -> PlannedReport:
        return await workflow.execute_activity_method(
            ReportActivities.plan_report,
            PlanReport(report=self._report, moment=scheduled_at()),
            summary="Which days it is about",
            **TASK,
        )

    async def _export(self, days: PlannedReport, format_: ExportFormat) -> UUID | None:
        """The export in this format; none if it came to nothing."""
        schedule = SCHEDULES[self._report]
        export_id = export_id_for(f"schedule:{schedule}", f"{scheduled_at().isoformat()}:{format_}")
        request = ExportRequest(
            export_id=export_id,
            report=self._report,
            format=format_,
            filters=ExportFilters(date_from=days.date_from, date_until=days.date_until),
            actor=f"schedule:{schedule}",
        )
        try:
            made = await workflow.execute_child_workflow(
                ExportWorkflow.run,
                request,
                id=export_workflow_id(export_id),
                # What an earlier run has made stays as it is: its file may be with its readers.
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
                search_attributes=export_attributes(),
                static_summary=f"Export of {self._report} as {format_}",
            )
        except WorkflowAlreadyStartedError:
            # It is made, or is being made for somebody else: the mail looks at it, and waits where it has to.
            return export_id
        except ChildWorkflowError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.error("a report could not be made as %s", format_)
            return None
        return export_id if made.status is ExportStatus.DONE else None

    async def _send(self, export_id: UUID) -> int:
        """One mail to each recipient; how many have it."""
        listed = await workflow.execute_activity_method(
            ReportActivities.report_recipients, self._report, summary="Who is sent it", **TASK
        )
        sent = (
            send_mail(
                person_id,
                MailTemplate.EXPORT_READY,
                export_id,
                occasion=self._report.value,
                summary=f"Recipient {number} of {len(listed.person_ids)}",
            )
            for number, person_id in enumerate(listed.person_ids, start=1)
        )
        return sum(report.status is MailStatus.SENT for report in await asyncio.gather(*sent))

    def _give_up(self) -> NoReturn:
        self._desk.status = ExportStatus.FAILED
        self._tell("It could not be made; what its exports say tells why.")
        raise ApplicationError("no file of the report could be made", type=_NOT_MADE, non_retryable=True)

    def _tell(self, what: str) -> None:
        # Recurring jobs are found by their schedule.
        self._desk.tell(WaitingFor.NOTHING, what, in_passing=True)

    # ---- messages ----

    @workflow.query(description="How far the report is")
    def status(self) -> JobState:
        return self._desk.state(None)
