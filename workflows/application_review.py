"""The reviewers' turn: taken up, chased, judged, decided, with a second opinion where it needs one."""

import asyncio
from datetime import datetime
from uuid import UUID

from temporalio import workflow

from activities.application_reviews import ApplicationReviewActivities
from models.identifiers import hand_over_occasion
from models.messages.applications import (
    ApplicationAnswer,
    AssignReview,
    CheckDecision,
    JudgeDocument,
    OpenedReview,
    OpenReview,
    RecordAssignment,
    RecordDecision,
    RecordedDecision,
    RecordVerdict,
)
from models.messages.tasks import DecideTask
from models.vocabulary import ApplicationStatus, MailTemplate, Role, TaskAction, TaskKind, WaitingFor
from rules.tutor_application import INACTIVE_KEPT_FOR, MAX_INFO_ROUNDS, WITH_REVIEWERS
from workflows.application_run import APPLICATION, SYSTEM, ApplicationRun, not_in_review, refuse
from workflows.tutor_approval import TutorApproval
from workflows.waiting import happened

_DECISIONS = (TaskAction.APPROVE, TaskAction.REQUEST_INFO, TaskAction.REJECT_SOFT, TaskAction.REJECT_HARD)
_OF_REVIEWERS = (TaskKind.TUTOR_REVIEW, TaskKind.TUTOR_SECOND_OPINION)
_REVIEW, _SECOND_OPINION = "review", "second_opinion"


