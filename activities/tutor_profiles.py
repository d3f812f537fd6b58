"""The steps that make an applicant a tutor, and those that take them back."""

import json
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.application_decisions import how_it_stands
from activities.application_record import move, stop_clock, taken_up
from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.provisioning import LearningPlatform, is_yes, not_now, post_to_platform
from models.identifiers import tutor_message_id_for, tutor_profile_id_for
from models.messages.applications import ApplicationStep, RecordedDecision
from models.tables import Person, RoleGrant, TutorApplication, TutorProfile
from models.tables.columns import now
from models.vocabulary import ApplicationStatus, Role, TutorProfileStatus
from rules.tutor_application import WITH_REVIEWERS

PROFILE = "tutor_profile"
GRANT = "role_grant"

_APPROVED = "tutor.approved"
_WITHDRAWN = "tutor.withdrawn"
_GRANTED, _REVOKED = "granted", "revoked"
# What the platform may answer and mean: not now. Any other 4xx is a no.
_NOT_NOW = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)


@dataclass
class TutorProfileActivities:
    """The approval of a tutor, step by step. Each may be repeated: the second time finds the work done.

    What an earlier application has made, a profile that is shown or a role, is neither changed before
    `complete_approval` nor taken back by this one.
    """

    sessions: Sessions
    platform: LearningPlatform | None

    @activity.defn
    async def upsert_profile(self, step: ApplicationStep) -> None:
        """Write the profile of the tutor, one for each person, not shown yet (TutorHub R102, R103, R106)."""
        async with self.sessions.begin() as session:
            application = await _locked(session, step)
            profile = await _profile_of(session, application.applicant_id)
            before = None if profile is None else profile.status
            if before != TutorProfileStatus.APPROVED:
                await _write_profile(session, step, application, before, TutorProfileStatus.PENDING)

    @activity.defn
    async def withdraw_profile(self, step: ApplicationStep) -> None:
        """Take the profile back that this application has made."""
        async with self.sessions.begin() as session:
            application = await _locked(session, step)
            profile = await _profile_of(session, application.applicant_id)
            is_own = profile is not None and profile.application_id == application.id
            if profile is None or not is_own or profile.status != TutorProfileStatus.PENDING:
                return
            change = StateChange(PROFILE, profile.id, profile.status, TutorProfileStatus.WITHDRAWN)
            profile.status, profile.updated_at = TutorProfileStatus.WITHDRAWN, now()
            await _audit(session, step, [change])

    @activity.defn
    async def grant_role(self, step: ApplicationStep) -> None:
        """Write down that the person is a tutor (TutorHub R104)."""
        async with self.sessions.begin() as session:
            application = await _locked(session, step)
            if await _live_grant(session, application.applicant_id) is not None:
                return
            grant = RoleGrant(
                person_id=application.applicant_id,
                role=Role.TUTOR,
                granted_by=step.actor,
                application_id=application.id,
            )
            session.add(grant)
            await _audit(session, step, [StateChange(GRANT, grant.id, None, _GRANTED)])

    @activity.defn
    async def revoke_role(self, step: ApplicationStep) -> None:
        """Take back the role that this application has granted, and tell the platform, which may know of it.

        The role is gone before the platform is asked, so whoever stops trying has taken it back here. A platform that
        does not know the tutor, and says so with a 4xx, has nothing to take back; every other answer but 2xx is raised
        as a retryable `ApplicationError`.
        """
        async with self.sessions.begin() as session:
            application = await _locked(session, step)
            grant = await _last_grant(session, application.id)
            if grant is None or application.status == ApplicationStatus.APPROVED:
                return
            if grant.revoked_at is None:
                grant.revoked_at = now()
                await _audit(session, step, [StateChange(GRANT, grant.id, _GRANTED, _REVOKED)])
            body = _body(_WITHDRAWN, application, grant.revoked_at)
        if self.platform is not None:
            status = await post_to_platform(self.platform, tutor_message_id_for(grant.id, _WITHDRAWN), body)
            if not is_yes(status) and not _is_no(status):
                raise not_now(status)

    @activity.defn
    async def tell_platform(self, step: ApplicationStep) -> None:
        """Send `tutor.approved` to the learning platform until it answers 2xx; nothing without a platform.

        The webhook's id is the same as long as the role is: who is approved again, after it was taken back, is news. A
        role that is gone is not told. A 4xx other than 408, 409, 425 and 429 is raised as a non-retryable
        `ApplicationError` (`platform_refused`), every other answer as a retryable one.
        """
        if self.platform is None:
            return
        async with self.sessions() as session:
            application = await session.get_one(TutorApplication, step.application_id)
            grant = await _live_grant(session, application.applicant_id)
        if grant is None:
            return
        is_own = grant.application_id == application.id
        message_id = tutor_message_id_for(grant.id if is_own else application.id, _APPROVED)
        status = await post_to_platform(self.platform, message_id, _body(_APPROVED, application, grant.created_at))
        if _is_no(status):
            raise ApplicationError(
                f"the learning platform answered {status}", type="platform_refused", non_retryable=True
            )
        if not is_yes(status):
            raise not_now(status)

    @activity.defn
    async def complete_approval(self, step: ApplicationStep) -> RecordedDecision:
        """Show the profile, and the application is approved: in one transaction.

        What has ended meanwhile stays as it is, and the answer says how.
        """
        async with self.sessions.begin() as session:
            application = await _locked(session, step)
            if application.status in WITH_REVIEWERS:
                moment = now()
                profile = await _profile_of(session, application.applicant_id)
                before = None if profile is None else profile.status
                await _write_profile(session, step, application, before, TutorProfileStatus.APPROVED)
                changes = taken_up(application, moment)
                await stop_clock(session, application, moment)
                application.decided_at = moment
                changes.append(move(application, ApplicationStatus.APPROVED, moment))
                await _audit(session, step, changes)
            return how_it_stands(application)


