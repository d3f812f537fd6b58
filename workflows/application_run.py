"""What the chapters of a tutor's application share: how it stands, who wants it to end, one step on it at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from temporalio import workflow

from activities.applications import ApplicationActivities
from models.errors import Reason, refusal
from models.messages.applications import (
    ApplicationAnswer,
    ApplicationRef,
    ApplicationStep,
    AssignedReview,
    CheckedApplication,
    EndApplication,
    OpenedReview,
    RecordedDecision,
)
from models.vocabulary import ApplicationStatus, MailTemplate, WaitingFor
from rules.tutor_application import LIVE, WITH_REVIEWERS
from workflows.desk import Desk
from workflows.human_tasks import HumanTasks
from workflows.mailing import Outbox, send_mail
from workflows.policies import RECORD

Owner = TypeVar("Owner")
Argument = TypeVar("Argument")
Result = TypeVar("Result")

APPLICATION = "tutor_application"
SYSTEM = "system"
_OPERATOR = "operator"


class ApplicationRun:
    """The application of one run.

    Updates change it beside the story, so whoever takes a step on its record holds `at_work`: each step finds what the
    one before has left, and local activities are never side by side (see TASK in workflows/policies.py).
    """

    def __init__(self, ref: ApplicationRef) -> None:
        self.ref = ref
        self.at_work = asyncio.Lock()
        self.outbox = Outbox()
        self.tasks = HumanTasks(self.outbox)
        self.desk = Desk(
            "Tutor application",
            "The draft is being written.",
            listed=(ApplicationStatus.DRAFT, WaitingFor.APPLICANT),
        )
        self.was_sent = False
        self.round = 0
        self.info_due_at: datetime | None = None
        self.erase_at: datetime | None = None
        self.withdrawn_by: str | None = None
        self.is_cancelled = False
        self.stands_since = workflow.now()
        self.is_too_old = False
        self.has_approval = False
        self.is_being_approved = False
        self._status: ApplicationStatus | None = None

    # ---- how it stands ----

    @property
    def status(self) -> ApplicationStatus | None:
        """Its state; none until its draft is written."""
        return self._status

    @status.setter
    def status(self, status: ApplicationStatus) -> None:
        self._status = self.desk.status = status

    @property
    def is_live(self) -> bool:
        """Whether it can still become something."""
        return self.status in LIVE

    @property
    def is_with_reviewers(self) -> bool:
        """Whether it is the reviewers' turn; not any more once it is being approved."""
        return self.status in WITH_REVIEWERS and not self.is_being_approved

    @property
    def leaver(self) -> str | None:
        """Who has withdrawn it: the applicant, or an operator by cancelling the workflow; none if nobody has."""
        return self.withdrawn_by or (_OPERATOR if self.is_cancelled else None)

    @property
    def has_expired(self) -> bool:
        """Whether it has rested for so long that it ends; who decides it nevertheless has been faster."""
        return self.is_too_old and self.status is ApplicationStatus.INACTIVE

    @property
    def is_given_up(self) -> bool:
        """Whether nobody has to decide it any more."""
        return self.leaver is not None or self.has_expired

    @property
    def answer(self) -> ApplicationAnswer:
        """What an update answers."""
        assert self.status is not None  # noqa: S101 - updates wait for the draft
        return ApplicationAnswer(application_id=self.ref.application_id, status=self.status)

    def take(self, recorded: RecordedDecision | OpenedReview) -> None:
        """Take over how it stands on record; what was decided is not too old any more."""
        self.status, self.round = recorded.status, recorded.round
        self.info_due_at, self.erase_at = recorded.info_due_at, recorded.erase_at
        self.stands_since, self.is_too_old = workflow.now(), False

    # ---- steps, for who holds `at_work` ----

    async def record(
        self, step: Callable[[Owner, Argument], Awaitable[Result]], argument: Argument, summary: str
    ) -> Result:
        """One step on the record."""
        return await workflow.execute_local_activity_method(step, argument, summary=summary, **RECORD)

    async def end(self, status: ApplicationStatus, actor: str) -> None:
        """Let it end without a decision, or rest."""
        ended = await self.record(
            ApplicationActivities.end_application,
            EndApplication(
                application_id=self.ref.application_id,
                status=status,
                actor=actor,
                workflow_id=workflow.info().workflow_id,
            ),
            f"Write down that it is {status}",
        )
        self.status, self.erase_at, self.stands_since = ended.status, ended.erase_at, workflow.now()

    def step(self, actor: str) -> ApplicationStep:
        """The argument of a step that says only who takes it."""
        return ApplicationStep(
            application_id=self.ref.application_id, actor=actor, workflow_id=workflow.info().workflow_id
        )

    # ---- mails ----

    def post(
        self, template: MailTemplate, summary: str, *, occasion: str = "", recipient_id: UUID | None = None
    ) -> None:
        """Mail about the application, to the applicant if nobody else is named, without waiting for it."""
        self.outbox.post(
            send_mail(
                recipient_id or self.ref.applicant_id,
                template,
                self.ref.application_id,
                occasion=occasion,
                summary=summary,
            )
        )


def refuse(checked: CheckedApplication | AssignedReview) -> None:
    """Raise the refusal of a step that was not taken, with what is missing one by one."""
    if checked.refusal is not None:
        missing = checked.missing if isinstance(checked, CheckedApplication) else ()
        raise refusal(checked.refusal, checked.refusal_detail or "It was refused.", *missing)


def not_in_review() -> Exception:
    """The refusal of a reviewer's step at a time that is not theirs."""
    return refusal(Reason.APPLICATION_NOT_IN_REVIEW, "It is not the reviewers' turn.")
