"""Every confirmation, receipt, credit note and certificate of the week really went out: what did not, is found."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update
from sqlmodel import col
from temporalio import workflow
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.certificate_templates import AssignedTemplate
from activities.certificates import CertificateActivities
from activities.check_runs import begin_run
from activities.critical_mail import CriticalMailActivities
from activities.findings import Found, record_findings
from activities.mail import MailActivities
from activities.mail_ledger import hanging_mails
from activities.orders import OrderActivities
from models.identifiers import certificate_workflow_id, finding_id_for, mail_id_for
from models.messages.certificates import CertificateStart
from models.messages.checks import LookOverMail, MailToSend, PutRightAgain, ToPutRight
from models.messages.mail import MailReport, SendMail
from models.tables import AuditEntry, Certificate, CheckRun, CheckRunFinding, Document, Finding, Mail
from models.tables.columns import now
from models.vocabulary import CheckKind, CheckStatus, FindingKind, FindingStatus, MailStatus, MailTemplate
from sandbox.mailbox import Faults, Mailbox
from tests.eventually import eventually
from tests.integration.certified_places import a_place, blank, certify, confirm, issued, story_of, template
from tests.integration.completed_orders import change_person
from tests.integration.letter_steps import GRACE, complete, order, pay_back, receipt_of
from tests.integration.order_steps import LUKASZ, STUDENTS, enrollments_of, line

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CONFIRMATION, REFUND, ISSUED = (
    MailTemplate.ORDER_CONFIRMATION,
    MailTemplate.REFUND,
    MailTemplate.CERTIFICATE_ISSUED,
)


@pytest.fixture
def check(orders: OrderActivities) -> CriticalMailActivities:
    return CriticalMailActivities(orders.sessions)


def look(moment: datetime, papers: int = 0) -> LookOverMail:
    return LookOverMail(moment=moment, workflow_id=f"critical-mail-{moment:%Y-%m-%dT%H:%M:%SZ}", papers=papers)


async def send(mails: MailActivities, mail: MailToSend) -> MailReport:
    return await mails.send_mail(SendMail(workflow_id="critical-mail-now", **mail.model_dump()))


async def file(mails: MailActivities, order_id: UUID) -> None:
    """The documents of the order have files; what is in them does not matter here."""
    stored = await mails.files.put(f"receipts/{order_id}.pdf", b"%PDF-", "application/pdf")
    values = {"file_key": stored.key, "sha256": stored.sha256, "printed": {}}
    async with mails.sessions.begin() as session:
        await session.execute(update(Document).where(col(Document.order_id) == order_id).values(**values))


async def put_right(mails: MailActivities, wanted: ToPutRight) -> None:
    for mail in wanted.mails:
        assert (await send(mails, mail)).status is MailStatus.SENT


async def findings(check: CriticalMailActivities, status: FindingStatus = FindingStatus.OPEN) -> list[tuple[str, UUID]]:
    async with check.sessions() as session:
        query = select(col(Finding.kind), col(Finding.subject_id)).where(col(Finding.status) == status)
        return sorted((str(kind), subject) for kind, subject in await session.execute(query))


async def counted(check: CriticalMailActivities) -> Sequence[int]:
    """Rows of the tables that a run may change; runs themselves apart."""
    async with check.sessions() as session:
        tables = (Finding, AuditEntry, Mail)
        return [(await session.execute(select(func.count()).select_from(table))).scalar_one() for table in tables]


async def test_what_never_went_out_is_found_and_sent_by_the_key_of_its_job(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox, check: CriticalMailActivities
) -> None:
    steps = [await order(orders, line("spanish-a1", student)) for student in STUDENTS[:4]]
    sent, unsent, unrendered, refunded = [await complete(orders, step) for step in steps]
    for order_id in (sent, unsent):
        await file(mails, order_id)
    done = MailToSend(recipient_id=GRACE, template=CONFIRMATION, subject_id=sent)
    await send(mails, done)
    [place] = await enrollments_of(orders.sessions, steps[3])
    await pay_back(orders.sessions, steps[3], place.id)
    await file(mails, refunded)

    # Nothing is late yet.
    at_once = now()
    assert await check.check_papers(look(at_once)) == ToPutRight()
    assert await check.check_mails(look(at_once)) == ToPutRight()

    first = at_once + 2 * HOUR
    papers = await check.check_papers(look(first))
    assert papers == ToPutRight(document_ids=(await receipt_of(mails, unrendered),), found=1)
    missing = await check.check_mails(look(first, papers.found))
    confirmation = MailToSend(recipient_id=GRACE, template=CONFIRMATION, subject_id=unsent)
    money_back = MailToSend(recipient_id=GRACE, template=REFUND, subject_id=refunded, occasion="seat_lost")
    assert missing == ToPutRight(mails=(confirmation, money_back), found=2)
    # A step that is repeated finds its work done, and answers the same.
    before = await counted(check)
    assert await check.check_mails(look(first, papers.found)) == missing
    assert await counted(check) == before

    mailbox.clear()
    await put_right(mails, missing)
    # The job of an order comes second: by the same key there is one mail.
    assert (await send(mails, confirmation)).status is MailStatus.SENT
    assert len(mailbox.mails()) == 2
    await file(mails, unrendered)

    second = first + DAY
    assert await check.check_papers(look(second)) == ToPutRight()
    late = MailToSend(recipient_id=GRACE, template=CONFIRMATION, subject_id=unrendered)
    assert await check.check_mails(look(second)) == ToPutRight(mails=(late,), found=1)
    await put_right(mails, ToPutRight(mails=(late,)))
    third = second + DAY
    assert (await check.check_papers(look(third)), await check.check_mails(look(third))) == (ToPutRight(),) * 2
    assert await findings(check) == []
    assert len(await findings(check, FindingStatus.RESOLVED)) == 4

    # With nothing new a run leaves nothing behind but its own row.
    before = await counted(check)
    fourth = third + DAY
    assert (await check.check_papers(look(fourth)), await check.check_mails(look(fourth))) == (ToPutRight(),) * 2
    assert await counted(check) == before
    async with check.sessions() as session:
        runs = (await session.execute(select(CheckRun).order_by(col(CheckRun.looked_until)))).scalars().all()
        lines = select(col(CheckRunFinding.is_healing), col(CheckRunFinding.is_new))
        assert {tuple(each) for each in await session.execute(lines)} == {(True, True)}
    assert {(run.kind, run.status, run.scope) for run in runs} == {("critical_mail", CheckStatus.DONE, "week")}
    assert runs[1].counts == {"papers_missing": 1, "mails_missing": 2, "mails_not_sent": 0}
    assert (runs[1].looked_from, runs[1].looked_until) == (first - 7 * DAY, first - HOUR)


async def test_what_came_back_is_asked_about_and_sent_again_by_a_word_each(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox, check: CriticalMailActivities
) -> None:
    order_id = await complete(orders, await order(orders))
    await file(mails, order_id)
    await change_person(orders.sessions, "grace", email="no address")
    mail = MailToSend(recipient_id=GRACE, template=CONFIRMATION, subject_id=order_id)
    mail_id = mail_id_for(GRACE, CONFIRMATION, order_id)
    assert (await send(mails, mail)).status is MailStatus.BOUNCED
    moment = now() + 2 * HOUR
    assert await check.check_mails(look(moment)) == ToPutRight(found=1)
    assert await findings(check) == [(FindingKind.MAIL_NOT_SENT, mail_id)]
    async with check.sessions() as session:
        finding = (await session.execute(select(Finding))).scalar_one()
        assert (await session.execute(select(col(CheckRunFinding.is_healing)))).scalar_one() is False
    assert finding.reason.startswith("The mail order_confirmation is bounced (address_invalid).")
    assert finding.id == finding_id_for(FindingKind.MAIL_NOT_SENT, str(mail_id))

    # A month later it is open still, and found still.
    assert (await check.check_mails(look(moment + 30 * DAY))).found == 1

    async def again(times: int) -> MailReport:
        word = PutRightAgain(finding_id=finding.id, times=times, actor="staff:7", workflow_id=f"finding-{finding.id}")
        assert await check.put_right_again(word) == ToPutRight(mails=(mail,))
        return await send(mails, mail)

    # Still the wrong address; what is repeated counts once.
    assert [(await again(1)).status for _ in range(2)] == [MailStatus.BOUNCED] * 2
    await change_person(orders.sessions, "grace", email="grace@students.test")
    assert (await again(1)).status is MailStatus.BOUNCED
    assert mailbox.mails() == []
    assert [(await again(2)).status for _ in range(2)] == [MailStatus.SENT] * 2
    # What has arrived is not sent once more, whoever says so.
    assert (await again(3)).status is MailStatus.SENT
    [arrived] = mailbox.mails()
    assert arrived.message["Message-ID"] == f"<{mail_id}@registrar.test>"
    assert await story_of(check.sessions, mail_id) == [
        (None, "queued", "mail queued"),
        ("queued", "bounced", "address_invalid"),
        ("bounced", "queued", "sent again by hand, 1"),
        ("queued", "bounced", "address_invalid"),
        ("bounced", "queued", "sent again by hand, 2"),
        ("queued", "sent", "mail sent"),
    ]
    assert await check.check_mails(look(moment + 31 * DAY)) == ToPutRight()
    assert await findings(check) == []


async def test_a_mail_that_waits_or_was_lost_on_its_way_is_sent_by_a_persons_word(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox, check: CriticalMailActivities
) -> None:
    order_id = await complete(orders, await order(orders))
    await file(mails, order_id)
    mail = MailToSend(recipient_id=GRACE, template=CONFIRMATION, subject_id=order_id)
    mailbox.faults = Faults(drop_after_storing=True, times=1)
    assert (await send(mails, mail)).status is MailStatus.UNKNOWN
    moment = now() + 2 * HOUR
    assert (await check.check_mails(look(moment))).found == 1
    [(_, mail_id)] = await findings(check)
    word = PutRightAgain(
        finding_id=finding_id_for(FindingKind.MAIL_NOT_SENT, str(mail_id)),
        times=1,
        actor="staff:7",
        workflow_id="finding-of-a-test",
    )
    await check.put_right_again(word)
    # Handed over by somebody who has died since: nobody can know; but a word given later counts for it as well.
    async with check.sessions.begin() as session:
        assert await hanging_mails(session, word.workflow_id) == [mail_id]
        await session.execute(update(Mail).values(handed_over_at=now() - HOUR))
    assert (await check.check_mails(look(moment + HOUR))).found == 1
    await check.put_right_again(word.model_copy(update={"times": 2}))
    assert (await send(mails, mail)).status is MailStatus.SENT
    # The one that is said to have broken off, and the one that a person wanted.
    assert len(mailbox.mails()) == 2
    assert await check.check_mails(look(moment + DAY)) == ToPutRight()


async def test_what_another_run_has_found_meanwhile_is_not_thought_gone(
    orders: OrderActivities, mails: MailActivities, check: CriticalMailActivities
) -> None:
    """A late run of the day before, and one that somebody starts by hand, go beside the one of today."""
    order_id = await complete(orders, await order(orders))
    await file(mails, order_id)
    await change_person(orders.sessions, "grace", email="no address")
    await send(mails, MailToSend(recipient_id=GRACE, template=CONFIRMATION, subject_id=order_id))
    moment = now()
    async with check.sessions.begin() as session:
        # The run of today is about to commit: the other one has looked, and waits to write.
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtext("findings:critical_mail"))))
        late = asyncio.create_task(check.check_mails(look(moment - 12 * HOUR)))
        waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

        async def waits() -> bool:
            return bool(await session.scalar(waiting))

        await eventually(waits)
        found = await record_findings(
            session, await begin_run(session, "critical-mail-today", CheckKind.CRITICAL_MAIL, "week", None, None),
            CheckKind.CRITICAL_MAIL, (FindingKind.MAIL_NOT_SENT,),
            [Found(FindingKind.MAIL_NOT_SENT, "today", "mail", order_id, "Not sent.")], workflow_id="today",
        )  # fmt: skip
    assert await late == ToPutRight()
    assert len(found.opened) == 1
    assert await findings(check) == [(FindingKind.MAIL_NOT_SENT, order_id)]


@workflow.defn(name="CertificateWorkflow", sandboxed=False)
class _Woken:
    @workflow.run
    async def run(self, start: CertificateStart) -> UUID:
        return start.enrollment_id

    @workflow.signal
    def facts_changed(self) -> None:
        pass


async def test_certificates_without_a_file_wake_their_jobs_and_those_with_one_are_mailed(
    orders: OrderActivities, check: CriticalMailActivities, real_temporal: Client
) -> None:
    await blank(orders.sessions)
    await certify(orders.sessions, "spanish-a1", AssignedTemplate(await template(orders.sessions, "for good")))
    await confirm(orders.sessions, "Łukasz Żółciński")
    place = await a_place(orders.sessions, orders)
    moment = now()
    certificate_id = await issued(CertificateActivities(orders.sessions), place, moment)
    async with orders.sessions.begin() as session:
        # What the order of the place was about is not what this test is.
        session.add(
            Mail(
                recipient_id=LUKASZ, template=CONFIRMATION, subject_id=place, status=MailStatus.SKIPPED,
                workflow_id="order-of-a-test",
            )
        )  # fmt: skip
    environment = ActivityEnvironment(client=real_temporal)
    handle = real_temporal.get_workflow_handle(certificate_workflow_id(place), result_type=UUID)
    async with Worker(real_temporal, task_queue=environment.info.task_queue, workflows=[_Woken]):
        found = await environment.run(check.check_papers, look(moment + 2 * HOUR))
        assert await handle.result() == place
    assert (found.found, len(found.document_ids)) == (2, 1)
    assert (FindingKind.PAPER_MISSING, certificate_id) in await findings(check)
    assert await check.check_mails(look(moment + 2 * HOUR)) == ToPutRight()
    async with orders.sessions.begin() as session:
        await session.execute(update(Certificate).values(file_sha256="a" * 64))
    mail = MailToSend(recipient_id=LUKASZ, template=ISSUED, subject_id=certificate_id)
    assert await check.check_mails(look(moment + 3 * HOUR)) == ToPutRight(mails=(mail,), found=1)
    # It was passed over while the certificate was revoked; it counts again, and its holder was never told.
    async with orders.sessions.begin() as session:
        session.add(
            Mail(
                id=mail_id_for(LUKASZ, ISSUED, certificate_id), recipient_id=LUKASZ, template=ISSUED,
                subject_id=certificate_id, status=MailStatus.SKIPPED, status_reason="revoked", workflow_id="job",
            )
        )  # fmt: skip
    mail = mail.model_copy(update={"occasion": "again_1"})
    assert await check.check_mails(look(moment + 3.5 * HOUR)) == ToPutRight(mails=(mail,), found=1)
    # What a person has called right as it is, is neither raised again nor sent.
    async with orders.sessions.begin() as session:
        await session.execute(
            update(Finding).values(status=FindingStatus.ACCEPTED, settled_at=now(), settled_by="staff:7")
        )
    assert await check.check_mails(look(moment + 4 * HOUR)) == ToPutRight()
    assert await findings(check) == []
    async with orders.sessions() as session:
        assert {row.found_by for row in (await session.execute(select(Finding))).scalars()} == {CheckKind.CRITICAL_MAIL}
