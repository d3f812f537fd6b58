"""The decision record of an application: who decided what about it, when, why, and on which documents."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.application_record import APPLICANT_MESSAGE, APPLICATION, is_own, message_with, was_shown
from activities.people import person_behind
from activities.task_record import TASK
from models.tables import (
    Academy,
    ApplicationDecision,
    ApplicationDocument,
    AuditEntry,
    Note,
    Person,
    Subject,
    TutorApplication,
)
from models.vocabulary import ApplicationStatus

_APPLICANT = "the applicant"


@dataclass(frozen=True)
class RecordedDocument:
    """One version of a document, as it was when somebody decided, or as it is now."""

    kind: str
    subject: str | None
    version: int
    sha256: str
    verdict: str | None
    reason: str | None


@dataclass(frozen=True)
class JudgedDocument:
    """One version of a document and what became of it."""

    document: RecordedDocument
    shown_at: datetime
    judged_by: str | None
    judged_at: datetime | None
    replaced_at: datetime | None


@dataclass(frozen=True)
class Remark:
    """Something a person wrote, to colleagues or to the applicant, or as the applicant."""

    at: datetime
    author: str
    text: str


@dataclass(frozen=True)
class RecordedDecision:
    """What one reviewer decided at one time. `seconds` is the number of the decision it is the second opinion on."""

    number: int
    at: datetime
    action: str
    by: str
    reasons: tuple[str, ...]
    seconds: int | None
    is_override: bool
    documents: tuple[RecordedDocument, ...]
    notes: tuple[Remark, ...]
    messages: tuple[Remark, ...]


@dataclass(frozen=True)
class RecordedStep:
    """A change of the application's state, or something else that was done to it."""

    at: datetime
    by: str
    from_state: str | None
    to_state: str
    reason: str


@dataclass(frozen=True)
class DecisionRecord:
    """Everything that is printed. `applicant` is none once what they said and showed is erased. Moments are UTC."""

    application_id: UUID
    academy: str
    time_zone: str
    applicant: str | None
    subjects: tuple[str, ...]
    status: ApplicationStatus
    rounds: int
    begun_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None
    reapply_at: datetime | None
    erase_at: datetime | None
    erased_at: datetime | None
    as_of: datetime
    decisions: tuple[RecordedDecision, ...]
    documents: tuple[JudgedDocument, ...]
    answers: tuple[Remark, ...]
    steps: tuple[RecordedStep, ...]


