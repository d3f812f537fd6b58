"""The steps of reports on a real record: files of what the record says at one moment, and who is sent them."""

from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4
from zipfile import ZipFile

import pandas as pd
import pytest
from openpyxl import load_workbook
from pypdf import PdfReader
from sqlalchemy import update
from sqlmodel import col
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import statement as statement_module
from activities.database import Sessions
from activities.errand import PublicPages
from activities.export_links import read_link_token, recipient
from activities.files import FileStore
from activities.mail import MailActivities, SmtpSettings
from activities.money_movements import balances
from activities.report_facts import heading_of
from activities.reports import ReportActivities, snapshot
from activities.sales_report import read_sales
from activities.statement import read_statement
from activities.statement_pdf import render_statement
from models.identifiers import export_workflow_id
from models.messages.exports import ExportFilters, RenderReport
from models.messages.mail import SendMail
from models.messages.reports import PlannedReport, PlanReport
from models.money import places_of
from models.tables import Course, Export, Payment
from models.tables.columns import now
from models.vocabulary import ExportFormat, ExportReport, ExportStatus, MailStatus, MailTemplate
from sandbox.mailbox import Mailbox
from sandbox.sample_academy import sample_id
from tests.fresh_record import load_academy
from tests.integration.money_on_record import MadeUp, write_made_up

FIRST, END = date(2026, 3, 1), date(2026, 4, 1)
REPORTS = (ExportReport.SALES, ExportReport.FINANCE, ExportReport.STATEMENT)
FORMULA = '=HYPERLINK("https://evil.test")'
SECRET = "a-secret-of-at-least-thirty-two-bytes"


@pytest.fixture
async def made_up(sessions: Sessions) -> MadeUp:
    """A random record in the sample academy, one of whose courses has a name that looks like a formula."""
    await load_academy(sessions)
    async with sessions.begin() as session:
        course = col(Course.id) == sample_id("course", "spanish-a1")
        await session.execute(update(Course).where(course).values(title=FORMULA))
    return await write_made_up(sessions, "3", 40)


@pytest.fixture
async def reports(sessions: Sessions, tmp_path: Path) -> AsyncIterator[ReportActivities]:
    with ThreadPoolExecutor(1) as executor:
        yield _reports(sessions, tmp_path, executor)


def _reports(sessions: Sessions, folder: Path, executor: Executor) -> ReportActivities:
    return ReportActivities(sessions, FileStore(folder.as_uri()), executor)


def _asked(report: ExportReport, format_: ExportFormat = ExportFormat.PDF) -> RenderReport:
    filters = ExportFilters(date_from=FIRST, date_until=END)
    return RenderReport(export_id=uuid4(), report=report, format=format_, filters=filters, moment=now())


async def _begun(sessions: Sessions, asked: RenderReport) -> RenderReport:
    """What was asked for, with its row, as its job has written it down."""
    async with sessions.begin() as session:
        session.add(
            Export(
                id=asked.export_id, created_at=now(), report=asked.report, format=asked.format,
                status=ExportStatus.RUNNING, filters={}, asked_sha256="a" * 64, requested_by="staff:7",
                workflow_id=export_workflow_id(asked.export_id),
            )
        )  # fmt: skip
    return asked


async def test_every_report_is_stored_in_both_formats(
    made_up: MadeUp, reports: ReportActivities, sessions: Sessions
) -> None:
    async with sessions() as session:
        sales = await read_sales(session, _asked(ExportReport.SALES))
        account = await read_statement(session, _asked(ExportReport.STATEMENT))
    books: dict[ExportReport, BytesIO] = {}
    for report in REPORTS:
        for format_ in (ExportFormat.PDF, ExportFormat.XLSX):
            asked = await _begun(sessions, _asked(report, format_))
            told = await reports.render_report(asked)
            file = await reports.files.get(told.key)
            assert told.key == f"exports/{asked.export_id}/{report}.{format_}"
            assert (told.sha256, told.size) == (sha256(file).hexdigest(), len(file))
            assert timedelta() <= now() - told.snapshot_at < timedelta(minutes=1)
            if format_ is ExportFormat.XLSX:
                books[report] = BytesIO(file)
            else:
                _check_pdf(file, told.snapshot_at)
    assert len(made_up.sales) > len(sales.currencies) > 1
    by_day = pd.read_excel(books[ExportReport.SALES], sheet_name="By day")
    for told_sales in sales.currencies:
        places = 10 ** places_of(told_sales.currency)
        of_currency = by_day[by_day["Currency"] == told_sales.currency]
        lines, [total] = of_currency[of_currency["Day"] != "In all"], of_currency[of_currency["Day"] == "In all"].index
        assert round(lines["Sales"].sum() * places) == told_sales.total.sales
        assert round(by_day["Net"][total] * places) == told_sales.total.net
        assert len(lines) == 31
    assert FORMULA in set(pd.read_excel(books[ExportReport.SALES], sheet_name="By course")["Course"])
    movements = pd.read_excel(books[ExportReport.STATEMENT], sheet_name="Movements")
    assert len(movements) == account.row_count
    for told_account in account.currencies:
        places = 10 ** places_of(told_account.currency)
        lines = movements[movements["Currency"] == told_account.currency]
        assert round(lines["Amount"].sum() * places) == told_account.closing - told_account.opening
        assert round(lines["Balance"].iloc[-1] * places) == told_account.closing
    money = pd.read_excel(books[ExportReport.FINANCE], sheet_name="Money")
    assert set(money["What"]) >= {"Payments", "Refunds"}
    for report, book in books.items():
        _check_book(report, book)


