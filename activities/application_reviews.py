"""The steps of reviewing a tutor's application: taken up, given to a reviewer, judged, decided."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.application_decisions import still_stands, write_decision
from activities.application_record import (
    DOCUMENT,
    application_facts,
    is_own,
    is_reviewer,
    is_same_person,
)
from activities.audit import StateChange, write_audit
from activities.business_calendar import business_calendar
from activities.database import Sessions
from activities.reviewers import give_review, give_to_next, hand_overs_of, take_over_absent
from activities.task_record import person_of
from models.errors import Reason
from models.messages.applications import (
    AssignedReview,
    CheckApproval,
    CheckDecision,
    CheckedApplication,
    CheckedApproval,
    OpenedReview,
    OpenReview,
    ReassignAbsent,
    ReassignedReviews,
    RecordAssignment,
    RecordDecision,
    RecordedDecision,
    RecordVerdict,
)
from models.tables import ApplicationDecision, ApplicationDocument, Reviewer, TutorApplication
from models.tables.columns import now
from models.vocabulary import ApplicationStatus, DocumentVerdict
from rules.business_days import after_working_time, working_time
from rules.decision import Refused
from rules.tutor_application import INACTIVE_AFTER_WORKING_DAYS, WITH_REVIEWERS, may_decide

_INACTIVE_AFTER = timedelta(days=INACTIVE_AFTER_WORKING_DAYS)


@dataclass
class ApplicationReviewActivities:
    """Steps of the reviewers' work. Each may be repeated: the second time finds the work done."""

    sessions: Sessions

    @activity.defn
    async def open_review(self, step: OpenReview) -> OpenedReview:
        """Start the reviewers' clock, and give the application to a present reviewer in turn.

        Who reviewed it before goes on with it if present; the applicant never reviews. submitted → in_review if
        somebody is there, else it stays submitted. What is not submitted any more stays as it is, unless it is asked
        for again: then who has decided goes on with it if present, else who has it, else whose turn it is.
        `used_seconds` is all working time that it has waited for a decision until now.
        """
        async with self.sessions.begin() as session:
            application = await session.get_one(TutorApplication, step.application_id, with_for_update=True)
            moment = now()
            if application.status == ApplicationStatus.SUBMITTED:
                application.clock_started_at = application.clock_started_at or moment
            is_asked_again = step.decided_by is not None and application.status in WITH_REVIEWERS
            if is_asked_again or application.status == ApplicationStatus.SUBMITTED:
                await give_to_next(
                    session,
                    application,
                    person_of(step.decided_by),
                    actor=step.actor,
                    workflow_id=step.workflow_id,
                )
            zone, country = await business_calendar(session)
            started_at = application.clock_started_at or moment
            used = timedelta(seconds=application.clock_used_seconds)
            left = max(_INACTIVE_AFTER - used, timedelta())
            used += working_time(started_at, moment, zone, country)
            is_resting = application.status == ApplicationStatus.INACTIVE
            return OpenedReview(
                status=application.status,
                reviewer_id=application.reviewer_id,
                used_seconds=int(used.total_seconds()),
                inactive_at=moment if is_resting else after_working_time(started_at, left, zone, country),
                hand_overs=(await hand_overs_of(session, [application.id]))[application.id],
                round=application.rounds,
                info_due_at=application.info_due_at,
                erase_at=application.erase_at,
            )

    @activity.defn
    async def assign_review(self, step: RecordAssignment) -> AssignedReview:
        """Give it to this reviewer, or to nobody; its open task goes with it.

        Refused with `not_a_reviewer`, `own_application`, `application_not_in_review`. Nobody is a submitted one's
        reviewer, so it is submitted again; nobody gives away their own.
        """
        wanted = step.assignment
        async with self.sessions.begin() as session:
            application = await session.get(TutorApplication, step.application_id, with_for_update=True)
            if application is None:
                return AssignedReview(refusal=Reason.NOT_FOUND, refusal_detail=_UNKNOWN.detail)
            refused = None
            if is_own(application, wanted.actor) or wanted.reviewer_id == application.applicant_id:
                refused = _OWN
            elif wanted.reviewer_id is not None and await session.get(Reviewer, wanted.reviewer_id) is None:
                refused = Refused(Reason.NOT_A_REVIEWER, "This person is not on the list of reviewers.")
            elif application.status not in WITH_REVIEWERS:
                refused = _not_in_review(application)
            if refused is not None:
                return AssignedReview(refusal=refused.reason, refusal_detail=refused.detail)
            await give_review(
                session, application, wanted.reviewer_id, actor=wanted.actor, workflow_id=step.workflow_id
            )
            hand_overs = (await hand_overs_of(session, [application.id]))[application.id]
            return AssignedReview(status=application.status, reviewer_id=application.reviewer_id, hand_overs=hand_overs)

    @activity.defn
    async def judge_document(self, step: RecordVerdict) -> CheckedApplication:
        """Write down what a reviewer says of the current version of a document; the last word counts.

        Refused with `not_found`, `application_not_in_review`, `reasons_required`, `not_a_reviewer`, `own_application`.
        """
        async with self.sessions.begin() as session:
            application = await session.get(TutorApplication, step.application_id, with_for_update=True)
            document = await session.get(ApplicationDocument, step.judgement.document_id)
            refused = await _may_judge(session, step, application, document)
            if refused is not None or document is None:
                return _refused(refused or _UNKNOWN)
            await _judge(session, step, document)
            return CheckedApplication()

    @activity.defn
    async def check_decision(self, step: CheckDecision) -> CheckedApplication:
        """Ask whether this reviewer may decide this of the application as it stands; writes nothing.

        Refused by rules.tutor_application.may_decide, with `not_a_reviewer` and `own_application`, and a second opinion
        with `four_eyes_required` if it is of who gave the first. A second opinion needs no grounds of its own.
        """
        async with self.sessions() as session:
            refused = await _may_decide(session, step)
            return CheckedApplication() if refused is None else _refused(refused)

    @activity.defn
    async def check_approval(self, step: CheckApproval) -> CheckedApproval:
        """Ask whether an approval that could not be carried out still may be.

        It may not if a document was rejected since: nobody has agreed to overlook that.
        """
        async with self.sessions() as session:
            return CheckedApproval(stands=await still_stands(session, step.application_id, step.task_id))

    @activity.defn
    async def record_decision(self, step: RecordDecision) -> RecordedDecision:
        """Write down who decided what on the grounds of which documents, and the state that follows, if one does.

        What has ended meanwhile, or waits for the applicant, stays as it is, and the answer says how. Raises
        `too_many_info_rounds` if information was asked for too often.
        """
        async with self.sessions.begin() as session:
            return await write_decision(session, step)

    @activity.defn
    async def reassign_absent(self, step: ReassignAbsent) -> ReassignedReviews:
        """Give what is with reviewers who have been away for two working days to those who are there, in turn.

        What the same workflow has handed over before is answered with it: an answer that got lost is not the end of a
        mail. Where nobody is there it stays where it is, and is answered again, with nobody, each time.
        """
        async with self.sessions.begin() as session:
            return ReassignedReviews(reviews=await take_over_absent(session, step.workflow_id))