async def _locked(session: AsyncSession, step: ApplicationStep) -> TutorApplication:
    return await session.get_one(TutorApplication, step.application_id, with_for_update=True)


async def _profile_of(session: AsyncSession, person_id: UUID) -> TutorProfile | None:
    query = select(TutorProfile).where(col(TutorProfile.person_id) == person_id).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()


async def _live_grant(session: AsyncSession, person_id: UUID) -> RoleGrant | None:
    query = select(RoleGrant).where(
        col(RoleGrant.person_id) == person_id, col(RoleGrant.role) == Role.TUTOR, col(RoleGrant.revoked_at).is_(None)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def _last_grant(session: AsyncSession, application_id: UUID) -> RoleGrant | None:
    query = (
        select(RoleGrant)
        .where(col(RoleGrant.application_id) == application_id, col(RoleGrant.role) == Role.TUTOR)
        .order_by(col(RoleGrant.created_at).desc(), col(RoleGrant.id).desc())
        .limit(1)
        .with_for_update()
    )
    return (await session.execute(query)).scalar_one_or_none()


async def _write_profile(
    session: AsyncSession,
    step: ApplicationStep,
    application: TutorApplication,
    before: str | None,
    status: TutorProfileStatus,
) -> None:
    """What the application says, as a profile: TutorHub R103."""
    person = await session.get_one(Person, application.applicant_id)
    moment = now()
    said: dict[str, object] = {
        "application_id": application.id,
        "status": status,
        "display_name": person.full_name,
        "bio": application.bio or "",
        "subjects": list(application.subjects),
        "experience": application.qualifications or "",
        "certifications": application.certifications or "",
        "updated_at": moment,
    }
    wanted = insert(TutorProfile).values(
        id=tutor_profile_id_for(person.id), created_at=moment, person_id=person.id, **said
    )
    written = wanted.on_conflict_do_update(index_elements=["person_id"], set_=said)
    profile_id = (await session.execute(written.returning(col(TutorProfile.id)))).scalar_one()
    if before != status:
        await _audit(session, step, [StateChange(PROFILE, profile_id, before, status)])


async def _audit(session: AsyncSession, step: ApplicationStep, changes: list[StateChange]) -> None:
    await write_audit(session, changes, actor=step.actor, reason="approval", workflow_id=step.workflow_id)


def _body(event: str, application: TutorApplication, moment: datetime) -> str:
    """Ids and words alone: who is told reads the profile here."""
    return json.dumps(
        {
            "type": event,
            "timestamp": moment.isoformat(),
            "data": {
                "person_id": str(application.applicant_id),
                "application_id": str(application.id),
                "profile_id": str(tutor_profile_id_for(application.applicant_id)),
                "role": Role.TUTOR.value,
                "subjects": list(application.subjects),
            },
        }
    )


def _is_no(status: int) -> bool:
    return 400 <= status < 500 and status not in _NOT_NOW
