"""An application as it stands on record: what it says, what it shows, what it lacks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange
from activities.business_calendar import business_calendar
from activities.task_record import TUTOR_APPLICATION, person_of
from models.tables import ApplicationDecision, ApplicationDocument, Note, Reviewer, Subject, TutorApplication
from models.vocabulary import ApplicationDocumentKind, ApplicationStatus, DocumentVerdict, ReviewReason, Role
from rules.business_days import working_time
from rules.lifecycle import require_transition
from rules.tutor_application import Required, Said, Shown, missing

APPLICATION = TUTOR_APPLICATION
DOCUMENT = "application_document"
APPLICANT_MESSAGE = "applicant_message"


@dataclass(frozen=True)
class ApplicationFacts:
    """One application with its current documents, the oldest first, and what its subjects ask for."""

    application: TutorApplication
    documents: Sequence[ApplicationDocument]
    required: tuple[Required, ...]

    @property
    def said(self) -> Said:
        """What the applicant says."""
        application = self.application
        return Said(
            application.certifications, application.qualifications, application.bio, tuple(application.subjects)
        )

    @property
    def shown(self) -> tuple[Shown, ...]:
        """What the applicant shows."""
        return tuple(shown_of(document) for document in self.documents)

    def missing(self, today: date) -> tuple[str, ...]:
        """What it lacks on this day of the academy's (rules/tutor_application.py)."""
        return missing(self.said, self.required, self.shown, today)


def shown_of(document: ApplicationDocument) -> Shown:
    """The document as the rules see it."""
    return Shown(
        kind=ApplicationDocumentKind(document.kind),
        subject=document.subject,
        expires_on=document.expires_on,
        verdict=None if document.verdict is None else DocumentVerdict(document.verdict),
        reason=None if document.verdict_reason is None else ReviewReason(document.verdict_reason),
    )


async def application_facts(
    session: AsyncSession, application_id: UUID, *, for_update: bool = False
) -> ApplicationFacts | None:
    """The application; none if there is no such. With `for_update` the caller's transaction holds its row."""
    application = await session.get(TutorApplication, application_id, with_for_update=for_update or None)
    if application is None:
        return None
    documents = await session.execute(
        select(ApplicationDocument)
        .where(
            col(ApplicationDocument.application_id) == application_id, col(ApplicationDocument.replaced_at).is_(None)
        )
        .order_by(col(ApplicationDocument.created_at), col(ApplicationDocument.id))
    )
    subjects = await session.execute(select(Subject).where(col(Subject.code).in_(application.subjects)))
    required = tuple(
        Required(subject.code, subject.requires_certification, subject.requires_video, subject.is_open)
        for subject in subjects.scalars()
    )
    return ApplicationFacts(application, documents.scalars().all(), required)


def was_shown() -> ColumnElement[bool]:
    """The WHERE of the documents that reviewers see: the current ones, and those that a decision names.

    What was exchanged or taken away before anybody decided is erased, at once or when the applicant tries again.
    """
    named = func.jsonb_build_array(func.jsonb_build_object("id", cast(col(ApplicationDocument.id), Text)))
    decided_on = exists().where(
        col(ApplicationDecision.application_id) == col(ApplicationDocument.application_id),
        col(ApplicationDecision.documents).op("@>")(named),
    )
    return or_(col(ApplicationDocument.replaced_at).is_(None), decided_on)


def message_with(decision: ApplicationDecision, notes: Sequence[Note]) -> Note | None:
    """What its reviewer said to the applicant, among these notes, the oldest first; the last word was sent.

    Words of somebody whose decision came too late are on their way out.
    """
    said = [
        note
        for note in notes
        if (note.subject_kind, note.subject_id, note.author) == (APPLICANT_MESSAGE, decision.id, decision.decided_by)
    ]
    return said[-1] if said else None


async def is_reviewer(session: AsyncSession, actor: str) -> bool:
    """Whether this actor may review applications: an admin, or a member of staff on the list of reviewers."""
    if actor.startswith(f"{Role.ADMIN}:"):
        return True
    person_id = person_of(actor)
    if person_id is None:
        return False
    return bool((await session.execute(select(exists().where(col(Reviewer.person_id) == person_id)))).scalar_one())


async def academy_day(session: AsyncSession, moment: datetime) -> date:
    """The day it is at the academy."""
    zone, _ = await business_calendar(session)
    return moment.astimezone(zone).date()


def files_of(application_id: UUID) -> str:
    """The folder of the files of an application."""
    return f"tutor-applications/{application_id}"


def file_key_of(application_id: UUID, document_id: UUID) -> str:
    """Where the file of a document is kept."""
    return f"{files_of(application_id)}/{document_id}"


def move(application: TutorApplication, status: ApplicationStatus, moment: datetime) -> StateChange:
    """Set the state. Raises `IllegalTransitionError` for a step that the state machine does not have."""
    current = ApplicationStatus(application.status)
    require_transition(current, status)
    application.status, application.updated_at = status, moment
    return StateChange(APPLICATION, application.id, current, status)


def taken_up(application: TutorApplication, moment: datetime) -> list[StateChange]:
    """What is decided has been reviewed: an application that nobody had taken up passes through `in_review`."""
    if application.status != ApplicationStatus.SUBMITTED:
        return []
    return [replace(move(application, ApplicationStatus.IN_REVIEW, moment), reason="taken up")]


async def stop_clock(session: AsyncSession, application: TutorApplication, moment: datetime) -> None:
    """It is not the reviewers' turn any more: keep how much working time this one has taken."""
    if application.clock_started_at is None:
        return
    zone, country = await business_calendar(session)
    taken = working_time(application.clock_started_at, moment, zone, country)
    application.clock_used_seconds += int(taken.total_seconds())
    application.clock_started_at = None


def is_own(application: TutorApplication, actor: str) -> bool:
    """Whether the actor is the applicant, in whatever role."""
    return _subject(actor) == str(application.applicant_id)


def is_same_person(actor: str, other: str) -> bool:
    """Whether both are one person, in whatever role."""
    return _subject(actor) == _subject(other)


def _subject(actor: str) -> str:
    return actor.partition(":")[2]
