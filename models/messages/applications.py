"""What is said about the application of a tutor. What the applicant says and shows stays in the record."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.errors import Reason
from models.messages.message import Actor, Message, WorkflowId
from models.vocabulary import ApplicationStatus, DocumentVerdict, ReviewReason, TaskAction

MAX_REASONS = len(ReviewReason)


class ApplicationRef(Message):
    """The input of `TutorApplicationWorkflow`: whose application it is."""

    application_id: UUID
    applicant_id: UUID
    actor: Actor
    copy_from: UUID | None = Field(default=None, description="an earlier application of theirs to take over")


class ByApplicant(Message):
    """The argument of the updates `submit`, `answer` and `withdraw`: who does it."""

    actor: Actor


class ApplicationStep(Message):
    """Something that is done to an application, by whom, and in which workflow."""

    application_id: UUID
    actor: Actor
    workflow_id: WorkflowId


class BeginApplication(Message):
    """Write the draft."""

    application: ApplicationRef
    workflow_id: WorkflowId


class BegunApplication(Message):
    """The draft is there, or was refused (then nothing is written)."""

    created_at: datetime | None = None
    refusal: Reason | None = None
    refusal_detail: str | None = None


class CheckedApplication(Message):
    """Whether a step was taken; if not, why, and what is missing one by one (rules/tutor_application.py)."""

    refusal: Reason | None = None
    refusal_detail: str | None = None
    missing: tuple[str, ...] = ()


class OpenReview(ApplicationStep):
    """It is the reviewers' turn; `decided_by` is asked again, if they are there."""

    decided_by: Actor | None = Field(default=None, description="whose decision was not carried out")


class OpenedReview(Message):
    """How the application stands as its review is opened; it is the reviewers' turn unless it has moved on."""

    status: ApplicationStatus
    reviewer_id: UUID | None = Field(default=None, description="whose turn it was; none if nobody is present")
    used_seconds: int = Field(default=0, ge=0, description="working time of the reviewers' earlier turns")
    inactive_at: datetime = Field(description="when the applicant is told that nobody has decided")
    hand_overs: int = Field(default=0, description="how often it was given to somebody, or to nobody")
    round: int = Field(default=0, description="how often information was asked for")
    info_due_at: datetime | None = None
    erase_at: datetime | None = None


class AssignReview(Message):
    """The argument of the update `assign`: give the application to a reviewer, or to nobody."""

    reviewer_id: UUID | None = Field(default=None, description="the id of a reviewer; none is nobody")
    actor: Actor


class RecordAssignment(Message):
    """Write down who looks after the application from now on."""

    assignment: AssignReview
    application_id: UUID
    workflow_id: WorkflowId


class AssignedReview(Message):
    """Who looks after it now, or why it was refused."""

    status: ApplicationStatus | None = None
    reviewer_id: UUID | None = None
    hand_overs: int = Field(default=0, description="how often it was given to somebody, or to nobody")
    refusal: Reason | None = None
    refusal_detail: str | None = None


class JudgeDocument(Message):
    """The argument of the update `judge_document`: what a reviewer says of one document."""

    document_id: UUID
    verdict: DocumentVerdict
    reason: ReviewReason | None = Field(default=None, description="given exactly where the verdict is `rejected`")
    actor: Actor


class RecordVerdict(Message):
    """Write the verdict down."""

    judgement: JudgeDocument
    application_id: UUID
    workflow_id: WorkflowId


class CheckDecision(Message):
    """Ask whether a reviewer may decide this now."""

    application_id: UUID
    action: TaskAction
    reasons: tuple[ReviewReason, ...] = Field(default=(), max_length=MAX_REASONS)
    actor: Actor
    seconds: UUID | None = Field(default=None, description="the decision that it is the second opinion on")


class RecordDecision(Message):
    """Write down what a reviewer decided, and the state that follows. The same task again changes nothing."""

    application_id: UUID
    task_id: UUID
    action: TaskAction
    reasons: tuple[ReviewReason, ...] = Field(default=(), max_length=MAX_REASONS)
    actor: Actor
    seconds: UUID | None = Field(default=None, description="the decision that it is the second opinion on")
    outcome: ApplicationStatus | None = Field(
        default=None, description="the state that follows at once; none if more has to happen first"
    )
    workflow_id: WorkflowId


class CheckApproval(Message):
    """Ask whether an approval may still be carried out as the documents are judged now."""

    application_id: UUID
    task_id: UUID = Field(description="the decision to approve it")


class CheckedApproval(Message):
    """Whether it may be."""

    stands: bool


class RecordedDecision(Message):
    """How the application stands after a decision."""

    status: ApplicationStatus
    is_override: bool = Field(default=False, description="approved although a document was rejected")
    round: int = Field(default=0, description="how often information was asked for")
    info_due_at: datetime | None = None
    erase_at: datetime | None = None


class EndApplication(Message):
    """Let the application end, or rest, without a decision."""

    application_id: UUID
    status: ApplicationStatus = Field(description="withdrawn, expired or inactive")
    actor: Actor
    workflow_id: WorkflowId


class EndedApplication(Message):
    """When its documents are erased; a moment that has passed means now, none means never."""

    status: ApplicationStatus
    erase_at: datetime | None = None


class ReassignReviews(Message):
    """The input of `ReassignReviewsWorkflow`."""


class ReassignAbsent(Message):
    """Hand over what is with absent reviewers; the same workflow again is answered the same."""

    workflow_id: WorkflowId


class ReassignedReview(Message):
    """An application that somebody else looks after from now on; none if nobody is there."""

    application_id: UUID
    reviewer_id: UUID | None
    task_id: UUID | None = Field(default=None, description="its open task, if there is one")
    hand_overs: int = Field(default=0, description="how often it was given to somebody, or to nobody")


class ReassignedReviews(Message):
    """What was taken over from reviewers who are away."""

    reviews: tuple[ReassignedReview, ...] = ()


class ApplicationAnswer(Message):
    """What the updates of an application answer."""

    application_id: UUID
    status: ApplicationStatus


class ApplicationOutcome(Message):
    """The result of `TutorApplicationWorkflow`."""

    status: ApplicationStatus | None = None
    is_erased: bool = False
    refusal: Reason | None = None
