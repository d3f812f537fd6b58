"""How tutors' applications are shown: to the applicant, and to reviewers with all that they have to know."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.tables import ApplicationDecision, ApplicationDocument, HumanTask, Note, TutorApplication
from models.tables.columns import now
from models.vocabulary import (
    ApplicationDocumentKind,
    ApplicationStatus,
    DocumentVerdict,
    ReviewReason,
    TaskAction,
    TaskKind,
)
from routes.task_views import NoteView
from routes.validation import InvalidField
from rules.tutor_application import WITH_REVIEWERS


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReviewView(_View):
    """How its review stands."""

    reviewer_id: UUID | None = Field(description="who looks after it")
    task_id: UUID | None = Field(description="what has to be decided now, if anything")
    task_kind: TaskKind | None
    due_at: datetime | None
    is_overdue: bool
    escalation: int | None = Field(description="0, reminded 1, escalated 2, escalated again 3")
    documents_judged: int
    documents_total: int


class ApplicationView(_View):
    """An application as lists show it."""

    id: UUID
    applicant_id: UUID
    status: ApplicationStatus
    subjects: tuple[str, ...] = Field(description="what they want to teach")
    rounds: int = Field(description="how often information was asked for")
    info_due_at: datetime | None = Field(description="until when the applicant has to answer")
    submitted_at: datetime | None = Field(description="for the first time")
    decided_at: datetime | None
    reapply_at: datetime | None = Field(description="from when a rejected applicant may try again")
    created_at: datetime
    updated_at: datetime
    review: ReviewView | None = Field(description="for reviewers only")


class DocumentView(_View):
    """One version of something the applicant shows."""

    id: UUID
    kind: ApplicationDocumentKind
    subject: str | None
    version: int
    first_version_id: UUID = Field(description="the same of all versions of a document")
    file_name: str | None = Field(description="none of a video, and once it is erased")
    media_type: str | None = Field(description="found by looking at the content; none of a video")
    size: int | None = Field(description="bytes")
    sha256: str = Field(description="of the file, or of the link")
    link: str | None = Field(description="of a video")
    expires_on: date | None = Field(description="last day on which the document itself is valid")
    verdict: DocumentVerdict | None = Field(description="told to the applicant once the reviewers have decided")
    verdict_reason: ReviewReason | None
    judged_by: str | None = Field(description="for reviewers only")
    judged_at: datetime | None = Field(description="for reviewers only")
    replaced_at: datetime | None = Field(description="or taken away; applicants see the current versions only")
    created_at: datetime


class MessageView(_View):
    """What was said to the applicant, or by them."""

    by: Literal["applicant", "academy"]
    author: str | None = Field(description="for reviewers only, e.g. `staff:<id>`")
    text: str
    created_at: datetime


class DecisionView(_View):
    """What was decided."""

    id: UUID = Field(description="that of the task")
    action: TaskAction
    reasons: tuple[ReviewReason, ...]
    message: str | None = Field(description="what was said to the applicant")
    created_at: datetime
    decided_by: str | None = Field(description="for reviewers only")
    seconds: UUID | None = Field(description="the decision it is the second opinion on; for reviewers only")
    is_override: bool | None = Field(description="approved although a document was rejected; for reviewers only")
    notes: tuple[NoteView, ...] | None = Field(description="for reviewers only")


class EarlierApplicationView(_View):
    """An earlier application of the same person."""

    id: UUID
    status: ApplicationStatus
    submitted_at: datetime | None
    decided_at: datetime | None
    decisions: tuple[DecisionView, ...]


class WholeApplicationView(ApplicationView):
    """An application with all that is said and shown."""

    applicant_name: str | None = Field(description="for reviewers only")
    certifications: str | None
    qualifications: str | None
    bio: str | None
    missing: tuple[InvalidField, ...] | None = Field(description="what it lacks, while the applicant may change it")
    documents: tuple[DocumentView, ...]
    decisions: tuple[DecisionView, ...] = Field(description="the oldest first; applicants see what was told to them")
    messages: tuple[MessageView, ...] = Field(description="the oldest first")
    notes: tuple[NoteView, ...] | None = Field(description="on what is not decided yet; for reviewers only")
    earlier: tuple[EarlierApplicationView, ...] | None = Field(description="for reviewers only")
    erase_at: datetime | None = Field(description="when what was said and shown is erased")
    erased_at: datetime | None


DOCUMENT = DocumentView(
    id=UUID("0198f3a0-7777-7000-8000-000000000001"),
    kind=ApplicationDocumentKind.CERTIFICATION,
    subject="spanish",
    version=2,
    first_version_id=UUID("0198f3a0-7777-7000-8000-000000000000"),
    file_name="dele-c2.pdf",
    media_type="application/pdf",
    size=482113,
    sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    link=None,
    expires_on=date(2031, 5, 31),
    verdict=None,
    verdict_reason=None,
    judged_by=None,
    judged_at=None,
    replaced_at=None,
    created_at=datetime(2026, 3, 9, 8, 30, tzinfo=UTC),
)
APPLICATION = ApplicationView(
    id=UUID("2b1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    applicant_id=UUID("0198f3a0-2222-7000-8000-000000000001"),
    status=ApplicationStatus.IN_REVIEW,
    subjects=("spanish",),
    rounds=1,
    info_due_at=None,
    submitted_at=datetime(2026, 3, 2, 10, 15, tzinfo=UTC),
    decided_at=None,
    reapply_at=None,
    created_at=datetime(2026, 3, 1, 18, 0, tzinfo=UTC),
    updated_at=datetime(2026, 3, 9, 8, 31, tzinfo=UTC),
    review=ReviewView(
        reviewer_id=UUID("0198f3a0-2222-7000-8000-000000000009"),
        task_id=UUID("8d3f6c1e-0d0a-5b52-8f0e-3f5a3d1c7e22"),
        task_kind=TaskKind.TUTOR_REVIEW,
        due_at=datetime(2026, 3, 13, 16, 0, tzinfo=UTC),
        is_overdue=False,
        escalation=0,
        documents_judged=1,
        documents_total=2,
    ),
)
WHOLE_APPLICATION = WholeApplicationView(
    **{**dict(APPLICATION), "review": None},
    applicant_name=None,
    certifications="DELE C2",
    qualifications="Seven years at a language school.",
    bio="I teach Spanish to adults.",
    missing=None,
    documents=(DOCUMENT,),
    decisions=(
        DecisionView(
            id=UUID("8d3f6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
            action=TaskAction.REQUEST_INFO,
            reasons=(ReviewReason.DOCUMENT_UNREADABLE,),
            message="The second page cannot be read.",
            created_at=datetime(2026, 3, 4, 9, 0, tzinfo=UTC),
            decided_by=None,
            seconds=None,
            is_override=None,
            notes=None,
        ),
    ),
    messages=(
        MessageView(
            by="academy",
            author=None,
            text="The second page cannot be read.",
            created_at=datetime(2026, 3, 4, 9, 0, tzinfo=UTC),
        ),
    ),
    notes=None,
    earlier=None,
    erase_at=None,
    erased_at=None,
)


def review_view(application: TutorApplication, task: HumanTask | None, judged: int, total: int) -> ReviewView:
    """How the review stands, with the task that is open."""
    return ReviewView(
        reviewer_id=application.reviewer_id,
        task_id=None if task is None else task.id,
        task_kind=None if task is None else TaskKind(task.kind),
        due_at=None if task is None else task.due_at,
        is_overdue=task is not None and task.due_at < now(),
        escalation=None if task is None else task.escalation,
        documents_judged=judged,
        documents_total=total,
    )


def application_view(application: TutorApplication, review: ReviewView | None) -> ApplicationView:
    """The application as lists show it; without its review for whom that is not."""
    return ApplicationView(
        id=application.id,
        applicant_id=application.applicant_id,
        status=ApplicationStatus(application.status),
        subjects=tuple(application.subjects),
        rounds=application.rounds,
        info_due_at=application.info_due_at,
        submitted_at=application.submitted_at,
        decided_at=application.decided_at,
        reapply_at=application.reapply_at,
        created_at=application.created_at,
        updated_at=application.updated_at,
        review=review,
    )


def document_view(document: ApplicationDocument, status: ApplicationStatus, *, for_reviewer: bool) -> DocumentView:
    """The document; a verdict is told to the applicant when it is not the reviewers' turn any more."""
    is_told = for_reviewer or status not in WITH_REVIEWERS
    verdict, reason = document.verdict, document.verdict_reason
    return DocumentView(
        id=document.id,
        kind=ApplicationDocumentKind(document.kind),
        subject=document.subject,
        version=document.version,
        first_version_id=document.first_version_id,
        file_name=document.file_name,
        media_type=document.media_type,
        size=document.size,
        sha256=document.sha256,
        link=document.link,
        expires_on=document.expires_on,
        verdict=DocumentVerdict(verdict) if is_told and verdict is not None else None,
        verdict_reason=ReviewReason(reason) if is_told and reason is not None else None,
        judged_by=document.judged_by if for_reviewer else None,
        judged_at=document.judged_at if for_reviewer else None,
        replaced_at=document.replaced_at,
        created_at=document.created_at,
    )