def _check_pdf(file: bytes, snapshot_at: datetime) -> None:
    pdf = PdfReader(BytesIO(file))
    text = "\n".join(page.extract_text() for page in pdf.pages)
    assert "TutorHub Academy" in text
    assert "2026-03-01 to 2026-03-31" in text
    assert f"{snapshot_at.astimezone():%Y}" in text
    assert "orders of tests are left out" in text
    assert "EUR" in text
    assert f"Page 1 of {len(pdf.pages)}" in text
    for page in pdf.pages:
        for font in page["/Resources"]["/Font"].values():
            assert "/FontFile2" in (inner := font.get_object()["/DescendantFonts"][0]["/FontDescriptor"]) or (
                "/FontFile3" in inner
            )


def _check_book(report: ExportReport, file: BytesIO) -> None:
    """Nothing is a formula, heads stay in sight, amounts have the places of their currency, charts are there."""
    book = load_workbook(file)
    for sheet in book.worksheets:
        if sheet.max_row > 1:
            assert sheet.freeze_panes == "A2"
            assert sheet.auto_filter.ref
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    formats = {
        row[column].number_format
        for sheet in book.worksheets
        for column in range(sheet.max_column)
        for row in sheet.iter_rows(min_row=2)
        if row[column].data_type == "n" and "0." in row[column].number_format
    }
    assert {"#,##0.00", "#,##0.000"} <= formats
    with ZipFile(file) as parts:
        charts = [name for name in parts.namelist() if name.startswith("xl/charts/chart")]
    assert bool(charts) == (report is not ExportReport.STATEMENT)


async def test_the_same_figures_give_the_same_bytes(made_up: MadeUp, sessions: Sessions) -> None:
    del made_up
    async with sessions() as session:
        account = await read_statement(session, _asked(ExportReport.STATEMENT))
    whole, short = render_statement(account), render_statement(account, most_lines=3)
    assert whole == render_statement(account)
    assert "here are the sums of each day" in "\n".join(page.extract_text() for page in PdfReader(BytesIO(short)).pages)


async def test_what_is_written_meanwhile_is_in_none_of_its_figures(made_up: MadeUp, sessions: Sessions) -> None:
    asked = _asked(ExportReport.STATEMENT)
    async with snapshot(sessions) as session:
        before = await heading_of(session, asked)
        async with sessions.begin() as other:
            more = {"captured_amount": col(Payment.captured_amount) + 1, "amount": col(Payment.amount) + 1}
            await other.execute(update(Payment).where(col(Payment.captured_amount) > 0).values(more))
        statement = await read_statement(session, asked)
    assert statement.heading.snapshot_at >= before.snapshot_at
    for account in statement.currencies:
        assert account.tie.difference == 0
        moved = [each.amount for each in made_up.ledger if each.currency == account.currency]
        assert account.tie.by_record == sum(moved)
    async with sessions() as session:
        assert {int(amount) for _, amount in (await session.execute(balances())).all()}.isdisjoint(
            account.tie.by_record for account in statement.currencies
        )


