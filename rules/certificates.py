"""Certificates: who is due one, for how long it is valid, who hears of its end, and when it can be renewed
(Academy of Mine 3.7, reference list 10.6)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from models.vocabulary import (
    BatchOutcome,
    CertificateGround,
    CertificateOrigin,
    CertificateStatus,
    EnrollmentStatus,
    MailTemplate,
)
from rules.local_time import at_local

RENEWABLE_BEFORE = timedelta(days=60)
NOTICE_DAYS = (60, 30, 7)

_FIRST_DAY = timedelta(days=1)
_LAST_SECOND = time(23, 59, 59)
_CODE_BITS = 128
_CODE_LENGTH = 26
# Douglas Crockford's base 32: no I, L, O or U, so that nobody misreads a code.
_CODE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NEVER_ENROLLED = (
    EnrollmentStatus.PENDING_APPROVAL,
    EnrollmentStatus.WAITLISTED,
    EnrollmentStatus.PENDING_PAYMENT,
)


@dataclass(frozen=True)
class Candidate:
    """What decides whether an enrollment is certified.

    `templates` is how many its course has, `due` how many of them it has no certificate by, or one that may be followed
    anew (`may_be_followed`). `has_certificate` is whether it has one that counts, or can be renewed still,
    `has_lapsed` whether it has one that nothing can follow on now, and `is_ending` whether a refund was granted that
    takes the place away.
    """

    status: EnrollmentStatus
    is_completed: bool
    is_name_confirmed: bool
    templates: int
    due: int
    has_certificate: bool
    has_lapsed: bool = False
    is_ending: bool = False


def grounds_against(candidate: Candidate, origin: CertificateOrigin) -> tuple[CertificateGround, ...]:
    """All that stands between the enrollment and what it is due; nothing if it has everything already.

    Staff's exception outranks that the course is not completed, but nothing else; nobody who has no place yet is
    certified. What was revoked is reinstated, never issued anew; what has expired for good needs an exception, or that
    the course is completed anew.
    """
    if not candidate.due and candidate.has_certificate:
        return ()
    if not candidate.templates:
        return (CertificateGround.NO_TEMPLATE,)
    if not candidate.due:
        return (CertificateGround.EXPIRED_BEFORE if candidate.has_lapsed else CertificateGround.REVOKED_BEFORE,)
    against = []
    if candidate.is_ending or candidate.status is EnrollmentStatus.CANCELED:
        against.append(CertificateGround.ENROLLMENT_CANCELED)
    excused = origin is CertificateOrigin.EXCEPTION and candidate.status not in _NEVER_ENROLLED
    if not candidate.is_completed and not excused:
        against.append(CertificateGround.NOT_COMPLETED)
    if not candidate.is_name_confirmed:
        against.append(CertificateGround.NAME_UNCONFIRMED)
    return tuple(against)


def outcome_of(candidate: Candidate, grounds: Collection[CertificateGround]) -> BatchOutcome:
    """What a run over many learners comes to for this one, if nothing else happens: `issued` is that it would be."""
    if not grounds:
        return BatchOutcome.ISSUED if candidate.due else BatchOutcome.EXISTING
    if candidate.has_certificate:
        return BatchOutcome.EXISTING
    if set(grounds) == {CertificateGround.NAME_UNCONFIRMED}:
        return BatchOutcome.WAITING
    return BatchOutcome.NOT_ELIGIBLE


@dataclass(frozen=True)
class Validity:
    """Until when (UTC) a certificate is valid, and until when it can be renewed; none: for good, and never."""

    expires_at: datetime | None = None
    renewable_until: datetime | None = None


def validity(begins_at: datetime, valid_days: int | None, grace_days: int, zone: ZoneInfo) -> Validity:
    """A certificate is valid through the whole of its last day, and can be renewed through the whole of its last day of
    grace, each of the academy's calendar."""
    if valid_days is None:
        return Validity()
    last_day = begins_at.astimezone(zone).date() + timedelta(days=valid_days)
    return Validity(
        expires_at=at_local(last_day, _LAST_SECOND, zone),
        renewable_until=at_local(last_day + timedelta(days=grace_days), _LAST_SECOND, zone),
    )


