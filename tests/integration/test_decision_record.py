"""The decision record, read from the record: whose decisions, which versions, whose words."""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.decision_record import RecordedDocument, decision_record
from activities.decision_record_pdf import render_decision_record
from models.identifiers import new_id
from models.tables import ApplicationDecision, ApplicationDocument, Note, TutorApplication
from models.tables.columns import now
from models.vocabulary import ApplicationDocumentKind, ApplicationStatus, ReviewReason, TaskAction
from tests.fresh_record import load_academy
from tests.integration.order_steps import person, statements_of

ELENI, NOA, MINH = person("eleni"), person("noa"), person("minh")


async def written(sessions: Sessions, documents: int = 1) -> TutorApplication:
    """An application that was rejected by two people, each document with its verdict."""
    moment = now()
    application = TutorApplication(
        id=new_id(), applicant_id=ELENI, status=ApplicationStatus.REJECTED_HARD, subjects=["spanish", "unknown"],
        submitted_at=moment, decided_at=moment, workflow_id="w", rounds=0,
    )  # fmt: skip
    shown = [
        ApplicationDocument(
            id=(id_ := new_id()), application_id=application.id, kind=ApplicationDocumentKind.CERTIFICATION,
            subject="spanish", first_version_id=id_, media_type="application/pdf", sha256=f"{number:064x}",
            verdict="rejected", verdict_reason=ReviewReason.DOCUMENT_FORGED, judged_by=f"staff:{NOA}", judged_at=moment,
        )
        for number in range(documents)
    ]  # fmt: skip
    snapshot: list[dict[str, object]] = [
        {
            "id": str(each.id), "kind": each.kind.value, "subject": each.subject, "version": each.version,
            "sha256": each.sha256, "verdict": "rejected", "reason": "document_forged",
        }
        for each in shown
    ]  # fmt: skip
    first = ApplicationDecision(
        id=new_id(), application_id=application.id, action=TaskAction.REJECT_HARD, decided_by=f"staff:{NOA}",
        reasons=[ReviewReason.DOCUMENT_FORGED], documents=snapshot, created_at=moment,
    )  # fmt: skip
    second = ApplicationDecision(
        id=new_id(), application_id=application.id, action=TaskAction.APPROVE, decided_by=f"admin:{MINH}",
        seconds=first.id, documents=snapshot, created_at=moment + timedelta(seconds=1),
    )  # fmt: skip
    notes = [
        Note(subject_kind="task", subject_id=first.id, author=f"staff:{NOA}", text="The seal is painted."),
        Note(subject_kind="applicant_message", subject_id=first.id, author=f"staff:{NOA}", text="We are sorry."),
        # Never sent: they were left by requests that nobody answered.
        Note(
            subject_kind="applicant_message", subject_id=first.id, author=f"staff:{NOA}", text="Sorry.",
            created_at=moment - timedelta(minutes=1),
        ),
        Note(subject_kind="applicant_message", subject_id=first.id, author=f"admin:{MINH}", text="Not so fast."),
        Note(subject_kind="applicant_message", subject_id=application.id, author=f"student:{ELENI}", text="Really?"),
        Note(subject_kind="task", subject_id=uuid4(), author="staff:7", text="Of something else."),
    ]  # fmt: skip
    unseen = ApplicationDocument(
        id=(id_ := new_id()), application_id=application.id, kind=ApplicationDocumentKind.IDENTITY,
        first_version_id=id_, media_type="application/pdf", sha256="f" * 64, replaced_at=moment,
    )  # fmt: skip
    async with sessions.begin() as session:
        session.add(application)
        await session.flush()
        session.add_all([first, *shown, unseen, *notes])
        await session.flush()
        session.add(second)
        changes = [StateChange("tutor_application", application.id, None, "draft")]
        await write_audit(session, changes, actor=f"student:{ELENI}", reason="begun", workflow_id="w")
        changes = [StateChange("tutor_application", application.id, "in_review", "rejected_hard")]
        await write_audit(session, changes, actor="system", reason="agreed", workflow_id="w")
    return application


async def test_it_holds_what_was_decided_by_whom_on_which_grounds(sessions: Sessions) -> None:
    await load_academy(sessions)
    application = await written(sessions)
    async with sessions() as session:
        record = await decision_record(session, application.id)
        assert await decision_record(session, uuid4()) is None
    assert record is not None
    assert record.applicant == "Ελένη Παπαδοπούλου"
    assert record.subjects == ("Spanish", "unknown")
    first, second = record.decisions
    assert (first.number, first.by, first.action, first.reasons) == (
        1, "נועה לוי (staff)", "reject_hard", ("document_forged",)
    )  # fmt: skip
    assert first.documents == (
        RecordedDocument("certification", "Spanish", 1, "0" * 64, "rejected", "document_forged"),
    )
    assert [note.text for note in first.notes] == ["The seal is painted."]
    assert [note.text for note in first.messages] == ["We are sorry."]
    assert (second.by, second.seconds, second.notes) == ("Nguyễn Thị Minh (admin)", 1, ())
    assert [(answer.author, answer.text) for answer in record.answers] == [("the applicant", "Really?")]
    assert [(step.by, step.from_state, step.to_state) for step in record.steps] == [
        ("the applicant", None, "draft"), ("system", "in_review", "rejected_hard")
    ]  # fmt: skip
    [shown] = record.documents
    assert shown.judged_by == "נועה לוי (staff)"
    assert render_decision_record(record) == render_decision_record(record)


async def test_it_names_nobody_who_was_erased(sessions: Sessions) -> None:
    await load_academy(sessions)
    application = await written(sessions)
    async with sessions.begin() as session:
        (await session.get_one(TutorApplication, application.id)).erased_at = now()
        await session.execute(delete(Note).where(col(Note.author) == f"student:{ELENI}"))
    async with sessions() as session:
        record = await decision_record(session, application.id)
    assert record is not None
    assert record.applicant is None
    assert "Παπαδοπούλου" not in repr(record)
    assert len(record.decisions) == 2


async def test_it_is_read_in_the_same_few_statements_however_long_it_is(
    sessions: Sessions, engine: AsyncEngine
) -> None:
    await load_academy(sessions)
    for documents in (1, 9):
        application = await written(sessions, documents)
        async with sessions() as session:
            with statements_of(engine) as sent:
                record = await decision_record(session, application.id)
        assert record is not None
        assert len(record.documents) == documents
        assert len(sent) == 7
