"""Tutors' applications as they stand in the record, written by hand for tests that only read or message."""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from activities.application_record import APPLICANT_MESSAGE, APPLICATION
from activities.database import Sessions
from models.identifiers import new_id, tutor_application_workflow_id
from models.tables import (
    ApplicationDecision,
    ApplicationDocument,
    HumanTask,
    Note,
    Person,
    Reviewer,
    Subject,
    TutorApplication,
)
from models.tables.columns import now
from models.vocabulary import (
    ApplicationDocumentKind,
    ApplicationStatus,
    DocumentVerdict,
    TaskAction,
    TaskKind,
    TaskQueue,
)

_SENT = frozenset(ApplicationStatus) - {ApplicationStatus.DRAFT}


@dataclass(frozen=True)
class Staffroom:
    """Two applicants, two reviewers, and somebody of the office who reviews nothing."""

    anna: UUID
    boris: UUID
    rosa: UUID
    rita: UUID
    otto: UUID


async def write_staffroom(sessions: Sessions) -> Staffroom:
    """Write the people, and three subjects: one that asks for a lot, one for nothing, one that is closed."""
    people = {
        name: Person(email=f"{name}@example.org", full_name=name) for name in ("anna", "boris", "rosa", "rita", "otto")
    }
    async with sessions.begin() as session:
        session.add_all(people.values())
        await session.flush()
        session.add_all(Reviewer(person_id=people[name].id) for name in ("rosa", "rita"))
        session.add_all(
            [
                Subject(code="spanish", title="Spanish", requires_certification=True, requires_video=True),
                Subject(code="maths", title="Mathematics"),
                Subject(code="latin", title="Latin", is_open=False),
            ]
        )
    return Staffroom(**{name: person.id for name, person in people.items()})


async def write_application(
    sessions: Sessions,
    applicant_id: UUID,
    status: ApplicationStatus = ApplicationStatus.DRAFT,
    *,
    days_ago: int = 0,
    reviewer_id: UUID | None = None,
    subjects: tuple[str, ...] = ("maths",),
    application_id: UUID | None = None,
) -> UUID:
    """Write an application that was begun so long ago, and handed in then unless it is a draft."""
    chosen, moment = application_id or new_id(), now() - timedelta(days=days_ago)
    application = TutorApplication(
        id=chosen,
        created_at=moment,
        applicant_id=applicant_id,
        status=status,
        certifications="DELE C2",
        qualifications="Seven years at a school.",
        bio="I teach adults.",
        subjects=list(subjects),
        reviewer_id=reviewer_id,
        submitted_at=moment if status in _SENT else None,
        info_due_at=now() if status is ApplicationStatus.INFO_REQUESTED else None,
        rounds=1 if status is ApplicationStatus.INFO_REQUESTED else 0,
        workflow_id=tutor_application_workflow_id(chosen),
    )
    async with sessions.begin() as session:
        session.add(application)
    return chosen


async def write_document(
    sessions: Sessions,
    application_id: UUID,
    kind: ApplicationDocumentKind = ApplicationDocumentKind.IDENTITY,
    verdict: DocumentVerdict | None = None,
) -> UUID:
    """Write a document whose file is nowhere."""
    document_id = new_id()
    document = ApplicationDocument(
        id=document_id,
        application_id=application_id,
        kind=kind,
        first_version_id=document_id,
        file_key=f"tutor-applications/{application_id}/{document_id}",
        file_name="passport.pdf",
        media_type="application/pdf",
        size=4,
        sha256=sha256(document_id.bytes).hexdigest(),
        verdict=verdict,
        verdict_reason="document_unreadable" if verdict is DocumentVerdict.REJECTED else None,
        judged_by="staff:rosa" if verdict is not None else None,
        judged_at=now() if verdict is not None else None,
    )
    async with sessions.begin() as session:
        session.add(document)
    return document_id


async def write_task(
    sessions: Sessions,
    application_id: UUID,
    kind: TaskKind = TaskKind.TUTOR_REVIEW,
    *,
    due_in: timedelta = timedelta(days=5),
) -> UUID:
    """Write an open task of the application."""
    task_id = new_id()
    is_review = kind is TaskKind.TUTOR_REVIEW
    task = HumanTask(
        id=task_id,
        kind=kind,
        subject_kind=APPLICATION,
        subject_id=application_id,
        workflow_id=tutor_application_workflow_id(application_id),
        reason="Review the application.",
        allowed_actions=["approve", "request_info"] if is_review else ["approve", "reject"],
        queue=TaskQueue.REVIEW,
        due_at=now() + due_in,
    )
    async with sessions.begin() as session:
        session.add(task)
    return task_id


async def write_decision(
    sessions: Sessions,
    application_id: UUID,
    action: TaskAction,
    by: str,
    *,
    message: str | None = None,
    note: str | None = None,
    seconds: UUID | None = None,
) -> UUID:
    """Write a decision on the current documents, with what was said along with it."""
    decision_id = new_id()
    said = {APPLICANT_MESSAGE: message, "task": note}
    current = select(col(ApplicationDocument.id)).where(
        col(ApplicationDocument.application_id) == application_id, col(ApplicationDocument.replaced_at).is_(None)
    )
    async with sessions.begin() as session:
        document_ids = (await session.execute(current)).scalars().all()
        session.add(
            ApplicationDecision(
                id=decision_id,
                application_id=application_id,
                action=action,
                reasons=["document_unreadable"],
                decided_by=by,
                seconds=seconds,
                documents=[{"id": str(document_id)} for document_id in document_ids],
            )
        )
        session.add_all(
            Note(subject_kind=kind, subject_id=decision_id, author=by, text=text)
            for kind, text in said.items()
            if text is not None
        )
    return decision_id