_OWN = Refused(Reason.OWN_APPLICATION, "Nobody reviews their own application.")
_UNKNOWN = Refused(Reason.NOT_FOUND, "There is no such application, or no such document that is current.")
_NOBODY = Refused(Reason.NOT_A_REVIEWER, "Only reviewers do this.")


def _not_in_review(application: TutorApplication) -> Refused:
    return Refused(Reason.APPLICATION_NOT_IN_REVIEW, f"The application is {application.status}.")


def _refused(refused: Refused) -> CheckedApplication:
    return CheckedApplication(refusal=refused.reason, refusal_detail=refused.detail)


async def _may_review(session: AsyncSession, application: TutorApplication, actor: str) -> Refused | None:
    if is_own(application, actor):
        return _OWN
    return None if await is_reviewer(session, actor) else _NOBODY


async def _may_judge(
    session: AsyncSession,
    step: RecordVerdict,
    application: TutorApplication | None,
    document: ApplicationDocument | None,
) -> Refused | None:
    if application is None or document is None:
        return _UNKNOWN
    if document.application_id != application.id or document.replaced_at is not None:
        return _UNKNOWN
    refused = await _may_review(session, application, step.judgement.actor)
    if refused is not None:
        return refused
    if application.status not in WITH_REVIEWERS:
        return _not_in_review(application)
    if step.judgement.verdict is DocumentVerdict.REJECTED and step.judgement.reason is None:
        return Refused(Reason.REASONS_REQUIRED, "A document that is rejected needs a reason.")
    return None


async def _judge(session: AsyncSession, step: RecordVerdict, document: ApplicationDocument) -> None:
    said = step.judgement
    reason = said.reason if said.verdict is DocumentVerdict.REJECTED else None
    if (document.verdict, document.verdict_reason, document.judged_by) == (said.verdict, reason, said.actor):
        return
    change = StateChange(DOCUMENT, document.id, document.verdict, said.verdict)
    document.verdict, document.verdict_reason = said.verdict, reason
    document.judged_by, document.judged_at = said.actor, now()
    await write_audit(
        session, [change], actor=said.actor, reason=reason or said.verdict.value, workflow_id=step.workflow_id
    )


async def _may_decide(session: AsyncSession, step: CheckDecision) -> Refused | None:
    found = await application_facts(session, step.application_id)
    if found is None:
        return _UNKNOWN
    application = found.application
    refused = await _may_review(session, application, step.actor)
    if refused is not None:
        return refused
    if step.seconds is None:
        return may_decide(
            step.action,
            step.reasons,
            found.shown,
            status=ApplicationStatus(application.status),
            rounds=application.rounds,
        )
    first = await session.get(ApplicationDecision, step.seconds)
    if first is None or first.application_id != application.id:
        return Refused(Reason.NOT_FOUND, "There is no such decision.")
    if is_same_person(first.decided_by, step.actor):
        return Refused(Reason.FOUR_EYES_REQUIRED, "Somebody else has to agree.")
    return None if application.status in WITH_REVIEWERS else _not_in_review(application)