class ApplicationReview:
    """Every turn of the reviewers: one for each time that the applicant has sent the application in."""

    def __init__(self, run: ApplicationRun) -> None:
        self._run = run
        self._approval = TutorApproval(run)
        self._doubted: UUID | None = None
        self._written: set[UUID] = set()

    async def turn(self) -> None:
        """From what came in to a decision that is written down, or until nobody has to decide any more.

        After a reset the record may be ahead: what is not the reviewers' turn there is not asked for here.
        """
        opened = await self._open()
        if opened.status not in WITH_REVIEWERS:
            return
        deciding = asyncio.create_task(self._decide(opened))
        await self._stay_honest(deciding, opened)
        await deciding

    # ---- the chapters ----

    async def _open(self, decided_by: str | None = None) -> OpenedReview:
        run = self._run
        async with run.at_work:
            opened = await run.record(
                ApplicationReviewActivities.open_review,
                OpenReview(
                    application_id=run.ref.application_id,
                    actor=SYSTEM,
                    workflow_id=workflow.info().workflow_id,
                    decided_by=decided_by,
                ),
                "Give it to a reviewer in turn" if decided_by is None else "Give it back to a reviewer",
            )
            run.take(opened)
        return opened

    async def _decide(self, opened: OpenedReview) -> None:
        used_seconds = opened.used_seconds
        while opened.status in WITH_REVIEWERS:
            decision = await self._ask_reviewer(opened, used_seconds)
            if decision is None or await self._is_carried_out(decision) or self._run.is_given_up:
                return
            # Somebody did not agree: who decided hears of it, and there is the usual time again.
            opened, used_seconds = await self._open(decision.actor), 0

    async def _ask_reviewer(self, opened: OpenedReview, used_seconds: int) -> DecideTask | None:
        run, reviewer_id = self._run, opened.reviewer_id
        run.desk.tell(
            WaitingFor.REVIEWER,
            "A reviewer judges the documents (`judge_document`) and decides the task: `approve`, `request_info`, "
            "`reject_soft` or `reject_hard`.",
            needs_human=True,
        )
        sent = "for the first time" if not run.round else f"after question {run.round} of at most {MAX_INFO_ROUNDS}"
        action = await run.tasks.ask(
            TaskKind.TUTOR_REVIEW,
            _REVIEW,
            f"Somebody wants to become a tutor; sent {sent}.",
            _DECISIONS,
            subject=(APPLICATION, run.ref.application_id),
            assignee=None if reviewer_id is None else f"{Role.STAFF}:{reviewer_id}",
            used_seconds=used_seconds,
            when_open=lambda task_id: self._tell(reviewer_id, task_id, opened.hand_overs),
            unless=lambda: run.is_given_up,
        )
        await run.tasks.withdraw()
        return None if action is None else run.tasks.decision(_REVIEW)

    async def _is_carried_out(self, decision: DecideTask) -> bool:
        """Whether what a reviewer decided stands; if not, they are asked again."""
        run = self._run
        match decision.action:
            case TaskAction.REQUEST_INFO:
                await self._write(decision, ApplicationStatus.INFO_REQUESTED)
                run.post(
                    MailTemplate.APPLICATION_INFO_REQUESTED, "Mail what is asked for", occasion=f"round-{run.round}"
                )
                return True
            case TaskAction.REJECT_SOFT:
                await self._write(decision, ApplicationStatus.REJECTED_SOFT)
                return True
            case TaskAction.REJECT_HARD:
                await self._write(decision)
                return await self._is_agreed(decision, "reject it for good", ApplicationStatus.REJECTED_HARD)
            case _:
                recorded = await self._write(decision)
                if recorded.is_override and not await self._is_agreed(
                    decision, "approve it despite a rejected document"
                ):
                    return False
                return await self._approval.is_granted(decision)

    async def _is_agreed(self, first: DecideTask, what: str, outcome: ApplicationStatus | None = None) -> bool:
        """Whether another reviewer agrees; then the outcome, if there is one, is written down with it."""
        run = self._run
        run.desk.tell(
            WaitingFor.REVIEWER,
            f"A reviewer wants to {what}. Another one decides the task: `approve` agrees, `reject` gives it back.",
            needs_human=True,
        )
        reasons = f" ({', '.join(first.reasons)})" if first.reasons else ""
        self._doubted = first.task_id
        action = await run.tasks.ask(
            TaskKind.TUTOR_SECOND_OPINION,
            _SECOND_OPINION,
            f"A reviewer wants to {what}{reasons}. Do you agree?",
            (TaskAction.APPROVE, TaskAction.REJECT),
            subject=(APPLICATION, run.ref.application_id),
            unless=lambda: run.is_given_up,
        )
        await run.tasks.withdraw()
        second = run.tasks.decision(_SECOND_OPINION)
        if action is None or second is None:
            return False
        await self._write(second, outcome if action is TaskAction.APPROVE else None, seconds=first.task_id)
        return action is TaskAction.APPROVE

    async def _write(
        self, decision: DecideTask, outcome: ApplicationStatus | None = None, *, seconds: UUID | None = None
    ) -> RecordedDecision:
        run = self._run
        async with run.at_work:
            recorded = await run.record(
                ApplicationReviewActivities.record_decision,
                RecordDecision(
                    application_id=run.ref.application_id,
                    task_id=decision.task_id,
                    action=decision.action,
                    reasons=decision.reasons,
                    actor=decision.actor,
                    seconds=seconds,
                    outcome=outcome,
                    workflow_id=workflow.info().workflow_id,
                ),
                f"Write down what a reviewer decided: {decision.action}",
            )
            run.take(recorded)
        self._written.add(decision.task_id)
        return recorded

    async def _stay_honest(self, deciding: "asyncio.Task[None]", opened: OpenedReview) -> None:
        """Nobody is rejected because nobody had time: the applicant is told, and it can still be decided for a year.

        Whatever is decided meanwhile begins another year, should it come back to the reviewers.
        """
        run = self._run
        if opened.status is not ApplicationStatus.INACTIVE and not await self._has_rested(deciding, opened.inactive_at):
            return
        kept = "An application that nobody decides is kept"
        while await self._is_undecided(deciding, run.stands_since + INACTIVE_KEPT_FOR, kept):
            if workflow.now() >= run.stands_since + INACTIVE_KEPT_FOR:
                run.is_too_old = True
                await workflow.wait_condition(lambda: deciding.done() or not run.is_too_old)

    async def _has_rested(self, deciding: "asyncio.Task[None]", inactive_at: datetime) -> bool:
        """Whether nobody has decided in time; then the applicant is told."""
        run, summary = self._run, "Until the applicant is told that nobody has decided"
        while await self._is_undecided(deciding, inactive_at, summary):
            async with run.at_work:
                if run.has_approval:
                    continue
                if run.status not in (ApplicationStatus.SUBMITTED, ApplicationStatus.IN_REVIEW):
                    return False
                await run.end(ApplicationStatus.INACTIVE, SYSTEM)
            run.post(MailTemplate.APPLICATION_LATE, "Mail that nobody has decided yet", occasion=f"round-{run.round}")
            run.desk.restate()
            return True
        return False

    async def _is_undecided(self, deciding: "asyncio.Task[None]", until: datetime, summary: str) -> bool:
        """Whether the reviewers owe a decision then. What they have approved they owe again only if it comes back."""
        if await happened(deciding.done, until, summary=summary):
            return False
        await workflow.wait_condition(lambda: deciding.done() or not self._run.has_approval)
        return not deciding.done()

    def _tell(self, reviewer_id: UUID | None, task_id: UUID, hand_overs: int) -> None:
        if reviewer_id is not None:
            self._run.post(
                MailTemplate.APPLICATION_ASSIGNED,
                "Mail the reviewer whose turn it is",
                occasion=hand_over_occasion(task_id, hand_overs),
                recipient_id=reviewer_id,
            )

    # ---- what reviewers do beside the story ----

    async def assign(self, assignment: AssignReview) -> ApplicationAnswer:
        """Give it to a reviewer, or to nobody; somebody who did not take it themselves is told."""
        run = self._run
        # A task that is just being opened would keep who was named for it before.
        await workflow.wait_condition(lambda: run.tasks.open_id is not None or not run.is_with_reviewers)
        async with run.at_work:
            self.check_assignment()
            if (task_id := run.tasks.open_id) is None:
                raise not_in_review()
            assigned = await run.record(
                ApplicationReviewActivities.assign_review,
                RecordAssignment(
                    assignment=assignment,
                    application_id=run.ref.application_id,
                    workflow_id=workflow.info().workflow_id,
                ),
                "Give it to a reviewer" if assignment.reviewer_id else "Give it to nobody",
            )
            refuse(assigned)
            run.status = assigned.status or run.status or ApplicationStatus.SUBMITTED
        is_taken = assignment.actor.partition(":")[2] == str(assigned.reviewer_id)
        if not is_taken:
            self._tell(assigned.reviewer_id, task_id, assigned.hand_overs)
        run.desk.restate()
        return run.answer

    def check_assignment(self) -> None:
        """Refuse to give away what is not in review."""
        task_id = self._run.tasks.open_id
        # What a reviewer has decided is nobody's to take over, while others agree to it or it is carried out.
        is_other = task_id is not None and self._run.tasks.kind_of(task_id) is not TaskKind.TUTOR_REVIEW
        if not self._run.is_with_reviewers or is_other:
            raise not_in_review()

    def check_judgement(self) -> None:
        """Refuse a verdict while it is not the reviewers' turn."""
        if not self._run.is_with_reviewers:
            raise not_in_review()

    async def judge(self, judgement: JudgeDocument) -> ApplicationAnswer:
        """Write down what a reviewer says of one document."""
        run = self._run
        async with run.at_work:
            self.check_judgement()
            checked = await run.record(
                ApplicationReviewActivities.judge_document,
                RecordVerdict(
                    judgement=judgement,
                    application_id=run.ref.application_id,
                    workflow_id=workflow.info().workflow_id,
                ),
                f"Write down what is said of a document: {judgement.verdict}",
            )
            refuse(checked)
        return run.answer

    async def check(self, decision: DecideTask) -> None:
        """Refuse what this reviewer may not decide as the application stands."""
        run, kind = self._run, self._run.tasks.kind_of(decision.task_id)
        if kind not in _OF_REVIEWERS:
            return
        async with run.at_work:
            checked = await run.record(
                ApplicationReviewActivities.check_decision,
                CheckDecision(
                    application_id=run.ref.application_id,
                    action=decision.action,
                    reasons=decision.reasons,
                    actor=decision.actor,
                    seconds=self._doubted if kind is TaskKind.TUTOR_SECOND_OPINION else None,
                ),
                f"Ask whether they may decide it: {decision.action}",
            )
            refuse(checked)
        # Somebody else may have been faster meanwhile.
        run.tasks.check(decision)

    async def written_down(self, decision: DecideTask, kind: TaskKind | None) -> None:
        """Return once the decision is on record, so that who reads the record next finds it."""
        if kind in _OF_REVIEWERS:
            await workflow.wait_condition(lambda: decision.task_id in self._written)