def renewed_from(moment: datetime, expires_at: datetime) -> datetime:
    """From when the time of a renewed certificate counts: nobody loses days by renewing early."""
    return max(moment, expires_at)


def is_over(expires_at: datetime | None, moment: datetime) -> bool:
    """Whether its time is over."""
    return expires_at is not None and expires_at <= moment


@dataclass(frozen=True)
class Term:
    """The time of a certificate (UTC): when it was issued, from when its days count, and its end; none: there is none.

    The days of one that was renewed early count from the end of the one before it.
    """

    issued_at: datetime
    begins_at: datetime
    expires_at: datetime | None


def is_renewable(status: CertificateStatus, term: Term, renewable_until: datetime | None, moment: datetime) -> bool:
    """Whether it can be renewed: from 60 days before its end, though not in the first half of its time, until its
    grace is over."""
    if term.expires_at is None or status not in (CertificateStatus.ISSUED, CertificateStatus.EXPIRED):
        return False
    opens_at = max(term.expires_at - RENEWABLE_BEFORE, _middle(term.begins_at, term.expires_at))
    return opens_at <= moment <= (renewable_until or term.expires_at)


def is_lapsed(
    status: CertificateStatus, expires_at: datetime | None, renewable_until: datetime | None, moment: datetime
) -> bool:
    """Whether it has expired for good: it cannot be renewed any more."""
    ends_at = renewable_until or expires_at
    return status is CertificateStatus.EXPIRED and ends_at is not None and ends_at < moment


def may_be_followed(issued_at: datetime, completed_at: datetime | None, origin: CertificateOrigin) -> bool:
    """Whether a new certificate may follow on one that has expired for good: as an exception of staff, or since the
    course was completed anew."""
    return origin is CertificateOrigin.EXCEPTION or (completed_at is not None and completed_at > issued_at)


@dataclass(frozen=True)
class Notice:
    """A mail about the end of a certificate."""

    template: MailTemplate
    occasion: str
    due_at: datetime


def notices(term: Term) -> tuple[Notice, ...]:
    """Every mail about its end, the earliest first: so many days before, and when it is over.

    None comes within a day of its issue, or in the first half of its time, but for the last.
    """
    expires_at = term.expires_at
    if expires_at is None:
        return ()
    earliest = max(term.issued_at + _FIRST_DAY, _middle(term.begins_at, expires_at))
    before = (
        Notice(MailTemplate.CERTIFICATE_EXPIRING, f"{days}d", expires_at - timedelta(days=days)) for days in NOTICE_DAYS
    )
    told = (notice for notice in before if notice.due_at >= earliest)
    return (*told, Notice(MailTemplate.CERTIFICATE_EXPIRED, "", expires_at))


def due_notice(term: Term, moment: datetime) -> Notice | None:
    """The mail that is due at `moment`. Earlier ones that nobody got are passed over: only the latest is still true."""
    past = (each for each in notices(term) if each.due_at <= moment)
    return max(past, key=lambda each: each.due_at, default=None)


def next_notice(term: Term, moment: datetime) -> datetime | None:
    """When something is due next, after `moment`; the last is the end itself."""
    return min((each.due_at for each in notices(term) if each.due_at > moment), default=None)


def _middle(begins_at: datetime, expires_at: datetime) -> datetime:
    return begins_at + (expires_at - begins_at) / 2


def code_of(bits: int) -> str:
    """The code of a verification page: 128 bits as 26 letters and digits. Raises `ValueError` for more or fewer."""
    if not 0 <= bits < 1 << _CODE_BITS:
        raise ValueError("a code is made of 128 bits")
    return "".join(_CODE_LETTERS[bits >> 5 * place & 31] for place in reversed(range(_CODE_LENGTH)))


def stamp(moment: datetime) -> str:
    """A moment as part of an occasion."""
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%S}"
