"""Mails about made-up applications of tutors."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from activities.application_letters import ApplicationErrand, ToldApplication
from activities.errand import Pages
from activities.letters import (
    APPLICATION_LETTERS,
    set_letter,
)
from activities.mail_rendering import RenderedMail
from models.tables import (
    ApplicationDecision,
    ApplicationDocument,
    HumanTask,
    TutorApplication,
)
from models.vocabulary import (
    ApplicationDocumentKind,
    ApplicationStatus,
    DocumentVerdict,
    MailTemplate,
    ReviewReason,
    TaskAction,
    TaskKind,
    TaskQueue,
)
from rules.tutor_application import Earlier
from sandbox.mail_samples import (
    APPLICATION_PAGE,
    JOB,
    NOW,
    ORDER,
    a_person,
    an_academy,
    an_id,
    drafted,
)

_APPLICATIONS: dict[MailTemplate, ApplicationStatus] = {
    MailTemplate.APPLICATION_DRAFT_REMINDER: ApplicationStatus.DRAFT,
    MailTemplate.APPLICATION_RECEIVED: ApplicationStatus.SUBMITTED,
    MailTemplate.APPLICATION_INFO_REQUESTED: ApplicationStatus.INFO_REQUESTED,
    MailTemplate.APPLICATION_INFO_REMINDER: ApplicationStatus.INFO_REQUESTED,
    MailTemplate.APPLICATION_LATE: ApplicationStatus.INACTIVE,
    MailTemplate.APPLICATION_APPROVED: ApplicationStatus.APPROVED,
    MailTemplate.APPLICATION_REJECTED: ApplicationStatus.REJECTED_SOFT,
    MailTemplate.APPLICATION_CLOSED: ApplicationStatus.WITHDRAWN,
    MailTemplate.APPLICATION_ASSIGNED: ApplicationStatus.IN_REVIEW,
}


def a_rejected_document(
    kind: ApplicationDocumentKind, reason: ReviewReason, subject: str | None = None
) -> ApplicationDocument:
    """A current document that is not good enough."""
    return ApplicationDocument(
        id=an_id(f"{kind} {reason}"), application_id=ORDER, kind=kind, subject=subject, first_version_id=an_id(kind),
        sha256="a" * 64, verdict=DocumentVerdict.REJECTED, verdict_reason=reason, judged_by="staff:7", judged_at=NOW,
    )  # fmt: skip


def application_errand(
    template: MailTemplate, *, locale: str = "en", zone: str = "Europe/Dublin", name: str = "Grace Hopper",
    occasion: str = "", page: str | None = APPLICATION_PAGE, job_page: str | None = JOB, moment: datetime = NOW,
    status: ApplicationStatus | None = None, title: str = "Spanish for beginners", rounds: int = 1,
    reasons: tuple[ReviewReason, ...] = (ReviewReason.PROFILE_TOO_THIN,), message: str | None = "Say more.\nThanks.",
    rejected: tuple[ApplicationDocument, ...] | None = None, reapply_at: datetime | None = NOW,
    erase_at: datetime | None = NOW + timedelta(days=365), erased_at: datetime | None = None,
    applications: Sequence[Earlier] | None = None,
) -> ApplicationErrand:  # fmt: skip
    """A mail about an application, of which the letter has something to say."""
    reader = a_person(name, locale=locale, zone=zone)
    status = status or _APPLICATIONS[template]
    is_asked = status is ApplicationStatus.INFO_REQUESTED
    application = TutorApplication(
        id=ORDER, applicant_id=reader.id, status=status, subjects=["spanish"], reviewer_id=reader.id, rounds=rounds,
        submitted_at=None if status is ApplicationStatus.DRAFT else NOW - timedelta(days=2),
        info_due_at=NOW + timedelta(days=14) if is_asked else None, reapply_at=reapply_at, erase_at=erase_at,
        erased_at=erased_at, workflow_id=f"tutor-application-{ORDER}", created_at=NOW - timedelta(days=7),
    )  # fmt: skip
    task = HumanTask(
        id=an_id("review"), kind=TaskKind.TUTOR_REVIEW, subject_kind="tutor_application", subject_id=ORDER,
        workflow_id=application.workflow_id, reason="", queue=TaskQueue.REVIEW, due_at=NOW + timedelta(days=3),
        allowed_actions=["approve", "request_info", "reject_soft", "reject_hard"],
    )  # fmt: skip
    decision = ApplicationDecision(
        id=an_id("decided"), application_id=ORDER, action=TaskAction.REQUEST_INFO, reasons=list(reasons),
        decided_by="staff:7", documents=[],
    )  # fmt: skip
    if rejected is None:
        kind, reason = ApplicationDocumentKind.CERTIFICATION, ReviewReason.DOCUMENT_EXPIRED
        rejected = (a_rejected_document(kind, reason, "spanish"),)
    facts = ToldApplication(
        reader, application, an_academy(), task, decision, message, rejected, {"spanish": title},
        [Earlier(status, application.submitted_at, reapply_at)] if applications is None else applications,
    )  # fmt: skip
    return ApplicationErrand(facts, application.id, occasion, moment, Pages(job=job_page, application=page))


def write_about_application(template: MailTemplate, **told: object) -> RenderedMail:
    """The mail that a letter about an application makes."""
    errand = application_errand(template, **told)  # type: ignore[arg-type]
    draft = drafted(APPLICATION_LETTERS[template].write(errand))
    return set_letter(template, errand, draft)
