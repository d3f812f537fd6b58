"""The draft of an application: who may begin one, and what it takes over from an earlier one."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.application_record import APPLICATION, application_facts, file_key_of
from activities.audit import StateChange, write_audit
from activities.files import FileMissingError, FileStore
from models.errors import Reason
from models.identifiers import application_copy_id_for
from models.messages.applications import BeginApplication
from models.tables import ApplicationDocument, Person, RoleGrant, TutorApplication, TutorProfile
from models.tables.columns import now
from models.vocabulary import ApplicationStatus, Role, TutorProfileStatus
from rules.decision import Refused
from rules.tutor_application import Earlier, may_apply

_TICK = timedelta(microseconds=1)


async def write_draft(session: AsyncSession, files: FileStore, step: BeginApplication) -> datetime | Refused:
    """The moment at which the application began, or why it may not. The same id again is the same application.

    Of several by one person at once one begins: whoever begins holds the person's row.
    """
    wanted = step.application
    person = await session.get(Person, wanted.applicant_id, with_for_update={"key_share": True})
    known = await session.get(TutorApplication, wanted.application_id)
    if known is not None:
        return known.created_at
    if person is None:
        return Refused(Reason.UNKNOWN_PERSON, "There is no such person.")
    moment = now()
    earlier = await earlier_of(session, person.id, wanted.application_id)
    refused = may_apply(earlier, moment, is_tutor=await _is_tutor(session, person.id))
    if refused is not None:
        return refused
    draft = TutorApplication(
        id=wanted.application_id,
        created_at=moment,
        updated_at=moment,
        applicant_id=person.id,
        workflow_id=step.workflow_id,
    )
    copies: list[ApplicationDocument] = []
    if wanted.copy_from is not None:
        source = await application_facts(session, wanted.copy_from, for_update=True)
        if source is None or source.application.applicant_id != person.id:
            return Refused(Reason.NOT_FOUND, "There is no such application of theirs.")
        for name in ("certifications", "qualifications", "bio", "subjects"):
            setattr(draft, name, getattr(source.application, name))
        copies = await _copied(files, draft, source.documents)
    session.add(draft)
    await session.flush()
    session.add_all(copies)
    change = StateChange(APPLICATION, draft.id, None, ApplicationStatus.DRAFT)
    await write_audit(session, [change], actor=wanted.actor, reason="begun", workflow_id=step.workflow_id)
    return draft.created_at


async def earlier_of(session: AsyncSession, applicant_id: UUID, application_id: UUID) -> list[Earlier]:
    """The other applications of the same person."""
    return await applications_of(session, applicant_id, but=application_id)


async def applications_of(session: AsyncSession, applicant_id: UUID, *, but: UUID | None = None) -> list[Earlier]:
    """The applications of a person, but for one if it is named."""
    query = select(
        col(TutorApplication.status), col(TutorApplication.submitted_at), col(TutorApplication.reapply_at)
    ).where(col(TutorApplication.applicant_id) == applicant_id)
    if but is not None:
        query = query.where(col(TutorApplication.id) != but)
    return [
        Earlier(ApplicationStatus(status), submitted_at, reapply_at)
        for status, submitted_at, reapply_at in await session.execute(query)
    ]


async def _is_tutor(session: AsyncSession, person_id: UUID) -> bool:
    has_profile = exists().where(
        col(TutorProfile.person_id) == person_id, col(TutorProfile.status) == TutorProfileStatus.APPROVED
    )
    has_role = exists().where(
        col(RoleGrant.person_id) == person_id, col(RoleGrant.role) == Role.TUTOR, col(RoleGrant.revoked_at).is_(None)
    )
    return bool((await session.execute(select(or_(has_profile, has_role)))).scalar_one())


async def _copied(
    files: FileStore, draft: TutorApplication, documents: Sequence[ApplicationDocument]
) -> list[ApplicationDocument]:
    """The documents as the draft's own, without verdicts, in the same order. What is not there any more stays away.

    The files are copied while the earlier application is held, so that nobody erases them meanwhile.
    """
    kept = [each for each in documents if each.file_key is not None or each.link is not None]
    were_there = await asyncio.gather(*(_copy_file(files, draft.id, each) for each in kept))
    there = [each for each, was_there in zip(kept, were_there, strict=True) if was_there]
    return [_copy(draft, each, draft.created_at + place * _TICK) for place, each in enumerate(there)]


def _copy(draft: TutorApplication, document: ApplicationDocument, moment: datetime) -> ApplicationDocument:
    copy_id = application_copy_id_for(draft.id, document.id)
    return ApplicationDocument(
        id=copy_id,
        created_at=moment,
        application_id=draft.id,
        kind=document.kind,
        subject=document.subject,
        first_version_id=copy_id,
        file_key=None if document.file_key is None else file_key_of(draft.id, copy_id),
        file_name=document.file_name,
        media_type=document.media_type,
        size=document.size,
        sha256=document.sha256,
        link=document.link,
        expires_on=document.expires_on,
    )


async def _copy_file(files: FileStore, application_id: UUID, document: ApplicationDocument) -> bool:
    if document.file_key is None:
        return True
    try:
        await files.copy(
            document.file_key, file_key_of(application_id, application_copy_id_for(application_id, document.id))
        )
    except FileMissingError:
        return False
    return True
