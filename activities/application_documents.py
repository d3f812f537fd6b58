"""What an applicant shows, on record: another document or version, and one that is taken away."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.application_record import DOCUMENT, ApplicationFacts, application_facts, file_key_of, was_shown
from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.files import FileStore
from models.errors import Reason
from models.tables import ApplicationDocument, Subject
from models.tables.columns import now
from models.vocabulary import ApplicationDocumentKind
from rules.decision import Refused
from rules.tutor_application import EDITABLE, MAX_DOCUMENTS, MAX_VERSIONS

_CURRENT, _REPLACED, _REMOVED = "current", "replaced", "removed"


@dataclass(frozen=True)
class NewDocument:
    """Something that an applicant wants to show: a file that is stored, or the link of a video."""

    id: UUID
    kind: ApplicationDocumentKind
    sha256: str
    subject: str | None = None
    file_key: str | None = None
    file_name: str | None = None
    media_type: str | None = None
    size: int | None = None
    link: str | None = None
    expires_on: date | None = None


@dataclass(frozen=True)
class AddedDocument:
    """The document on record, whether it is new, and the versions that nobody will ask for any more."""

    document: ApplicationDocument
    is_new: bool
    to_forget: tuple[UUID, ...] = ()


async def editable_application(
    session: AsyncSession, application_id: UUID, applicant_id: UUID | None, *, for_update: bool = True
) -> ApplicationFacts | Refused:
    """The applicant's own application, while they may change it. The caller's transaction holds its row.

    Refused with `not_found` and `application_not_editable`.
    """
    facts = await application_facts(session, application_id, for_update=for_update)
    if facts is None or facts.application.applicant_id != applicant_id:
        return Refused(Reason.NOT_FOUND, "There is no such application, or it is not yours.")
    if facts.application.status not in EDITABLE:
        return Refused(Reason.APPLICATION_NOT_EDITABLE, f"The application is {facts.application.status}.")
    return facts


async def unknown_subjects(session: AsyncSession, codes: tuple[str, ...]) -> tuple[str, ...]:
    """Which of these are no subjects, in the order given."""
    known = set((await session.execute(select(col(Subject.code)).where(col(Subject.code).in_(codes)))).scalars())
    return tuple(code for code in codes if code not in known)


async def add_document(
    session: AsyncSession,
    application_id: UUID,
    applicant_id: UUID | None,
    shown: NewDocument,
    *,
    replaces: UUID | None,
    actor: str,
) -> AddedDocument | Refused:
    """Put it on record, as the next version of the one that it replaces.

    The same bytes for the same kind and subject again are the same document; where only its last day differs, its next
    version. Refused like `editable_application`, with `unknown_subject`, `too_many_documents` and, where what it
    replaces is no current document of its kind and subject, `not_found`.
    """
    facts = await editable_application(session, application_id, applicant_id)
    if isinstance(facts, Refused):
        return facts
    if shown.subject is not None and await unknown_subjects(session, (shown.subject,)):
        return Refused(Reason.UNKNOWN_SUBJECT, "There is no such subject.")
    alike = [each for each in facts.documents if (each.kind, each.subject) == (shown.kind, shown.subject)]
    same = next((each for each in alike if each.sha256 == shown.sha256), None)
    previous = same
    if replaces is not None:
        first_version_id = await _first_version_of(session, application_id, replaces)
        previous = next((each for each in alike if each.first_version_id == first_version_id), None)
        # A repeat finds the version that it has made itself.
        if previous is None or (previous.id != replaces and previous is not same):
            return Refused(Reason.NOT_FOUND, "What it replaces is no current document of this kind and subject.")
    if same is not None and same is previous and same.expires_on == shown.expires_on:
        return AddedDocument(same, is_new=False, to_forget=await _to_forget(session, application_id))
    if (too_many := await _too_many(session, facts, is_another=previous is None)) is not None:
        return too_many
    changes = [StateChange(DOCUMENT, shown.id, None, _CURRENT)]
    if previous is not None:
        previous.replaced_at = now()
        await session.flush()  # one current version at a time
        changes.append(StateChange(DOCUMENT, previous.id, _CURRENT, _REPLACED))
    document = ApplicationDocument(
        id=shown.id,
        application_id=application_id,
        kind=shown.kind,
        subject=shown.subject,
        first_version_id=shown.id if previous is None else previous.first_version_id,
        version=1 if previous is None else previous.version + 1,
        file_key=shown.file_key,
        file_name=shown.file_name,
        media_type=shown.media_type,
        size=shown.size,
        sha256=shown.sha256,
        link=shown.link,
        expires_on=shown.expires_on,
    )
    session.add(document)
    facts.application.updated_at = now()
    await write_audit(
        session, changes, actor=actor, reason=f"{shown.kind} shown", workflow_id=facts.application.workflow_id
    )
    await session.flush()
    return AddedDocument(document, is_new=True, to_forget=await _to_forget(session, application_id))


async def remove_document(
    session: AsyncSession, application_id: UUID, applicant_id: UUID | None, document_id: UUID, *, actor: str
) -> tuple[UUID, ...] | Refused:
    """Take a current document away; answers what nobody can have seen, so that it may be forgotten.

    Refused like `editable_application`, and with `not_found` if it is no current document. Taking away again what is
    not forgotten yet finishes that.
    """
    facts = await editable_application(session, application_id, applicant_id)
    if isinstance(facts, Refused):
        return facts
    document = next((each for each in facts.documents if each.id == document_id), None)
    if document is None:
        to_forget = await _to_forget(session, application_id)
        unknown = Refused(Reason.NOT_FOUND, "The application has no such document now.")
        return to_forget if document_id in to_forget else unknown
    document.replaced_at = facts.application.updated_at = now()
    change = StateChange(DOCUMENT, document.id, _CURRENT, _REMOVED)
    await write_audit(
        session, [change], actor=actor, reason="removed by the applicant", workflow_id=facts.application.workflow_id
    )
    await session.flush()
    return await _to_forget(session, application_id)


async def forget_documents(
    sessions: Sessions, files: FileStore, application_id: UUID, document_ids: Sequence[UUID]
) -> None:
    """Erase what documents show that no reviewer has seen. Their rows name the files until the files are gone."""
    if not document_ids:
        return
    await asyncio.gather(*(files.delete(file_key_of(application_id, document_id)) for document_id in document_ids))
    forgotten = (
        update(ApplicationDocument)
        .where(col(ApplicationDocument.id).in_(document_ids))
        .values(file_key=None, file_name=None, link=None)
    )
    async with sessions.begin() as session:
        await session.execute(forgotten)


async def forget_unless_recorded(sessions: Sessions, files: FileStore, application_id: UUID, document_id: UUID) -> None:
    """Remove a stored file whose row has not come about; one that is on record after all stays."""
    async with sessions() as session:
        on_record = exists().where(col(ApplicationDocument.id) == document_id)
        if (await session.execute(select(on_record))).scalar_one():
            return
    await files.delete(file_key_of(application_id, document_id))


async def _to_forget(session: AsyncSession, application_id: UUID) -> tuple[UUID, ...]:
    """What was exchanged or taken away before a reviewer saw it, and still shows something.

    Also what an earlier request has left over, cut off before it was done.
    """
    query = select(col(ApplicationDocument.id)).where(
        col(ApplicationDocument.application_id) == application_id,
        ~was_shown(),
        or_(col(ApplicationDocument.file_key).is_not(None), col(ApplicationDocument.link).is_not(None)),
    )
    return tuple((await session.execute(query)).scalars())


async def _too_many(session: AsyncSession, facts: ApplicationFacts, *, is_another: bool) -> Refused | None:
    if is_another and len(facts.documents) >= MAX_DOCUMENTS:
        return Refused(Reason.TOO_MANY_DOCUMENTS, f"An application may have {MAX_DOCUMENTS} documents.")
    query = select(func.count()).where(col(ApplicationDocument.application_id) == facts.application.id)
    if (await session.execute(query)).scalar_one() >= MAX_VERSIONS:
        return Refused(Reason.TOO_MANY_DOCUMENTS, f"Documents may be shown and exchanged {MAX_VERSIONS} times.")
    return None


async def _first_version_of(session: AsyncSession, application_id: UUID, document_id: UUID) -> UUID | None:
    query = select(col(ApplicationDocument.first_version_id)).where(
        col(ApplicationDocument.id) == document_id, col(ApplicationDocument.application_id) == application_id
    )
    return (await session.execute(query)).scalar_one_or_none()
