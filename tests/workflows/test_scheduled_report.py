"""A report that comes back by itself: both files of the same days, and one mail to each of its recipients."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import cast
from uuid import UUID

import pytest
from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

from models.identifiers import export_id_for, export_workflow_id
from models.messages.exports import ExportFilters, ExportProgress, ExportRequest, MakeReport
from models.messages.mail import MailReport, SendMail
from models.messages.reports import PlannedReport, PlanReport, ReportRecipients, ReportSent
from models.vocabulary import ExportFormat, ExportReport, ExportStatus, MailStatus, MailTemplate
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.scheduled_report import SCHEDULES, ScheduledReportWorkflow

PEOPLE = (UUID(int=11), UUID(int=12))
DAYS = PlannedReport(date_from=date(2026, 3, 1), date_until=date(2026, 3, 2))


@dataclass
class Academy:
    """Stands in for the record, the exports and the mail server."""

    failing: dict[ExportFormat, ExportStatus | None] = field(default_factory=dict)
    people: tuple[UUID, ...] = PEOPLE
    mail_is_down: bool = False
    planned: list[PlanReport] = field(default_factory=list)
    made: Counter[ExportRequest] = field(default_factory=Counter)
    ledger: set[tuple[UUID, UUID, str]] = field(default_factory=set)

    @property
    def steps(self) -> list[object]:
        return [self.plan_report, self.report_recipients, self.make_export, self.send_mail]

    @activity.defn
    async def plan_report(self, step: PlanReport) -> PlannedReport:
        self.planned.append(step)
        return DAYS

    @activity.defn
    async def report_recipients(self, report: ExportReport) -> ReportRecipients:
        return ReportRecipients(person_ids=self.people)

    @activity.defn
    async def make_export(self, request: ExportRequest) -> ExportProgress:
        status = self.failing.get(request.format, ExportStatus.DONE)
        if status is None:
            raise ApplicationError("it breaks", non_retryable=True)
        self.made[request] += 1
        return ExportProgress(status=status)

    @activity.defn
    async def send_mail(self, step: SendMail) -> MailReport:
        if self.mail_is_down:
            raise ApplicationError("no mail server", type="smtp_unreachable")
        assert step.template is MailTemplate.EXPORT_READY
        self.ledger.add((step.recipient_id, step.subject_id, step.occasion))
        return MailReport(mail_id=UUID(int=0), status=MailStatus.SENT)


@workflow.defn(name="ExportWorkflow")
class MadeAtOnce:
    """Stands in for an export: one step, with the outcome that the academy has for it."""

    @workflow.run
    async def run(self, request: ExportRequest) -> ExportProgress:
        limit = timedelta(minutes=1)
        progress: ExportProgress = await workflow.execute_activity(
            "make_export", request, start_to_close_timeout=limit, result_type=ExportProgress
        )
        return progress


def _simulated(academy: Academy, seed: str = "", mishaps: Mishaps | None = None) -> Simulation:
    chance = random.Random(seed)  # noqa: S311 - the same every time
    return Simulation(academy.steps, chance, mishaps, workflows=[MadeAtOnce])


def _start(simulation: Simulation, report: ExportReport = ExportReport.SALES, name: str = "1") -> Run:
    return simulation.start(ScheduledReportWorkflow.run, MakeReport(report=report), f"{SCHEDULES[report]}-{name}")


def _export_id(simulation: Simulation, report: ExportReport, format_: ExportFormat) -> UUID:
    moment = simulation.started.isoformat()
    return export_id_for(f"schedule:{SCHEDULES[report]}", f"{moment}:{format_}")


@pytest.mark.parametrize("report", SCHEDULES)
def test_both_files_are_made_of_the_same_days_and_each_recipient_gets_one_mail(report: ExportReport) -> None:
    academy = Academy()
    simulation = _simulated(academy)
    run = _start(simulation, report)
    simulation.run_until(lambda: run.ended is not None)
    pdf, xlsx = (_export_id(simulation, report, each) for each in (ExportFormat.PDF, ExportFormat.XLSX))
    assert run.result() == ReportSent(days=DAYS, export_ids=(pdf, xlsx), mails=2)
    assert [(step.report, step.moment) for step in academy.planned] == [(report, simulation.started)]
    wanted = ExportFilters(date_from=DAYS.date_from, date_until=DAYS.date_until)
    assert academy.made == Counter(
        ExportRequest(
            export_id=export_id,
            report=report,
            format=format_,
            filters=wanted,
            actor=f"schedule:{SCHEDULES[report]}",
        )
        for export_id, format_ in ((pdf, ExportFormat.PDF), (xlsx, ExportFormat.XLSX))
    )
    assert academy.ledger == {(person, pdf, report.value) for person in PEOPLE}
    assert run.query(ScheduledReportWorkflow.status).status == "done"


@pytest.mark.parametrize("number", range(20))
def test_whatever_gets_lost_there_are_two_files_and_one_mail_each(number: int) -> None:
    academy = Academy()
    simulation = _simulated(academy, str(number), Mishaps(answer_lost=0.3, worker_away=0.2))
    run = _start(simulation)
    simulation.run_until(lambda: run.ended is not None)
    assert len(cast(ReportSent, run.result()).export_ids) == len(academy.made) == 2
    assert len(academy.ledger) == len(PEOPLE)


def test_a_run_that_is_repeated_makes_and_sends_nothing_new() -> None:
    academy = Academy()
    simulation = _simulated(academy)
    first, second = _start(simulation), _start(simulation, name="again")
    simulation.run_until(lambda: first.ended is not None and second.ended is not None)
    assert first.result() == second.result()
    assert set(academy.made.values()) == {1}
    assert len(academy.ledger) == len(PEOPLE)


@pytest.mark.parametrize("outcome", [None, ExportStatus.FAILED])
def test_the_file_that_could_be_made_is_sent(outcome: ExportStatus | None) -> None:
    academy = Academy(failing={ExportFormat.PDF: outcome})
    simulation = _simulated(academy)
    run = _start(simulation)
    simulation.run_until(lambda: run.ended is not None)
    xlsx = _export_id(simulation, ExportReport.SALES, ExportFormat.XLSX)
    assert cast(ReportSent, run.result()).export_ids == (xlsx,)
    assert {subject for _, subject, _ in academy.ledger} == {xlsx}


def test_a_report_of_which_no_file_could_be_made_fails_for_all_to_see() -> None:
    academy = Academy(failing=dict.fromkeys(ExportFormat, ExportStatus.FAILED))
    simulation = _simulated(academy)
    run = _start(simulation)
    simulation.run_until(lambda: run.ended is not None)
    assert run.ended is not None
    failed = run.ended.fail_workflow_execution.failure.application_failure_info
    assert failed.type == "report_not_made"
    assert not academy.ledger
    assert run.query(ScheduledReportWorkflow.status).status == "failed"


def test_a_mail_server_that_is_down_holds_up_no_file() -> None:
    academy = Academy(mail_is_down=True)
    simulation = _simulated(academy)
    run = _start(simulation)
    simulation.run_for(timedelta(hours=1))
    assert simulation.has_completed(export_workflow_id(_export_id(simulation, ExportReport.SALES, ExportFormat.PDF)))
    assert run.ended is None
    academy.mail_is_down = False
    simulation.run_for(timedelta(hours=1))
    assert cast(ReportSent, run.result()).mails == len(PEOPLE)


def test_a_report_without_recipients_is_made_all_the_same() -> None:
    academy = Academy(people=())
    simulation = _simulated(academy)
    run = _start(simulation)
    simulation.run_until(lambda: run.ended is not None)
    assert cast(ReportSent, run.result()).mails == 0
    assert len(academy.made) == 2
