"""What an applicant's step would come to as the record stands, before anything is written."""

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.application_drafts import earlier_of
from activities.application_record import ApplicationFacts, academy_day
from models.errors import Reason
from models.messages.applications import CheckedApplication
from models.tables import RoleGrant, TutorApplication, TutorProfile
from models.tables.columns import now
from models.vocabulary import ApplicationStatus, TutorProfileStatus
from rules.tutor_application import LIVE, may_send


async def check_submission(session: AsyncSession, found: ApplicationFacts) -> CheckedApplication | None:
    """Whether it was handed in already, or why it may not be; none if it may be.

    Refused by rules.tutor_application.may_send, with `application_incomplete` and what is missing, `application_over`.
    """
    application = found.application
    if application.submitted_at is not None:
        return CheckedApplication()
    if application.status != ApplicationStatus.DRAFT:
        return _over(application)
    refused = may_send(await earlier_of(session, application.applicant_id, application.id), now())
    if refused is not None:
        return CheckedApplication(refusal=refused.reason, refusal_detail=refused.detail)
    return await _complete(session, found)


async def check_answer(session: AsyncSession, found: ApplicationFacts) -> CheckedApplication | None:
    """Whether what was asked for was given already, or why it may not be; none if it may be.

    Refused with `application_incomplete` and what is missing, `no_info_requested`, `application_over`.
    """
    application = found.application
    if application.status == ApplicationStatus.INFO_REQUESTED:
        return await _complete(session, found)
    if application.status not in LIVE:
        return _over(application)
    if application.rounds:
        return CheckedApplication()
    return CheckedApplication(
        refusal=Reason.NO_INFO_REQUESTED, refusal_detail="Nobody has asked for information that is not given."
    )


async def check_withdrawal(session: AsyncSession, found: ApplicationFacts) -> CheckedApplication | None:
    """Whether it was withdrawn already, or has ended otherwise or is being approved; none if it may be withdrawn."""
    application = found.application
    if application.status == ApplicationStatus.WITHDRAWN:
        return CheckedApplication()
    if application.status not in LIVE:
        return _over(application)
    # What an approval has begun with, or what could not be taken back of it.
    has_profile = exists().where(
        col(TutorProfile.application_id) == application.id, col(TutorProfile.status) == TutorProfileStatus.PENDING
    )
    has_role = exists().where(col(RoleGrant.application_id) == application.id, col(RoleGrant.revoked_at).is_(None))
    if (await session.execute(select(or_(has_profile, has_role)))).scalar_one():
        return CheckedApplication(refusal=Reason.APPLICATION_OVER, refusal_detail="The application is being approved.")
    return None


async def _complete(session: AsyncSession, found: ApplicationFacts) -> CheckedApplication | None:
    missing = found.missing(await academy_day(session, now()))
    if not missing:
        return None
    detail = f"Something is missing: {', '.join(missing)}."
    return CheckedApplication(refusal=Reason.APPLICATION_INCOMPLETE, refusal_detail=detail, missing=missing)


def _over(application: TutorApplication) -> CheckedApplication:
    return CheckedApplication(
        refusal=Reason.APPLICATION_OVER, refusal_detail=f"The application is {application.status}."
    )