async def test_an_attempt_that_comes_late_leaves_the_file_as_it_is(
    made_up: MadeUp, reports: ReportActivities, sessions: Sessions
) -> None:
    """Its worker had lost the server, and not the record: its file is not the one that the export is told of."""
    del made_up
    asked = await _begun(sessions, _asked(ExportReport.FINANCE))
    told = await reports.render_report(asked)
    assert await reports.render_report(asked) == told
    async with sessions.begin() as session:
        ended = {"status": ExportStatus.CANCELED, "ended_at": now()}
        await session.execute(update(Export).where(col(Export.id) == asked.export_id).values(**ended))
    with pytest.raises(ApplicationError) as late:
        await reports.render_report(asked)
    assert (late.value.type, late.value.non_retryable) == ("export_not_running", True)
    await reports.files.get(told.key, digest=told.sha256)


async def test_what_there_is_no_file_of_is_refused_for_good(
    made_up: MadeUp, reports: ReportActivities, monkeypatch: pytest.MonkeyPatch
) -> None:
    del made_up
    for asked in (_asked(ExportReport.SALES, ExportFormat.CSV), _asked(ExportReport.ORDERS)):
        with pytest.raises(ApplicationError) as refused:
            await reports.render_report(asked)
        assert (refused.value.type, refused.value.non_retryable) == ("format_not_available", True)
    monkeypatch.setattr(statement_module, "MOST_LINES", 5)
    with pytest.raises(ApplicationError) as refused:
        await reports.render_report(_asked(ExportReport.STATEMENT))
    assert (refused.value.type, refused.value.non_retryable) == ("too_many_rows", True)


async def test_a_schedules_report_is_planned_by_the_academys_clocks_and_sent_to_who_is_listed(
    sessions: Sessions, reports: ReportActivities, mailbox: Mailbox
) -> None:
    await load_academy(sessions)
    late_on_wednesday = datetime(2026, 3, 11, 23, 30, tzinfo=UTC)
    planned = await reports.plan_report(PlanReport(report=ExportReport.SALES, moment=late_on_wednesday))
    assert planned == PlannedReport(date_from=date(2026, 3, 11), date_until=date(2026, 3, 12))
    frida, head = sample_id("person", "finance"), sample_id("person", "head")
    assert set((await reports.report_recipients(ExportReport.STATEMENT)).person_ids) == {frida, head}
    pdf, xlsx = await _two_exports(sessions)
    mail = MailActivities(
        sessions,
        reports.files,
        SmtpSettings.from_url(mailbox.smtp_url, "Academy <a@registrar.test>", "registrar.test"),
        None,
        public_pages=PublicPages("https://academy.test", SECRET),
    )

    async def send(person_id: UUID) -> MailStatus:
        wanted = SendMail(
            recipient_id=person_id,
            template=MailTemplate.EXPORT_READY,
            subject_id=pdf,
            occasion="statement",
            workflow_id="monthly-statement-1",
        )
        return (await ActivityEnvironment().run(mail.send_mail, wanted)).status

    assert [await send(frida), await send(frida)] == [MailStatus.SENT] * 2
    [sent] = mailbox.mails()
    links = [line.partition(": ")[2] for line in str(sent.text).splitlines() if "/v1/exports/download/" in line]
    tokens = [read_link_token(SECRET, link.rpartition("/")[2], now()) for link in links]
    assert [(link.export_id, link.bearer) for link in tokens] == [(pdf, recipient(frida)), (xlsx, recipient(frida))]
    with pytest.raises(ApplicationError) as refused:
        await send(sample_id("person", "lukasz"))
    assert refused.value.type == "mail_without_subject"


async def _two_exports(sessions: Sessions) -> tuple[UUID, UUID]:
    """Both formats that a schedule has made, beside older ones and somebody else's."""
    moment = now()

    def export(format_: ExportFormat, actor: str, age: timedelta = timedelta()) -> Export:
        return Export(
            report=ExportReport.STATEMENT, format=format_, status=ExportStatus.DONE, created_at=moment - age,
            filters=ExportFilters(date_from=FIRST, date_until=END).model_dump(mode="json"), asked_sha256="0" * 64,
            requested_by=actor, snapshot_at=moment, file_sha256="0" * 64, size=1, ended_at=moment,
            expires_at=moment + timedelta(days=7), workflow_id="export",
        )  # fmt: skip

    pdf, xlsx = (export(each, "schedule:monthly-statement") for each in (ExportFormat.PDF, ExportFormat.XLSX))
    others = (
        export(ExportFormat.XLSX, "schedule:monthly-statement", timedelta(hours=1)),
        export(ExportFormat.XLSX, "staff:7"),
    )
    async with sessions.begin() as session:
        session.add_all([pdf, xlsx, *others])
    return pdf.id, xlsx.id
