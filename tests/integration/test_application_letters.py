"""The letters about a tutor's application, from the record to the mailbox: to whom, and what they know."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.database import Sessions
from activities.files import FileStore
from activities.letters import APPLICATION_LETTERS
from activities.mail import MailActivities, SmtpSettings
from models.identifiers import hand_over_occasion, new_id
from models.tables import ApplicationDecision, ApplicationDocument, HumanTask, Note, TutorApplication
from models.tables.columns import now
from models.vocabulary import (
    ApplicationDocumentKind,
    ApplicationStatus,
    MailStatus,
    MailTemplate,
    ReviewReason,
    TaskAction,
    TaskKind,
    TaskQueue,
)
from sandbox.mailbox import Mailbox
from tests.fresh_record import load_academy
from tests.integration.letter_steps import arrived, refusal, send, text_of
from tests.integration.order_steps import person, statements_of

T = MailTemplate
ELENI, NOA, MINH = person("eleni"), person("noa"), person("minh")


@pytest.fixture
async def mails(sessions: Sessions, mailbox: Mailbox, tmp_path: Path) -> MailActivities:
    await load_academy(sessions)
    return MailActivities(
        sessions,
        FileStore((tmp_path / "files").as_uri()),
        SmtpSettings.from_url(mailbox.smtp_url, "TutorHub Academy <academy@registrar.test>", "registrar.test"),
        None,
        "https://ui.test/{workflow_id}",
        "https://academy.test/applications/{application_id}",
    )


async def an_application(sessions: Sessions, status: ApplicationStatus, *, documents: int = 1, rounds: int = 1) -> UUID:
    """An application for Spanish that Noa reviews, rejected once with a message, and its documents."""
    application_id, decision_id, moment = new_id(), new_id(), now()
    reviewer = f"staff:{NOA}"
    application = TutorApplication(
        id=application_id, applicant_id=ELENI, status=status, bio="b", subjects=["spanish"], reviewer_id=NOA,
        submitted_at=moment - timedelta(days=1), rounds=rounds, workflow_id=f"tutor-application-{application_id}",
        info_due_at=moment + timedelta(days=14) if status is ApplicationStatus.INFO_REQUESTED else None,
    )  # fmt: skip
    task = HumanTask(
        id=new_id(), kind=TaskKind.TUTOR_REVIEW, subject_kind="tutor_application", subject_id=application_id,
        workflow_id=application.workflow_id, reason="It waits for a review.", allowed_actions=["approve"],
        queue=TaskQueue.REVIEW, due_at=moment + timedelta(days=5), assignee=reviewer,
    )  # fmt: skip
    first = ApplicationDecision(
        id=decision_id, application_id=application_id, action=TaskAction.REQUEST_INFO, decided_by=reviewer,
        reasons=[ReviewReason.PROFILE_TOO_THIN], documents=[], created_at=moment,
    )  # fmt: skip
    second = ApplicationDecision(
        id=new_id(), application_id=application_id, action=TaskAction.APPROVE, decided_by=f"staff:{MINH}",
        seconds=decision_id, documents=[], created_at=moment + timedelta(seconds=1),
    )  # fmt: skip
    notes = [
        Note(subject_kind=kind, subject_id=decision_id, author=author, text=text)
        for kind, author, text in (
            ("applicant_message", reviewer, "Please tell more."),
            ("applicant_message", f"staff:{MINH}", "Of another reviewer, who was too late."),
            ("task", reviewer, "Between us: weak."),
        )
    ]
    shown = [
        ApplicationDocument(
            id=(id_ := new_id()), application_id=application_id, kind=ApplicationDocumentKind.CERTIFICATION,
            subject="spanish", first_version_id=id_, media_type="application/pdf", sha256="a" * 64, judged_at=moment,
            verdict="rejected", verdict_reason=ReviewReason.DOCUMENT_EXPIRED, judged_by=reviewer,
            replaced_at=None if number else moment,
        )
        for number in range(documents + 1)
    ]  # fmt: skip
    async with sessions.begin() as session:
        session.add(application)
        await session.flush()
        session.add_all([task, first, *shown, *notes])
        await session.flush()
        session.add(second)
    return application_id


async def open_task_of(sessions: Sessions, application_id: UUID) -> UUID:
    async with sessions() as session:
        task = select(col(HumanTask.id)).where(col(HumanTask.subject_id) == application_id)
        return (await session.execute(task)).scalar_one()


async def test_an_applicant_reads_what_is_asked_why_and_by_whose_words(mails: MailActivities, mailbox: Mailbox) -> None:
    application_id = await an_application(mails.sessions, ApplicationStatus.INFO_REQUESTED)
    mail = await arrived(mails, mailbox, T.APPLICATION_INFO_REQUESTED, application_id, to=ELENI, occasion="round-1")
    told = text_of(mail)
    assert "Your profile says too little" in told
    assert told.count("Certification: Spanish: It has expired.") == 1
    assert "Please tell more." in told
    assert "too late" not in told
    assert "Between us" not in told
    assert "Athens time" in told
    assert f"https://academy.test/applications/{application_id}" in told
    report = await send(mails, T.APPLICATION_INFO_REMINDER, application_id, to=ELENI, occasion="round-2-1")
    assert (report.status, report.reason) == (MailStatus.SKIPPED, "round_over")


async def test_a_reviewer_is_told_of_their_own_application_alone(mails: MailActivities, mailbox: Mailbox) -> None:
    application_id = await an_application(mails.sessions, ApplicationStatus.IN_REVIEW)
    occasion = hand_over_occasion(await open_task_of(mails.sessions, application_id), 1)
    mail = await arrived(mails, mailbox, T.APPLICATION_ASSIGNED, application_id, to=NOA, occasion=occasion)
    assert "Subjects: Spanish" in text_of(mail)
    assert f"https://ui.test/tutor-application-{application_id}" in text_of(mail)
    for stranger in (MINH, ELENI):
        answer = await refusal(mails, T.APPLICATION_ASSIGNED, application_id, to=stranger, occasion=occasion)
        assert answer == ("mail_without_subject", True)
    for other in (hand_over_occasion(uuid4(), 1), "", "reminder"):
        report = await send(mails, T.APPLICATION_ASSIGNED, application_id, to=NOA, occasion=other)
        assert (report.status, report.reason) == (MailStatus.SKIPPED, "task_done")
    # Somebody else had it in between.
    again = occasion.removesuffix("1") + "3"
    report = await send(mails, T.APPLICATION_ASSIGNED, application_id, to=NOA, occasion=again)
    assert report.status is MailStatus.SENT


@pytest.mark.parametrize("template", [each for each in APPLICATION_LETTERS if each is not T.APPLICATION_ASSIGNED])
async def test_nobody_but_the_applicant_is_told_what_becomes_of_it(
    mails: MailActivities, mailbox: Mailbox, template: MailTemplate
) -> None:
    application_id = await an_application(mails.sessions, ApplicationStatus.IN_REVIEW)
    assert await refusal(mails, template, application_id, to=NOA) == ("mail_without_subject", True)
    assert mailbox.mails() == []


@pytest.mark.parametrize("template", APPLICATION_LETTERS)
async def test_the_record_is_read_in_five_statements_however_much_was_shown(
    mails: MailActivities, engine: AsyncEngine, template: MailTemplate
) -> None:
    for documents in (1, 9):
        application_id = await an_application(mails.sessions, ApplicationStatus.REJECTED_SOFT, documents=documents)
        async with mails.sessions() as session:
            with statements_of(engine) as sent:
                facts = await APPLICATION_LETTERS[template].load(session, application_id, ELENI)
        assert facts is not None
        assert len(facts.rejected) == documents
        assert len(sent) == 5
