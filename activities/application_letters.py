"""The letters about the application of a tutor, and what they tell, read from the record in few statements."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import and_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.application_drafts import applications_of
from activities.application_record import APPLICANT_MESSAGE, APPLICATION
from activities.errand import Addressed, Draft, MailWithoutSubjectError, Skipped, page_of
from activities.one_line import one_line
from models.tables import (
    Academy,
    ApplicationDecision,
    ApplicationDocument,
    HumanTask,
    Note,
    Person,
    Subject,
    TutorApplication,
)
from models.vocabulary import ApplicationStatus, DocumentVerdict, TaskKind, TaskStatus
from rules.tasks import pace_of
from rules.tutor_application import (
    APPLICATIONS_COUNTED_FOR,
    DRAFT_KEPT_FOR,
    INACTIVE_AFTER_WORKING_DAYS,
    LIVE,
    MAX_APPLICATIONS,
    REJECTED,
    Earlier,
    welcome_from,
)

_ENDED = frozenset({ApplicationStatus.WITHDRAWN, ApplicationStatus.EXPIRED})
_ENDINGS = frozenset({"draft_expired", "info_expired", "withdrawn"})


@dataclass(frozen=True)
class ToldApplication:
    """An application, the person to be written to, and what its reviewers last said of it.

    `decision` is the newest that is no second opinion, `message` what the reviewer wrote to the applicant with it.
    `rejected` are current documents with that verdict, `titles` the subjects' by code, `task` the open review.
    `applications` are all of the applicant, this one included.
    """

    recipient: Person
    application: TutorApplication
    academy: Academy
    task: HumanTask | None = None
    decision: ApplicationDecision | None = None
    message: str | None = None
    rejected: Sequence[ApplicationDocument] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
    applications: Sequence[Earlier] = ()


@dataclass(frozen=True)
class ApplicationErrand(Addressed[ToldApplication]):
    """One mail about an application."""

    @property
    def application_url(self) -> str | None:
        """The platform's page of the application."""
        return page_of(self.pages.application, "application_id", self.facts.application.id)

    @property
    def job_url(self) -> str | None:
        """Where a reviewer sees the job, and can tell it what is decided."""
        return page_of(self.pages.job, "workflow_id", self.facts.application.workflow_id)

    @property
    def common(self) -> Mapping[str, object]:
        """What every letter about an application says."""
        return {**super().common, "application_url": self.application_url}

    @property
    def reasons(self) -> list[str]:
        """Why it was decided so, in the reader's words."""
        decision = self.facts.decision
        return [] if decision is None else [self.words.texts[f"review_reason.{word}"] for word in decision.reasons]

    @property
    def rejected(self) -> list[dict[str, str]]:
        """The documents that were not good enough, and why."""
        texts = self.words.texts
        return [
            {
                "document": self._named(document),
                "reason": texts[f"review_reason.{document.verdict_reason or 'other'}"],
            }
            for document in self.facts.rejected
        ]

    @property
    def message(self) -> list[str]:
        """The lines that the reviewer has written to the applicant."""
        lines = (one_line(line) for line in (self.facts.message or "").splitlines())
        return [line for line in lines if line]

    def _named(self, document: ApplicationDocument) -> str:
        texts = self.words.texts
        kind = texts[f"application_document.{document.kind}"]
        if document.subject is None:
            return kind
        subject = one_line(self.facts.titles.get(document.subject, document.subject))
        return texts.say("application_document.of_subject", document=kind, subject=subject)

    @property
    def again_on(self) -> str | None:
        """The day from which the applicant may apply again; none if they may at once."""
        again = welcome_from(self.facts.applications, self.moment)
        return None if again is None else self.words.day_of(again)

    @property
    def subjects(self) -> str:
        """What the applicant wants to teach."""
        titles = self.facts.titles
        return " · ".join(one_line(titles.get(code, code)) for code in self.facts.application.subjects)


