"""The steps of a tutor's application: drafted, sent, answered, ended, erased."""

from dataclasses import dataclass

from temporalio import activity

from activities.application_checks import check_answer, check_submission
from activities.application_drafts import write_draft
from activities.application_erasure import erase
from activities.application_record import application_facts, move, stop_clock
from activities.audit import write_audit
from activities.database import Sessions
from activities.files import FileStore
from models.errors import Reason
from models.messages.applications import (
    ApplicationStep,
    BeginApplication,
    BegunApplication,
    CheckedApplication,
    EndApplication,
    EndedApplication,
)
from models.tables import TutorApplication
from models.tables.columns import now
from models.vocabulary import ApplicationStatus
from rules.decision import Refused
from rules.lifecycle import may_follow
from rules.tutor_application import erase_at


@dataclass
class ApplicationActivities:
    """What becomes of an application. Each step may be repeated: the second time finds the work done."""

    sessions: Sessions
    files: FileStore

    @activity.defn
    async def begin_application(self, step: BeginApplication) -> BegunApplication:
        """Write the draft, with what an earlier application of the same person said and showed if that is wanted.

        Refused by rules.tutor_application.may_apply, and with `unknown_person`, `not_found` (the earlier one).
        """
        async with self.sessions.begin() as session:
            begun = await write_draft(session, self.files, step)
            if isinstance(begun, Refused):
                return BegunApplication(refusal=begun.reason, refusal_detail=begun.detail)
            return BegunApplication(created_at=begun)

    @activity.defn
    async def submit_application(self, step: ApplicationStep) -> CheckedApplication:
        """Hand the draft in: draft → submitted. Refused with `application_incomplete` and what is missing."""
        async with self.sessions.begin() as session:
            found = await application_facts(session, step.application_id, for_update=True)
            if found is None:
                return _unknown()
            checked = await check_submission(session, found)
            if checked is not None:
                return checked
            application, moment = found.application, now()
            application.submitted_at = moment
            change = move(application, ApplicationStatus.SUBMITTED, moment)
            await write_audit(session, [change], actor=step.actor, reason="submitted", workflow_id=step.workflow_id)
            return CheckedApplication()

    @activity.defn
    async def answer_info(self, step: ApplicationStep) -> CheckedApplication:
        """The applicant has given what was asked for: info_requested → submitted, for the reviewers to take up.

        Refused with `application_incomplete` and what is missing, or `no_info_requested`.
        """
        async with self.sessions.begin() as session:
            found = await application_facts(session, step.application_id, for_update=True)
            if found is None:
                return _unknown()
            checked = await check_answer(session, found)
            if checked is not None:
                return checked
            application, moment = found.application, now()
            application.info_due_at = None
            change = move(application, ApplicationStatus.SUBMITTED, moment)
            await write_audit(session, [change], actor=step.actor, reason="answered", workflow_id=step.workflow_id)
            return CheckedApplication()

    @activity.defn
    async def end_application(self, step: EndApplication) -> EndedApplication:
        """Let it end without a decision (withdrawn, expired), or rest (inactive); pins when it is erased.

        Where the state machine has no such step any more, something else has happened first: then it stays as it is,
        and the answer says how.
        """
        async with self.sessions.begin() as session:
            application = await session.get_one(TutorApplication, step.application_id, with_for_update=True)
            current = ApplicationStatus(application.status)
            if may_follow(current, step.status):
                moment = now()
                await stop_clock(session, application, moment)
                application.info_due_at = None
                application.erase_at = erase_at(step.status, moment, was_sent=application.submitted_at is not None)
                change = move(application, step.status, moment)
                await write_audit(
                    session, [change], actor=step.actor, reason=step.status.value, workflow_id=step.workflow_id
                )
            return EndedApplication(status=application.status, erase_at=application.erase_at)

    @activity.defn
    async def erase_application(self, step: ApplicationStep) -> None:
        """Erase the files and what the applicant said; ids, words, moments and hashes stay, for the statistics.

        Only what was rejected, withdrawn or has expired is erased.
        """
        async with self.sessions.begin() as session:
            await erase(session, self.files, step)


def _unknown() -> CheckedApplication:
    return CheckedApplication(refusal=Reason.NOT_FOUND, refusal_detail="There is no such application.")