async def decision_record(session: AsyncSession, application_id: UUID) -> DecisionRecord | None:
    """The record of an application as it stands now; none if there is no such application."""
    query = (
        select(TutorApplication, Person, Academy)
        .join(Person, col(Person.id) == col(TutorApplication.applicant_id))
        .join(Academy, true())
        .where(col(TutorApplication.id) == application_id)
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    application, applicant, academy = found
    documents = await _documents(session, application_id)
    decisions = await _decisions(session, application_id)
    said = await _notes(session, [application_id, *(decision.id for decision in decisions)])
    history = await session.execute(
        select(AuditEntry)
        .where(col(AuditEntry.subject_kind) == APPLICATION, col(AuditEntry.subject_id) == application_id)
        .order_by(col(AuditEntry.created_at), col(AuditEntry.id))
    )
    entries = history.scalars().all()
    actors = {
        *(decision.decided_by for decision in decisions),
        *(document.judged_by for document in documents if document.judged_by is not None),
        *(note.author for note in said),
        *(entry.actor for entry in entries),
    }
    names = await _names(session, application, actors)
    titles = await session.execute(select(col(Subject.code), col(Subject.title)))
    subjects = dict(titles.all())
    numbers = {decision.id: number for number, decision in enumerate(decisions, start=1)}

    def remarks(notes: Iterable[Note]) -> tuple[Remark, ...]:
        return tuple(Remark(note.created_at, names[note.author], note.text) for note in notes)

    def about(subject_id: UUID, kind: str) -> tuple[Remark, ...]:
        return remarks(note for note in said if note.subject_id == subject_id and note.subject_kind == kind)

    return DecisionRecord(
        application_id=application_id,
        academy=academy.name,
        time_zone=academy.time_zone,
        applicant=applicant.full_name if application.erased_at is None else None,
        subjects=tuple(subjects.get(code, code) for code in application.subjects),
        status=ApplicationStatus(application.status),
        rounds=application.rounds,
        begun_at=application.created_at,
        submitted_at=application.submitted_at,
        decided_at=application.decided_at,
        reapply_at=application.reapply_at,
        erase_at=application.erase_at,
        erased_at=application.erased_at,
        as_of=max(application.updated_at, application.created_at, *(entry.created_at for entry in entries)),
        decisions=tuple(
            RecordedDecision(
                number=numbers[decision.id],
                at=decision.created_at,
                action=decision.action,
                by=names[decision.decided_by],
                reasons=tuple(decision.reasons),
                seconds=None if decision.seconds is None else numbers[decision.seconds],
                is_override=decision.is_override,
                documents=tuple(_snapshot(each, subjects) for each in decision.documents),
                notes=about(decision.id, TASK),
                messages=remarks(filter(None, [message_with(decision, said)])),
            )
            for decision in decisions
        ),
        documents=tuple(
            JudgedDocument(
                RecordedDocument(
                    kind=document.kind,
                    subject=_title(document.subject, subjects),
                    version=document.version,
                    sha256=document.sha256,
                    verdict=document.verdict,
                    reason=document.verdict_reason,
                ),
                document.created_at,
                None if document.judged_by is None else names[document.judged_by],
                document.judged_at,
                document.replaced_at,
            )
            for document in documents
        ),
        answers=about(application_id, APPLICANT_MESSAGE),
        steps=tuple(
            RecordedStep(entry.created_at, names[entry.actor], entry.from_state, entry.to_state, entry.reason)
            for entry in entries
        ),
    )


async def _documents(session: AsyncSession, application_id: UUID) -> Sequence[ApplicationDocument]:
    query = (
        select(ApplicationDocument)
        .where(col(ApplicationDocument.application_id) == application_id, was_shown())
        .order_by(col(ApplicationDocument.created_at), col(ApplicationDocument.id))
    )
    return (await session.execute(query)).scalars().all()


async def _decisions(session: AsyncSession, application_id: UUID) -> Sequence[ApplicationDecision]:
    query = (
        select(ApplicationDecision)
        .where(col(ApplicationDecision.application_id) == application_id)
        .order_by(col(ApplicationDecision.created_at), col(ApplicationDecision.id))
    )
    return (await session.execute(query)).scalars().all()


async def _notes(session: AsyncSession, subject_ids: Sequence[UUID]) -> Sequence[Note]:
    kinds = col(Note.subject_kind).in_([TASK, APPLICANT_MESSAGE])
    query = select(Note).where(kinds, col(Note.subject_id).in_(subject_ids))
    return (await session.execute(query.order_by(col(Note.created_at), col(Note.id)))).scalars().all()


async def _names(session: AsyncSession, application: TutorApplication, actors: set[str]) -> Mapping[str, str]:
    """What to call each actor: a person by name and role, the applicant without a name, anything else as it is."""
    people = {actor: person_behind(actor) for actor in actors}
    ids = {person_id for person_id in people.values() if person_id is not None}
    found = await session.execute(select(col(Person.id), col(Person.full_name)).where(col(Person.id).in_(ids)))
    known = dict(found.all())
    names = {}
    for actor, person_id in people.items():
        if is_own(application, actor):
            names[actor] = _APPLICANT
        else:
            name = None if person_id is None else known.get(person_id)
            names[actor] = actor if name is None else f"{name} ({actor.partition(':')[0]})"
    return names


def _title(code: str | None, subjects: Mapping[str, str]) -> str | None:
    return None if code is None else subjects.get(code, code)


def _snapshot(kept: Mapping[str, object], subjects: Mapping[str, str]) -> RecordedDocument:
    """A document as the decision's row has kept it."""

    def text(name: str) -> str | None:
        value = kept.get(name)
        return None if value is None else str(value)

    return RecordedDocument(
        kind=text("kind") or "",
        subject=_title(text("subject"), subjects),
        version=int(text("version") or 1),
        sha256=text("sha256") or "",
        verdict=text("verdict"),
        reason=text("reason"),
    )
