"""A report that makes itself, from the schedule's job to the file that its recipient opens from the mail."""

from datetime import datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

from temporalio.common import WorkflowIDConflictPolicy

from models.messages.exports import MakeReport
from models.messages.reports import ReportSent
from models.vocabulary import ExportReport, Role
from sandbox.sample_academy import read_academy, sample_id
from tests.installation import Installation
from workflows.queues import REGISTRAR_QUEUE

ZONE = ZoneInfo(read_academy().academy.time_zone)


async def test_the_report_of_yesterday_reaches_who_is_listed_and_nobody_else(installation: Installation) -> None:
    workflow_id = f"daily-sales-{uuid4()}"
    sent = await installation.temporal.execute_workflow(
        "ScheduledReportWorkflow",
        MakeReport(report=ExportReport.SALES),
        id=workflow_id,
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        result_type=ReportSent,
    )
    yesterday = datetime.now(ZONE).date() - timedelta(days=1)
    assert sent.mails == 2
    assert sent.days.date_from in {yesterday, yesterday - timedelta(days=1)}
    mails = {mail.header("To"): str(mail.text) for mail in installation.mailbox.mails()}
    [text] = [text for to, text in mails.items() if "finance@" in to]
    links = [line.rpartition(" ")[2] for line in text.splitlines() if "/v1/exports/download/" in line]
    pdf, book = [await installation.http.get(link) for link in links]
    assert (pdf.headers["content-type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")
    assert "sheet" in book.headers["content-type"]
    export = await installation.http.get(
        f"/v1/exports/{sent.export_ids[0]}", headers=installation.caller("finance", Role.STAFF)
    )
    told = export.json()
    assert (told["status"], told["requested_by"]) == ("done", "schedule:daily-sales")
    listed = {"person_ids": [str(sample_id("person", "lead"))]}
    headers = installation.caller("finance", Role.STAFF)
    (await installation.http.put("/v1/reports/sales/recipients", json=listed, headers=headers)).raise_for_status()
    assert (await installation.http.get(links[0])).status_code in {403, 404, 410}
