"""Erasing what an applicant said and showed; ids, words, moments and hashes stay, for the statistics."""

from uuid import UUID

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.application_record import APPLICANT_MESSAGE, APPLICATION, files_of
from activities.audit import StateChange, write_audit
from activities.files import FileStore
from activities.task_record import TASK
from models.messages.applications import ApplicationStep
from models.tables import ApplicationDecision, ApplicationDocument, HumanTask, Note, TutorApplication, TutorProfile
from models.tables.columns import now
from models.vocabulary import TutorProfileStatus
from rules.tutor_application import ERASED


async def erase(session: AsyncSession, files: FileStore, step: ApplicationStep) -> None:
    """Erase it if it has come to nothing. The files go first: as long as one is left, nothing says that it is erased.

    Files without a row, left by an upload that was cut off, go as well.
    """
    application = await session.get_one(TutorApplication, step.application_id, with_for_update=True)
    if application.status not in ERASED:
        return
    await files.delete_all(files_of(application.id))
    if application.erased_at is not None:
        return
    await _forget_documents(session, application.id)
    await _forget_notes(session, application.id)
    await _forget_profile(session, application.id)
    application.bio = application.qualifications = application.certifications = None
    application.erased_at = application.updated_at = now()
    change = StateChange(APPLICATION, application.id, application.status, application.status)
    await write_audit(session, [change], actor=step.actor, reason="erased", workflow_id=step.workflow_id)


async def _forget_documents(session: AsyncSession, application_id: UUID) -> None:
    await session.execute(
        update(ApplicationDocument)
        .where(col(ApplicationDocument.application_id) == application_id)
        .values(file_key=None, file_name=None, link=None)
    )


async def _forget_notes(session: AsyncSession, application_id: UUID) -> None:
    """What reviewers noted, and what was said to and by the applicant."""
    tasks = select(col(HumanTask.id)).where(
        col(HumanTask.subject_kind) == APPLICATION, col(HumanTask.subject_id) == application_id
    )
    decisions = select(col(ApplicationDecision.id)).where(col(ApplicationDecision.application_id) == application_id)
    about = or_(
        col(Note.subject_id) == application_id, col(Note.subject_id).in_(tasks), col(Note.subject_id).in_(decisions)
    )
    await session.execute(delete(Note).where(col(Note.subject_kind).in_((TASK, APPLICANT_MESSAGE)), about))


async def _forget_profile(session: AsyncSession, application_id: UUID) -> None:
    """The profile that an approval had begun to make, and that was taken back."""
    await session.execute(
        update(TutorProfile)
        .where(
            col(TutorProfile.application_id) == application_id,
            col(TutorProfile.status) != TutorProfileStatus.APPROVED,
        )
        .values(display_name="", bio="", experience="", certifications="")
    )