def decision_view(decision: ApplicationDecision, message: str | None, notes: Sequence[Note] | None) -> DecisionView:
    """The decision; without who and what else for whom that is not."""
    for_reviewer = notes is not None
    return DecisionView(
        id=decision.id,
        action=TaskAction(decision.action),
        reasons=tuple(ReviewReason(reason) for reason in decision.reasons),
        message=message,
        created_at=decision.created_at,
        decided_by=decision.decided_by if for_reviewer else None,
        seconds=decision.seconds if for_reviewer else None,
        is_override=decision.is_override if for_reviewer else None,
        notes=None if notes is None else tuple(map(note_view, notes)),
    )


def message_view(note: Note, application: TutorApplication, *, for_reviewer: bool) -> MessageView:
    """What was said by whom; applicants do not learn who of the academy has spoken."""
    return MessageView(
        by="applicant" if note.subject_id == application.id else "academy",
        author=note.author if for_reviewer else None,
        text=note.text,
        created_at=note.created_at,
    )


def note_view(note: Note) -> NoteView:
    """The note as everywhere."""
    return NoteView(id=note.id, author=note.author, text=note.text, created_at=note.created_at)


def told_decisions(status: ApplicationStatus, decisions: Sequence[ApplicationDecision]) -> list[ApplicationDecision]:
    """Those that the applicant was told, of all in their order.

    A hard rejection and an approval wait for what follows (a second opinion, the approval's steps): they are told once
    the application has that state, and those that came to nothing never are.
    """
    ends: Mapping[str, ApplicationStatus] = {
        TaskAction.APPROVE: ApplicationStatus.APPROVED,
        TaskAction.REJECT_HARD: ApplicationStatus.REJECTED_HARD,
    }
    told_at_once = {TaskAction.REQUEST_INFO, TaskAction.REJECT_SOFT}
    firsts = [decision for decision in decisions if decision.seconds is None]
    last = {decision.action: decision.id for decision in firsts}
    return [
        decision
        for decision in firsts
        if decision.action in told_at_once
        or (ends.get(decision.action) == status and last[decision.action] == decision.id)
    ]
