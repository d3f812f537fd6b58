"""The application of a tutor: drafted, sent, reviewed, decided; what was shown is erased when its time is over."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.applications import ApplicationActivities
    from models.errors import Reason, refusal
    from models.messages.applications import (
        ApplicationAnswer,
        ApplicationOutcome,
        ApplicationRef,
        AssignReview,
        BeginApplication,
        BegunApplication,
        ByApplicant,
        JudgeDocument,
    )
    from models.messages.jobs import JobState
    from models.messages.tasks import DecideTask, TaskDecided
    from models.vocabulary import ApplicationStatus, MailTemplate, WaitingFor
    from rules.tutor_application import DRAFT_KEPT_FOR, DRAFT_NUDGES, INFO_CHASERS, INFO_DUE_AFTER, REJECTED
    from workflows.application_review import ApplicationReview
    from workflows.application_run import SYSTEM, ApplicationRun, refuse
    from workflows.policies import FILES
    from workflows.shielding import to_its_end
    from workflows.waiting import happened

_INACTIVE_EXPIRED = "inactive_expired"


@workflow.defn(name="TutorApplicationWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class TutorApplicationWorkflow:
    """One application, one run, which may sleep for more than a year: every build goes on with it."""

    @workflow.init
    def __init__(self, application: ApplicationRef) -> None:
        self._begun: BegunApplication | None = None
        self._application = ApplicationRun(application)
        self._review = ApplicationReview(self._application)

    @workflow.run
    async def run(self, application: ApplicationRef) -> ApplicationOutcome:
        """From the draft to the decision, and on to the day on which everything is erased."""
        return await to_its_end(asyncio.create_task(self._tell_story()), self._cancel)

    def _cancel(self) -> None:
        self._application.is_cancelled = True

    async def _tell_story(self) -> ApplicationOutcome:
        application = self._application
        if (begun := await self._begin()).created_at is None:
            application.desk.tell(WaitingFor.NOTHING, f"Refused: {begun.refusal_detail}")
            return ApplicationOutcome(refusal=begun.refusal)
        while application.is_live:
            if application.leaver is not None:
                await self._end(ApplicationStatus.WITHDRAWN, application.leaver, "withdrawn")
            elif application.has_expired:
                await self._end(ApplicationStatus.EXPIRED, SYSTEM, _INACTIVE_EXPIRED, of=ApplicationStatus.INACTIVE)
            elif application.status is ApplicationStatus.DRAFT:
                await self._draft(begun.created_at)
            elif application.status is ApplicationStatus.INFO_REQUESTED and application.info_due_at is not None:
                await self._wait_for_an_answer(application.info_due_at)
            else:
                await self._review.turn()
        self._tell_decision()
        is_erased = await self._erase()
        await application.outbox.emptied()
        return ApplicationOutcome(status=application.status, is_erased=is_erased)

    # ---- the chapters ----

    async def _begin(self) -> BegunApplication:
        application = self._application
        draft = BeginApplication(application=application.ref, workflow_id=workflow.info().workflow_id)
        begin = ApplicationActivities.begin_application
        async with application.at_work:
            if application.ref.copy_from is None:
                begun = await application.record(begin, draft, "Write the draft")
            else:
                # Its files are copied too, which takes longer than a step on the record may.
                begun = await workflow.execute_activity_method(
                    begin, draft, summary="Write the draft, with what an earlier one says and shows", **FILES
                )
        if begun.created_at is not None:
            application.status = ApplicationStatus.DRAFT
        self._begun = begun
        return begun

    async def _draft(self, created_at: datetime) -> None:
        """Until it is sent. Who forgets it is reminded; in the end it is given up."""
        application, kept_until = self._application, created_at + DRAFT_KEPT_FOR
        application.desk.tell(
            WaitingFor.APPLICANT,
            "The applicant writes the draft, and sends it with `submit`; `withdraw` ends it.",
            due_at=kept_until,
        )

        def nudge(number: int) -> None:
            application.post(MailTemplate.APPLICATION_DRAFT_REMINDER, "Remind of the draft", occasion=f"nudge-{number}")

        nudges = [created_at + after for after in DRAFT_NUDGES]
        if await self._is_forgotten(nudges, kept_until, nudge, summary="The applicant writes the draft"):
            await self._end(ApplicationStatus.EXPIRED, SYSTEM, "draft_expired", of=ApplicationStatus.DRAFT)

    async def _wait_for_an_answer(self, due_at: datetime) -> None:
        """Until the applicant has given what was asked for; who does not is not rejected: it expires."""
        application = self._application
        application.desk.tell(
            WaitingFor.APPLICANT,
            "The applicant gives what was asked for, and says so with `answer`; `withdraw` ends it.",
            due_at=due_at,
        )

        def chase(number: int) -> None:
            application.post(
                MailTemplate.APPLICATION_INFO_REMINDER,
                "Remind of what is asked for",
                occasion=f"round-{application.round}-{number}",
            )

        chasers = [due_at - INFO_DUE_AFTER + after for after in INFO_CHASERS]
        if await self._is_forgotten(chasers, due_at, chase, summary="The applicant owes an answer"):
            await self._end(ApplicationStatus.EXPIRED, SYSTEM, "info_expired", of=ApplicationStatus.INFO_REQUESTED)

    async def _is_forgotten(
        self, moments: Sequence[datetime], end: datetime, remind: Callable[[int], None], *, summary: str
    ) -> bool:
        """Whether the applicant has done nothing until the end, although they were reminded.

        A reminder that comes so late that the next one is due as well is left out.
        """
        application, waits = self._application, self._application.status

        def is_over() -> bool:
            return application.status is not waits or application.is_given_up

        for number, (moment, following) in enumerate(zip(moments, [*moments[1:], end], strict=True), 1):
            if await happened(is_over, moment, summary=summary):
                return False
            if workflow.now() < following:
                remind(number)
        return not await happened(is_over, end, summary=summary)

    async def _end(
        self, status: ApplicationStatus, actor: str, occasion: str, of: ApplicationStatus | None = None
    ) -> None:
        """Let it end without a decision, unless the applicant has just moved it on from where it would have ended."""
        application = self._application
        async with application.at_work:
            if of is not None and application.status is not of:
                return
            await application.end(status, actor)
        application.post(MailTemplate.APPLICATION_CLOSED, f"Mail that it is {status}", occasion=occasion)

    def _tell_decision(self) -> None:
        application = self._application
        if application.status is ApplicationStatus.APPROVED:
            application.post(MailTemplate.APPLICATION_APPROVED, "Welcome the tutor")
        elif application.status in REJECTED:
            application.post(MailTemplate.APPLICATION_REJECTED, "Mail the rejection with its reasons")

    async def _erase(self) -> bool:
        """Keep what was said and shown for as long as it may be needed, then erase it. Nobody can cancel that."""
        application, erase_at = self._application, self._application.erase_at
        if erase_at is None:
            application.desk.tell(WaitingFor.NOTHING, f"Over: {application.status}.")
            return False
        if erase_at > workflow.now():
            application.desk.tell(
                WaitingFor.TIMER,
                f"Over: {application.status}. What was said and shown is erased then.",
                due_at=erase_at,
            )
            await workflow.sleep(erase_at - workflow.now(), summary="What was said and shown is kept")
        await workflow.execute_activity_method(
            ApplicationActivities.erase_application,
            application.step(SYSTEM),
            summary="Erase what was said and shown",
            **FILES,
        )
        application.desk.tell(WaitingFor.NOTHING, f"Over: {application.status}, and erased.")
        return True

    # ---- messages ----

    @workflow.update(description="Wait until the draft is written, or refused")
    async def begin(self, application: ApplicationRef) -> ApplicationAnswer:
        """Answer who begins it, or repeats that."""
        await workflow.wait_condition(lambda: self._begun is not None)
        begun = self._begun
        if begun is not None and begun.created_at is None:
            raise refusal(begun.refusal or Reason.INTERNAL, begun.refusal_detail or "It was refused.")
        return self._application.answer

    @workflow.update(description="Send the draft to the reviewers: {actor: 'student:<id>'}")
    async def submit(self, by: ByApplicant) -> ApplicationAnswer:
        """Refused with all that is missing; once it was sent, the present state is the answer."""
        application = await self._is_there()
        async with application.at_work:
            if application.status is ApplicationStatus.DRAFT:
                checked = await application.record(
                    ApplicationActivities.submit_application,
                    application.step(by.actor),
                    "Send it, if nothing is missing",
                )
                refuse(checked)
                application.status, application.was_sent = ApplicationStatus.SUBMITTED, True
                application.post(MailTemplate.APPLICATION_RECEIVED, "Mail that it has arrived")
        _refuse_unsent(application)
        return application.answer

    @submit.validator
    def _check_submit(self, by: ByApplicant) -> None:
        if (application := self._at_rest()) is not None and application.status is not ApplicationStatus.DRAFT:
            _refuse_unsent(application)

    @workflow.update(description="What was asked for is there: {actor: 'student:<id>'}")
    async def answer(self, by: ByApplicant) -> ApplicationAnswer:
        """Refused with all that is missing; once it is with the reviewers again, the present state is the answer."""
        application = await self._is_there()
        async with application.at_work:
            if application.status is ApplicationStatus.INFO_REQUESTED:
                checked = await application.record(
                    ApplicationActivities.answer_info, application.step(by.actor), "Answer, if nothing is missing"
                )
                refuse(checked)
                application.status = ApplicationStatus.SUBMITTED
        _refuse_unasked(application)
        return application.answer

    @answer.validator
    def _check_answer(self, by: ByApplicant) -> None:
        if (application := self._at_rest()) is not None:
            _refuse_unasked(application)

    @workflow.update(description="Take the application back: {actor: 'student:<id>'}")
    async def withdraw(self, by: ByApplicant) -> ApplicationAnswer:
        """Answers once it is withdrawn; refused if it has ended in another way, or is being approved."""
        application = await self._is_there()
        if application.is_live and not application.is_being_approved:
            application.withdrawn_by = application.withdrawn_by or by.actor
            # An approval that has begun forgets the wish.
            await workflow.wait_condition(lambda: application.withdrawn_by is None or not application.is_live)
        if application.status is not ApplicationStatus.WITHDRAWN:
            raise _over()
        return application.answer

    @withdraw.validator
    def _check_withdraw(self, by: ByApplicant) -> None:
        application = self._at_rest()
        if application is None or application.status is ApplicationStatus.WITHDRAWN:
            return
        if not application.is_live or application.is_being_approved:
            raise _over()

    @workflow.update(description="Give it to a reviewer, or to nobody: {reviewer_id: '…', actor: 'staff:<id>'}")
    async def assign(self, assignment: AssignReview) -> ApplicationAnswer:
        """Refused while it is not the reviewers' turn."""
        await self._is_there()
        return await self._review.assign(assignment)

    @assign.validator
    def _check_assign(self, assignment: AssignReview) -> None:
        if self._at_rest() is not None:
            self._review.check_assignment()

    @workflow.update(
        description="Say what a document is worth: {document_id: '…', verdict: 'rejected', reason: 'document_expired', "
        "actor: 'staff:<id>'}; an `accepted` one has no reason"
    )
    async def judge_document(self, judgement: JudgeDocument) -> ApplicationAnswer:
        """Refused while it is not the reviewers' turn; the last word counts."""
        await self._is_there()
        return await self._review.judge(judgement)

    @judge_document.validator
    def _check_judgement(self, judgement: JudgeDocument) -> None:
        if self._at_rest() is not None:
            self._review.check_judgement()

    @workflow.update(
        description="Decide the open task: {task_id: '…', action: 'request_info', reasons: ['document_expired'], "
        "actor: 'staff:<id>'}; to approve needs no reasons"
    )
    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take what a person decided, if they may; of several at once the first counts."""
        tasks, kind = self._application.tasks, self._application.tasks.kind_of(decision.task_id)
        await self._review.check(decision)
        decided = await tasks.decide(decision)
        await self._review.written_down(decision, kind)
        return decided

    @decide.validator
    def _check_decision(self, decision: DecideTask) -> None:
        self._application.tasks.check(decision)

    @workflow.query(description="Where the application stands, and who has to act")
    def status(self) -> JobState:
        return self._application.desk.state(self._application.tasks.open_id)

    async def _is_there(self) -> ApplicationRun:
        """The application, once its draft is written."""
        await workflow.wait_condition(lambda: self._begun is not None)
        if self._application.status is None:
            raise _unknown()
        return self._application

    def _at_rest(self) -> ApplicationRun | None:
        """The application, if no step on it is under way: then an update that cannot count is turned away at the door.

        A run takes two thousand updates, and those that are turned away are none of them.
        """
        if self._begun is None or self._application.at_work.locked():
            return None
        if self._application.status is None:
            raise _unknown()
        return self._application


def _refuse_unsent(application: ApplicationRun) -> None:
    if not application.was_sent:
        raise _over()


def _refuse_unasked(application: ApplicationRun) -> None:
    if not application.is_live:
        raise _over()
    if not application.round:
        raise refusal(Reason.NO_INFO_REQUESTED, "Nothing was asked for.")


def _unknown() -> Exception:
    return refusal(Reason.NOT_FOUND, "There is no such application.")


def _over() -> Exception:
    return refusal(Reason.APPLICATION_OVER, "The application has ended, or is being approved.")
