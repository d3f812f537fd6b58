"""The application of a tutor: what belongs to it, when it may be sent, and when somebody may try again.

Numbers are those of the reference list 10.3, section 5; the data is TutorHub §1.1, R100 and G25.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from dateutil.relativedelta import relativedelta

from models.errors import Reason
from models.vocabulary import ApplicationDocumentKind, ApplicationStatus, DocumentVerdict, ReviewReason, TaskAction
from rules.decision import Refused

DRAFT_NUDGES = (timedelta(days=2), timedelta(days=7))
DRAFT_KEPT_FOR = timedelta(days=90)
INACTIVE_AFTER_WORKING_DAYS = 30
INFO_DUE_AFTER = timedelta(days=14)
INFO_CHASERS = (timedelta(days=3), timedelta(days=7), timedelta(days=12))
MAX_INFO_ROUNDS = 3
AWAY_AFTER_WORKING_DAYS = 2
REAPPLY_AFTER_HARD = timedelta(days=90)
MAX_APPLICATIONS = 3
APPLICATIONS_COUNTED_FOR = relativedelta(months=12)
DOCUMENTS_KEPT_FOR = relativedelta(months=12)
INACTIVE_KEPT_FOR = relativedelta(months=12)
MAX_SUBJECTS = 10
MAX_DOCUMENTS = 40
# Of all documents together, with those that were exchanged or taken away: each is a row for good.
MAX_VERSIONS = 200

LIVE = frozenset(
    {
        ApplicationStatus.DRAFT,
        ApplicationStatus.SUBMITTED,
        ApplicationStatus.IN_REVIEW,
        ApplicationStatus.INFO_REQUESTED,
        ApplicationStatus.INACTIVE,
    }
)
EDITABLE = frozenset({ApplicationStatus.DRAFT, ApplicationStatus.INFO_REQUESTED})
WITH_REVIEWERS = frozenset({ApplicationStatus.SUBMITTED, ApplicationStatus.IN_REVIEW, ApplicationStatus.INACTIVE})
REJECTED = frozenset({ApplicationStatus.REJECTED_SOFT, ApplicationStatus.REJECTED_HARD})
ERASED = REJECTED | {ApplicationStatus.WITHDRAWN, ApplicationStatus.EXPIRED}
NEEDS_REASONS = frozenset({TaskAction.REQUEST_INFO, TaskAction.REJECT_SOFT, TaskAction.REJECT_HARD})


@dataclass(frozen=True)
class Required:
    """What one subject asks for."""

    code: str
    requires_certification: bool
    requires_video: bool
    is_open: bool


@dataclass(frozen=True)
class Shown:
    """The current version of a document."""

    kind: ApplicationDocumentKind
    subject: str | None
    expires_on: date | None = None
    verdict: DocumentVerdict | None = None
    reason: ReviewReason | None = None


@dataclass(frozen=True)
class Said:
    """What the applicant says about themselves."""

    certifications: str | None
    qualifications: str | None
    bio: str | None
    subjects: tuple[str, ...]


@dataclass(frozen=True)
class Earlier:
    """An earlier application of the same person."""

    status: ApplicationStatus
    submitted_at: datetime | None
    reapply_at: datetime | None


def missing(said: Said, required: Sequence[Required], shown: Sequence[Shown], today: date) -> tuple[str, ...]:
    """What an application lacks, one word each; none if it may be sent.

    The words: `bio`, `qualifications`, `certifications`, `subjects`; `subject_closed:<subject>` where no tutors are
    looked for; `identity`, `video` and `certification:<subject>` of documents that are not there, have expired, or were
    rejected and not replaced. Certifications need words only where a certification is shown or asked for.
    """
    found = [word for word, text in (("bio", said.bio), ("qualifications", said.qualifications)) if _is_blank(text)]
    asked = {subject.code: subject for subject in required}
    if not said.subjects:
        found.append("subjects")
    found += [f"subject_closed:{code}" for code in said.subjects if code not in asked or not asked[code].is_open]
    wanted = [asked[code] for code in said.subjects if code in asked]
    usable = {(each.kind, each.subject) for each in shown if _is_usable(each, today)}
    has_certification = any(each.kind is ApplicationDocumentKind.CERTIFICATION for each in shown)
    if _is_blank(said.certifications) and (has_certification or any(each.requires_certification for each in wanted)):
        found.append("certifications")
    if (ApplicationDocumentKind.IDENTITY, None) not in usable:
        found.append("identity")
    if any(each.requires_video for each in wanted) and (ApplicationDocumentKind.VIDEO, None) not in usable:
        found.append("video")
    found += [
        f"certification:{each.code}"
        for each in wanted
        if each.requires_certification and (ApplicationDocumentKind.CERTIFICATION, each.code) not in usable
    ]
    return tuple(dict.fromkeys(found))


def may_apply(earlier: Sequence[Earlier], moment: datetime, *, is_tutor: bool) -> Refused | None:
    """Why a person may not begin another application now; none if they may (G25).

    At once after a soft rejection, after 90 days after a hard one, and at most three that were sent in twelve months.
    """
    if is_tutor:
        return Refused(Reason.ALREADY_TUTOR, "Who is a tutor already needs no application.")
    if any(each.status in LIVE for each in earlier):
        return Refused(Reason.APPLICATION_EXISTS, "Another application is under way; go on with that one.")
    waits = [each.reapply_at for each in earlier if each.reapply_at is not None and each.reapply_at > moment]
    if waits:
        return Refused(Reason.REAPPLY_TOO_SOON, f"Another application is welcome from {max(waits):%Y-%m-%d} on.")
    return may_send(earlier, moment)


def may_send(earlier: Sequence[Earlier], moment: datetime) -> Refused | None:
    """Why another application may not be sent now, after so many others; none if it may."""
    free_at = free_to_send_at(earlier, moment)
    if free_at is None:
        return None
    return Refused(
        Reason.TOO_MANY_APPLICATIONS,
        f"{MAX_APPLICATIONS} applications in twelve months are enough; the next is welcome from {free_at:%Y-%m-%d} on.",
    )


def welcome_from(earlier: Sequence[Earlier], moment: datetime) -> datetime | None:
    """From when a person may apply again, after all of these; none if they may at once."""
    waits = [each.reapply_at for each in earlier if each.reapply_at is not None]
    waits += [free_at for free_at in (free_to_send_at(earlier, moment),) if free_at is not None]
    return max((wait for wait in waits if wait > moment), default=None)


def free_to_send_at(earlier: Sequence[Earlier], moment: datetime) -> datetime | None:
    """From when another application may be sent, after so many within twelve months; none if it may at once."""
    sent = sorted(
        each.submitted_at
        for each in earlier
        if each.submitted_at is not None and each.submitted_at + APPLICATIONS_COUNTED_FOR > moment
    )
    if len(sent) < MAX_APPLICATIONS:
        return None
    return sent[-MAX_APPLICATIONS] + APPLICATIONS_COUNTED_FOR


def reapply_at(status: ApplicationStatus, decided_at: datetime) -> datetime | None:
    """From when a rejected applicant may try again; none where nothing was rejected."""
    if status not in REJECTED:
        return None
    return decided_at + REAPPLY_AFTER_HARD if status is ApplicationStatus.REJECTED_HARD else decided_at


def erase_at(status: ApplicationStatus, ended_at: datetime, *, was_sent: bool) -> datetime | None:
    """When what was said and shown is erased; none where it is kept. What nobody has seen goes at once."""
    if status not in ERASED:
        return None
    return ended_at + DOCUMENTS_KEPT_FOR if was_sent else ended_at


def is_override(action: TaskAction, shown: Sequence[Shown]) -> bool:
    """Whether it is approved although a document was rejected: that needs a second pair of eyes, as does a hard
    rejection (reference list 10.3).
    """
    return action is TaskAction.APPROVE and any(each.verdict is DocumentVerdict.REJECTED for each in shown)


def may_decide(
    action: TaskAction,
    reasons: Collection[ReviewReason],
    shown: Sequence[Shown],
    *,
    status: ApplicationStatus,
    rounds: int,
) -> Refused | None:
    """Why this may not be decided of an application as it stands; none if it may."""
    if status not in WITH_REVIEWERS:
        return Refused(Reason.APPLICATION_NOT_IN_REVIEW, f"The application is {status}.")
    if action in NEEDS_REASONS and not reasons:
        return Refused(Reason.REASONS_REQUIRED, f"`{action}` needs at least one reason.")
    if action is TaskAction.REQUEST_INFO and rounds >= MAX_INFO_ROUNDS:
        return Refused(
            Reason.TOO_MANY_INFO_ROUNDS, f"Information was asked for {MAX_INFO_ROUNDS} times; decide without more."
        )
    if action is TaskAction.APPROVE and any(each.verdict is None for each in shown):
        return Refused(Reason.VERDICTS_MISSING, "Every document needs a verdict first.")
    return None


def _is_blank(text: str | None) -> bool:
    return text is None or not text.strip()


def _is_usable(document: Shown, today: date) -> bool:
    is_valid = document.expires_on is None or document.expires_on >= today
    return is_valid and document.verdict is not DocumentVerdict.REJECTED
