"""A world for the application of a tutor: its record by the real rules, reviewers, a platform that may say no."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID
from zoneinfo import ZoneInfo

from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.errors import Reason
from models.identifiers import tutor_application_workflow_id
from models.messages.applications import (
    ApplicationAnswer,
    ApplicationOutcome,
    ApplicationRef,
    ApplicationStep,
    AssignedReview,
    AssignReview,
    BeginApplication,
    BegunApplication,
    ByApplicant,
    CheckApproval,
    CheckDecision,
    CheckedApplication,
    CheckedApproval,
    EndApplication,
    EndedApplication,
    JudgeDocument,
    OpenedReview,
    OpenReview,
    RecordAssignment,
    RecordDecision,
    RecordedDecision,
    RecordVerdict,
)
from models.messages.jobs import JobState
from models.messages.mail import MailReport, SendMail
from models.messages.tasks import CloseTask, DecideTask, EscalatedTask, EscalateTask, OpenedTask, OpenTask
from models.vocabulary import (
    ApplicationDocumentKind,
    ApplicationStatus,
    DocumentVerdict,
    MailStatus,
    ReviewReason,
    TaskAction,
    TaskKind,
)
from rules.business_days import after_working_time, working_time
from rules.lifecycle import require_transition
from rules.tasks import moments, pace_of
from rules.tutor_application import (
    DOCUMENTS_KEPT_FOR,
    INACTIVE_AFTER_WORKING_DAYS,
    INFO_DUE_AFTER,
    REJECTED,
    WITH_REVIEWERS,
    Shown,
    is_override,
    may_decide,
)
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.tutor_application import TutorApplicationWorkflow

APPLICATION_ID, APPLICANT, DOCUMENT = UUID(int=1), UUID(int=2), UUID(int=3)
ADA, BERT, CLEO = UUID(int=11), UUID(int=12), UUID(int=13)
BERLIN = ZoneInfo("Europe/Berlin")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
REASONS = (ReviewReason.PROFILE_TOO_THIN,)
# The steps that may fail for good in the saga, in order.
SAGA = ("upsert_profile", "grant_role", "tell_platform", "complete_approval")


@dataclass
class ApplicationWorld:
    """Stands in for the record, the platform, the mail server. `did` is what really happened, in order."""

    refusal: Reason | None = None
    missing: tuple[str, ...] = ()
    present: list[UUID] = field(default_factory=lambda: [ADA, BERT])
    verdict: DocumentVerdict | None = DocumentVerdict.ACCEPTED
    fail_first: Counter[str] = field(default_factory=Counter)
    refuses: set[str] = field(default_factory=set)
    is_down: set[str] = field(default_factory=set)
    status: ApplicationStatus | None = None
    reviewer_id: UUID | None = None
    hand_overs: int = 0
    clock_started_at: datetime | None = None
    used: timedelta = timedelta()
    rounds: int = 0
    info_due_at: datetime | None = None
    erase_at: datetime | None = None
    erased_at: datetime | None = None
    has_profile: bool = False
    is_shown: bool = False
    is_tutor: bool = False
    platform_knows: bool = False
    did: list[str] = field(default_factory=list)
    history: list[ApplicationStatus] = field(default_factory=list)
    decisions: dict[UUID, RecordDecision] = field(default_factory=dict)
    overrides: list[RecordDecision] = field(default_factory=list)
    tasks: dict[UUID, OpenTask] = field(default_factory=dict)
    opened: dict[UUID, OpenedTask] = field(default_factory=dict)
    closed: dict[UUID, DecideTask] = field(default_factory=dict)
    escalated: list[tuple[int, datetime]] = field(default_factory=list)
    mails: dict[tuple[UUID, str, str], datetime] = field(default_factory=dict)
    ended: dict[ApplicationStatus, datetime] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        return activity.info().started_time

    @property
    def steps(self) -> list[object]:
        return [
            self.begin_application, self.submit_application, self.answer_info, self.end_application,
            self.erase_application, self.open_review, self.assign_review, self.judge_document, self.check_decision,
            self.check_approval,
            self.record_decision, self.upsert_profile, self.withdraw_profile, self.grant_role, self.revoke_role,
            self.tell_platform, self.complete_approval, self.open_task, self.escalate_task, self.close_task,
            self.send_mail,
        ]  # fmt: skip

    @property
    def letters(self) -> list[str]:
        """What the applicant was mailed, in order."""
        return [f"{template}:{occasion}".rstrip(":") for who, template, occasion in self.mails if who == APPLICANT]

    @property
    def open_tasks(self) -> list[OpenTask]:
        return [task for task_id, task in self.tasks.items() if task_id not in self.closed]

    @property
    def shown(self) -> tuple[Shown, ...]:
        return (Shown(ApplicationDocumentKind.IDENTITY, None, verdict=self.verdict),)

    def _trip(self, name: str) -> None:
        if name in self.refuses:
            raise ApplicationError(f"{name} is refused", type="refused", non_retryable=True)
        if name in self.is_down:
            raise ApplicationError(f"{name} is down", type="down")
        if self.fail_first[name] > 0:
            self.fail_first[name] -= 1
            raise ApplicationError(f"{name} has failed", type="failed")

    def _becomes(self, status: ApplicationStatus) -> None:
        if self.status is not None:
            require_transition(self.status, status)
        self.status = status
        self.history.append(status)
        self.ended[status] = self.now
        if status in (*REJECTED, ApplicationStatus.WITHDRAWN, ApplicationStatus.EXPIRED):
            was_draft = ApplicationStatus.SUBMITTED not in self.history
            self.erase_at = self.now if was_draft else self.now + DOCUMENTS_KEPT_FOR

    def _stop_clock(self) -> None:
        if self.status is ApplicationStatus.INACTIVE:
            self.used = timedelta()
        elif self.clock_started_at is not None:
            self.used += working_time(self.clock_started_at, self.now, BERLIN, "DE")
        self.clock_started_at = None

    # ---- the applicant's steps ----

    @activity.defn
    async def begin_application(self, step: BeginApplication) -> BegunApplication:
        self._trip("begin")
        if self.refusal is not None:
            return BegunApplication(refusal=self.refusal, refusal_detail="No.")
        if self.status is None:
            self._becomes(ApplicationStatus.DRAFT)
        return BegunApplication(created_at=self.ended[ApplicationStatus.DRAFT])

    @activity.defn
    async def submit_application(self, step: ApplicationStep) -> CheckedApplication:
        self._trip("submit")
        if ApplicationStatus.SUBMITTED in self.history:
            return CheckedApplication()
        if self.missing:
            return CheckedApplication(
                refusal=Reason.APPLICATION_INCOMPLETE, refusal_detail="Something is missing.", missing=self.missing
            )
        self._becomes(ApplicationStatus.SUBMITTED)
        return CheckedApplication()

    @activity.defn
    async def answer_info(self, step: ApplicationStep) -> CheckedApplication:
        self._trip("answer")
        if self.status is not ApplicationStatus.SUBMITTED:
            if self.missing:
                return CheckedApplication(refusal=Reason.APPLICATION_INCOMPLETE, missing=self.missing)
            self._becomes(ApplicationStatus.SUBMITTED)
            self.info_due_at = None
        return CheckedApplication()

    @activity.defn
    async def end_application(self, step: EndApplication) -> EndedApplication:
        self._trip("end")
        if self.status is not step.status:
            if step.status is not ApplicationStatus.INACTIVE:
                assert not self.open_tasks, "who decides is still asked"
            self._becomes(step.status)
            self.did.append(f"{step.status} by {step.actor.partition(':')[0]}")
        return EndedApplication(status=step.status, erase_at=self.erase_at)

    @activity.defn
    async def erase_application(self, step: ApplicationStep) -> None:
        self._trip("erase")
        self.erased_at = self.erased_at or self.now

    # ---- the reviewers' steps ----

    @activity.defn
    async def open_review(self, step: OpenReview) -> OpenedReview:
        self._trip("open_review")
        if self.status is ApplicationStatus.SUBMITTED and self.clock_started_at is None:
            self.clock_started_at = self.now
            if self.present:
                if self.reviewer_id not in self.present:
                    self._give_to(self.present[0])
                self._becomes(ApplicationStatus.IN_REVIEW)
        elif step.decided_by is not None and self.present:
            asked_again = (UUID(step.decided_by.partition(":")[2]), self.reviewer_id, self.present[0])
            self._give_to(next(who for who in asked_again if who in self.present))
        left = INACTIVE_AFTER_WORKING_DAYS * DAY - self.used
        assert self.status is not None
        return OpenedReview(
            status=self.status,
            reviewer_id=self.reviewer_id,
            used_seconds=int(self.used.total_seconds()),
            inactive_at=after_working_time(self.clock_started_at or self.now, left, BERLIN, "DE"),
            hand_overs=self.hand_overs,
            round=self.rounds,
            info_due_at=self.info_due_at,
            erase_at=self.erase_at,
        )

    def _give_to(self, reviewer_id: UUID | None) -> None:
        self.hand_overs += reviewer_id != self.reviewer_id
        self.reviewer_id = reviewer_id

    @activity.defn
    async def assign_review(self, step: RecordAssignment) -> AssignedReview:
        self._trip("assign")
        if (refusal := self._refused(step.assignment.actor)) is not None:
            return AssignedReview(refusal=refusal)
        self._give_to(step.assignment.reviewer_id)
        wanted = ApplicationStatus.IN_REVIEW if self.reviewer_id else ApplicationStatus.SUBMITTED
        if self.status not in (wanted, ApplicationStatus.INACTIVE):
            self._becomes(wanted)
        return AssignedReview(status=self.status, reviewer_id=self.reviewer_id, hand_overs=self.hand_overs)

    @activity.defn
    async def judge_document(self, step: RecordVerdict) -> CheckedApplication:
        self._trip("judge")
        if (refusal := self._refused(step.judgement.actor)) is not None:
            return CheckedApplication(refusal=refusal, refusal_detail="No.")
        self.verdict = step.judgement.verdict
        return CheckedApplication()

    @activity.defn
    async def check_approval(self, step: CheckApproval) -> CheckedApproval:
        self._trip("check_approval")
        agreed = any(each.seconds == step.task_id for each in self.overrides)
        return CheckedApproval(stands=agreed or self.verdict is not DocumentVerdict.REJECTED)

    def _refused(self, actor: str) -> Reason | None:
        if self.status not in WITH_REVIEWERS:
            return Reason.APPLICATION_NOT_IN_REVIEW
        who = actor.partition(":")[2]
        if who == str(APPLICANT):
            return Reason.OWN_APPLICATION
        return None if who in {str(ADA), str(BERT), str(CLEO)} else Reason.NOT_A_REVIEWER

    @activity.defn
    async def check_decision(self, step: CheckDecision) -> CheckedApplication:
        self._trip("check")
        if (refusal := self._refused(step.actor)) is not None:
            return CheckedApplication(refusal=refusal, refusal_detail="No.")
        if step.seconds is not None:
            first = self.decisions[step.seconds]
            same = first.actor == step.actor
            return CheckedApplication(refusal=Reason.FOUR_EYES_REQUIRED) if same else CheckedApplication()
        assert self.status is not None
        refused = may_decide(step.action, step.reasons, self.shown, status=self.status, rounds=self.rounds)
        return CheckedApplication(refusal=refused.reason) if refused else CheckedApplication()

    @activity.defn
    async def record_decision(self, step: RecordDecision) -> RecordedDecision:
        self._trip("record")
        if step.task_id not in self.decisions:
            assert self.closed[step.task_id].actor == step.actor
            self.decisions[step.task_id] = step
            self.did.append(f"{'second ' if step.seconds else ''}{step.action}")
            if step.seconds is not None and is_override(step.action, self.shown):
                self.overrides.append(step)
            if self.status is ApplicationStatus.SUBMITTED:
                self._becomes(ApplicationStatus.IN_REVIEW)
            if step.outcome is not None:
                self._stop_clock()
                self._becomes(step.outcome)
            if step.outcome is ApplicationStatus.INFO_REQUESTED:
                self.rounds += 1
                self.info_due_at = self.now + INFO_DUE_AFTER
        assert self.status is not None
        return RecordedDecision(
            status=self.status,
            is_override=is_override(step.action, self.shown),
            round=self.rounds,
            info_due_at=self.info_due_at,
            erase_at=self.erase_at,
        )

    # ---- the saga ----

    @activity.defn
    async def upsert_profile(self, step: ApplicationStep) -> None:
        self._trip("upsert_profile")
        self.did += [] if self.has_profile else ["profile"]
        self.has_profile = True

    @activity.defn
    async def withdraw_profile(self, step: ApplicationStep) -> None:
        self._trip("withdraw_profile")
        assert not self.is_shown
        self.did += ["no profile"] if self.has_profile else []
        self.has_profile = False

    @activity.defn
    async def grant_role(self, step: ApplicationStep) -> None:
        self._trip("grant_role")
        self.did += [] if self.is_tutor else ["role"]
        self.is_tutor = True

    @activity.defn
    async def revoke_role(self, step: ApplicationStep) -> None:
        self._trip("revoke_role")
        self.did += ["no role"] if self.is_tutor else []
        self.is_tutor = self.platform_knows = False

    @activity.defn
    async def tell_platform(self, step: ApplicationStep) -> None:
        self._trip("tell_platform")
        self.did += [] if self.platform_knows else ["platform"]
        self.platform_knows = True

    @activity.defn
    async def complete_approval(self, step: ApplicationStep) -> RecordedDecision:
        self._trip("complete_approval")
        assert self.has_profile
        assert self.is_tutor
        if not self.is_shown:
            self._becomes(ApplicationStatus.APPROVED)
            self.is_shown = True
        return RecordedDecision(status=ApplicationStatus.APPROVED, round=self.rounds)

    # ---- tasks and mails ----

    @activity.defn
    async def open_task(self, step: OpenTask) -> OpenedTask:
        self._trip("open_task")
        if step.task_id not in self.tasks:
            self.tasks[step.task_id] = step
            at = moments(
                pace_of(step.kind), self.now, BERLIN, "DE", used=timedelta(seconds=step.used_seconds), until=step.until
            )
            self.opened[step.task_id] = OpenedTask(
                task_id=step.task_id,
                due_at=at.due_at,
                remind_at=at.remind_at,
                escalate_at=at.escalate_at,
                escalate_again_at=at.escalate_again_at,
            )
        return self.opened[step.task_id]

    @activity.defn
    async def escalate_task(self, step: EscalateTask) -> EscalatedTask:
        self._trip("escalate")
        if step.task_id in self.closed:
            return EscalatedTask()
        if self.tasks[step.task_id].kind is TaskKind.TUTOR_REVIEW and step.level not in dict(self.escalated):
            self.escalated.append((step.level, self.now))
        return EscalatedTask(recipient_id=CLEO)

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        self._trip("close_task")
        self.closed.setdefault(step.decision.task_id, step.decision)

    @activity.defn
    async def send_mail(self, step: SendMail) -> MailReport:
        self._trip("mail")
        self.mails.setdefault((step.recipient_id, step.template, step.occasion), self.now)
        return MailReport(mail_id=UUID(int=0), status=MailStatus.SENT)


@dataclass
class Played:
    """One application on its way."""

    simulation: Simulation
    world: ApplicationWorld
    run: Run

    @property
    def state(self) -> JobState:
        return self.run.query(TutorApplicationWorkflow.status)

    def passes(self, time: timedelta = HOUR) -> None:
        self.simulation.run_for(time)

    def until(self, moment: datetime) -> None:
        self.simulation.run_for(moment - self.simulation.now)

    def submit(self) -> ApplicationAnswer:
        return self._update(TutorApplicationWorkflow.submit, ByApplicant(actor=f"student:{APPLICANT}"))

    def answer(self) -> ApplicationAnswer:
        return self._update(TutorApplicationWorkflow.answer, ByApplicant(actor=f"student:{APPLICANT}"))

    def withdraw(self) -> ApplicationAnswer:
        return self._update(TutorApplicationWorkflow.withdraw, ByApplicant(actor=f"student:{APPLICANT}"))

    def assign(self, reviewer: UUID | None, by: UUID = CLEO) -> ApplicationAnswer:
        return self._update(TutorApplicationWorkflow.assign, AssignReview(reviewer_id=reviewer, actor=f"staff:{by}"))

    def judge(self, verdict: DocumentVerdict, by: UUID = ADA) -> ApplicationAnswer:
        reason = ReviewReason.DOCUMENT_UNREADABLE if verdict is DocumentVerdict.REJECTED else None
        judgement = JudgeDocument(document_id=DOCUMENT, verdict=verdict, reason=reason, actor=f"staff:{by}")
        return self._update(TutorApplicationWorkflow.judge_document, judgement)

    def decide(
        self, action: TaskAction, by: UUID = ADA, reasons: tuple[ReviewReason, ...] = REASONS, task: int = 0
    ) -> None:
        """Decide the open task. Raises `WorkflowUpdateFailedError` if it is refused."""
        self.simulation.run_until(lambda: self.state.task_id is not None)
        open_task = self.world.open_tasks[task]
        decision = DecideTask(task_id=open_task.task_id, action=action, actor=f"staff:{by}", reasons=reasons)
        self.run.update(TutorApplicationWorkflow.decide, decision)

    def _update(self, method: object, arg: object) -> ApplicationAnswer:
        return cast(ApplicationAnswer, self.run.update(method, arg))

    def outcome(self) -> ApplicationOutcome:
        return cast(ApplicationOutcome, self.run.result())


def begun(
    world: ApplicationWorld | None = None,
    seed: object = "",
    mishaps: Mishaps | None = None,
    at: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
) -> Played:
    """An application as it starts at this moment."""
    world = world or ApplicationWorld()
    simulation = Simulation(world.steps, random.Random(str(seed)), mishaps)  # noqa: S311
    simulation.now = simulation.started = at
    ref = ApplicationRef(application_id=APPLICATION_ID, applicant_id=APPLICANT, actor=f"student:{APPLICANT}")
    run = simulation.start(TutorApplicationWorkflow.run, ref, tutor_application_workflow_id(APPLICATION_ID))
    return Played(simulation, world, run)


def in_review(
    world: ApplicationWorld | None = None,
    seed: object = "",
    mishaps: Mishaps | None = None,
    at: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
) -> Played:
    """An application whose reviewer is asked."""
    played = begun(world, seed, mishaps, at)
    played.submit()
    played.simulation.run_until(lambda: bool(played.world.open_tasks))
    return played


def reason_of(failed: WorkflowUpdateFailedError) -> str | None:
    """The reason code of a refused update."""
    return getattr(failed.cause, "type", None)