async def facts_of_application(
    session: AsyncSession, application_id: UUID, recipient_id: UUID
) -> ToldApplication | None:
    """The application for a mail to this person; none if one of the two does not exist."""
    is_review = and_(
        col(HumanTask.subject_kind) == APPLICATION,
        col(HumanTask.subject_id) == col(TutorApplication.id),
        col(HumanTask.kind) == TaskKind.TUTOR_REVIEW,
        col(HumanTask.status) == TaskStatus.OPEN,
    )
    query = (
        select(Person, TutorApplication, Academy, HumanTask)
        .select_from(TutorApplication)
        .join(Person, col(Person.id) == recipient_id)
        .join(Academy, true())
        .join(HumanTask, is_review, isouter=True)
        .where(col(TutorApplication.id) == application_id)
        .order_by(col(HumanTask.created_at).desc())
        .limit(1)
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    recipient, application, academy, task = found
    decision, message = await _last_said(session, application_id)
    rejected = await session.execute(
        select(ApplicationDocument)
        .where(
            col(ApplicationDocument.application_id) == application_id,
            col(ApplicationDocument.replaced_at).is_(None),
            col(ApplicationDocument.verdict) == DocumentVerdict.REJECTED,
        )
        .order_by(col(ApplicationDocument.created_at), col(ApplicationDocument.id))
    )
    documents = rejected.scalars().all()
    codes = {*application.subjects, *(each.subject for each in documents if each.subject is not None)}
    titles = await session.execute(select(col(Subject.code), col(Subject.title)).where(col(Subject.code).in_(codes)))
    applications = await applications_of(session, application.applicant_id)
    return ToldApplication(
        recipient, application, academy, task, decision, message, documents, dict(titles.all()), applications
    )


async def _last_said(session: AsyncSession, application_id: UUID) -> tuple[ApplicationDecision | None, str | None]:
    """The newest decision that is no second opinion on another, and what was written to the applicant with it."""
    is_theirs = and_(
        col(Note.subject_kind) == APPLICANT_MESSAGE,
        col(Note.subject_id) == col(ApplicationDecision.id),
        col(Note.author) == col(ApplicationDecision.decided_by),
    )
    query = (
        select(ApplicationDecision, col(Note.text))
        .join(Note, is_theirs, isouter=True)
        .where(col(ApplicationDecision.application_id) == application_id, col(ApplicationDecision.seconds).is_(None))
        .order_by(col(ApplicationDecision.created_at).desc(), col(Note.created_at).desc())
        .limit(1)
    )
    found = (await session.execute(query)).one_or_none()
    return (None, None) if found is None else (found[0], found[1])


def applicant_of(facts: ToldApplication) -> Collection[UUID]:
    """Whose application it is."""
    return (facts.application.applicant_id,)


def reviewer_of(facts: ToldApplication) -> Collection[UUID]:
    """Who looks after it, if anybody does."""
    reviewer_id = facts.application.reviewer_id
    return () if reviewer_id is None else (reviewer_id,)


def application_draft_reminder(errand: ApplicationErrand) -> Draft | Skipped:
    """What was begun is kept, and until when. The occasion is `nudge-1` or `nudge-2`."""
    application = errand.facts.application
    if application.status != ApplicationStatus.DRAFT:
        return _moved_on(application)
    return Draft({"kept_until": errand.words.day_of(application.created_at + DRAFT_KEPT_FOR)})


def application_received(errand: ApplicationErrand) -> Draft | Skipped:
    """It has arrived, and what happens next."""
    application = errand.facts.application
    if application.status not in LIVE or application.submitted_at is None:
        return _moved_on(application)
    return Draft(
        {
            "received": errand.words.moment(application.submitted_at),
            "working_days": str(pace_of(TaskKind.TUTOR_REVIEW).decide_within),
            "subjects": errand.subjects,
        }
    )


def application_info_requested(errand: ApplicationErrand) -> Draft | Skipped:
    """What the reviewers need to know, why, and until when. The occasion is `round-N`."""
    return _still_asked(errand)


def application_info_reminder(errand: ApplicationErrand) -> Draft | Skipped:
    """The answer is still missing. The occasion is `round-N-M`, the M-th reminder of the round."""
    return _still_asked(errand)


def application_late(errand: ApplicationErrand) -> Draft | Skipped:
    """Nobody has decided in time, and that is not the applicant's loss."""
    application = errand.facts.application
    if application.status != ApplicationStatus.INACTIVE:
        return _moved_on(application)
    return Draft({"working_days": str(INACTIVE_AFTER_WORKING_DAYS)})


def application_approved(errand: ApplicationErrand) -> Draft | Skipped:
    """The applicant is a tutor."""
    application = errand.facts.application
    if application.status != ApplicationStatus.APPROVED:
        return _moved_on(application)
    return Draft({"subjects": errand.subjects})


def application_rejected(errand: ApplicationErrand) -> Draft | Skipped:
    """It was rejected, why, and when and how to try again."""
    application = errand.facts.application
    if application.status not in REJECTED:
        return _moved_on(application)
    return Draft(
        {
            **_said(errand),
            "again_on": errand.again_on,
            "limit": str(MAX_APPLICATIONS),
            "months": str(APPLICATIONS_COUNTED_FOR.years * 12 + APPLICATIONS_COUNTED_FOR.months),
            **_erasure(errand),
        }
    )


def application_closed(errand: ApplicationErrand) -> Draft | Skipped:
    """It has ended without a decision.

    The occasion says how: `draft_expired`, `info_expired` or `withdrawn`; any other, that it was inactive for too long.
    """
    application = errand.facts.application
    if application.status not in _ENDED:
        return _moved_on(application)
    how = errand.occasion if errand.occasion in _ENDINGS else application.status.value
    return Draft({**_erasure(errand), "again_on": errand.again_on}, key=f"application_closed.{how}")


def application_assigned(errand: ApplicationErrand) -> Draft | Skipped:
    """Which application waits for the reviewer, and until when. The occasion begins with the id of the task."""
    task = errand.facts.task
    if task is None or not _is_of(errand.occasion, task.id):
        return Skipped("task_done")
    submitted_at = errand.facts.application.submitted_at
    if submitted_at is None:
        raise MailWithoutSubjectError
    return Draft(
        {
            "subjects": errand.subjects,
            "since": errand.words.moment(submitted_at),
            "due": errand.words.moment(task.due_at),
            "is_late": task.due_at < errand.moment,
            "rounds": str(errand.facts.application.rounds) if errand.facts.application.rounds else None,
            "actions": " · ".join(task.allowed_actions),
            "task_id": str(task.id),
            "job_url": errand.job_url,
        }
    )


def _moved_on(application: TutorApplication) -> Skipped:
    return Skipped(f"application_{ApplicationStatus(application.status)}")


def _still_asked(errand: ApplicationErrand) -> Draft | Skipped:
    application = errand.facts.application
    due_at = application.info_due_at
    if application.status != ApplicationStatus.INFO_REQUESTED or due_at is None:
        return _moved_on(application)
    round_ = errand.occasion.removeprefix("round-").partition("-")[0]
    if round_.isdecimal() and int(round_) != application.rounds:
        return Skipped("round_over")
    return Draft({**_said(errand), "due": errand.words.moment(due_at)})


def _said(errand: ApplicationErrand) -> dict[str, object]:
    return {"reasons": errand.reasons, "rejected": errand.rejected, "message": errand.message}


def _erasure(errand: ApplicationErrand) -> dict[str, object]:
    """When what was sent is erased: a day to come, none if it is gone already."""
    application = errand.facts.application
    is_gone = application.erased_at is not None or (
        application.erase_at is not None and application.erase_at <= errand.moment
    )
    erase_on = None if is_gone or application.erase_at is None else errand.words.day_of(application.erase_at)
    return {"is_erased": is_gone, "erase_on": erase_on}


def _is_of(occasion: str, task_id: UUID) -> bool:
    return occasion.startswith(f"{task_id}-")
