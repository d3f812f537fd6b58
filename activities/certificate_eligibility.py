"""Who of many learners would be certified, and what stands between: in one statement, by the rule that decides it."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, any_, exists, false, func, literal, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from activities.learning_facts import ends_by_refund
from models.errors import Reason
from models.tables import Certificate, Course, CourseCertificate, Enrollment, Person
from models.tables.columns import now
from models.vocabulary import (
    BatchOutcome,
    CertificateGround,
    CertificateOrigin,
    CertificateStatus,
    EnrollmentStatus,
)
from rules.certificates import Candidate, grounds_against, outcome_of
from rules.decision import Refused

MAX_LEARNERS = 10_000

_SUCCESSOR = aliased(Certificate)


@dataclass(frozen=True)
class BatchSelection:
    """Learners of a course: these enrollments, those of a span of time (UTC, the end not included), or all."""

    course_id: UUID
    enrollment_ids: tuple[UUID, ...] = ()
    enrolled_from: datetime | None = None
    enrolled_until: datetime | None = None

    @property
    def listed(self) -> tuple[UUID, ...]:
        """The enrollments that are named, each once."""
        return tuple(dict.fromkeys(self.enrollment_ids))

    @property
    def digest(self) -> str:
        """The same for the same wish, and for no other (SHA-256, in hexadecimal)."""
        span = (None if each is None else each.astimezone(UTC) for each in (self.enrolled_from, self.enrolled_until))
        wish = "\n".join(map(str, (self.course_id, *span, *sorted(self.listed))))
        return hashlib.sha256(wish.encode()).hexdigest()


@dataclass(frozen=True)
class Standing:
    """What a run comes to for an enrollment (`issued`: it would be), and why it is not certified."""

    outcome: BatchOutcome
    grounds: tuple[CertificateGround, ...] = ()


@dataclass(frozen=True)
class BatchPreview:
    """How many learners there are, how many would come to what, and how often each ground is in the way."""

    total: int
    outcomes: Mapping[BatchOutcome, int]
    grounds: Mapping[CertificateGround, int]


def chosen(selection: BatchSelection) -> list[ColumnElement[bool]]:
    """The enrollments that are meant. Of a whole course, or a span of time, whoever has a place or had one till its
    end; those that are listed count however they stand."""
    of_course = col(Enrollment.course_id) == selection.course_id
    if selection.enrollment_ids:
        return [of_course, col(Enrollment.id) == any_(literal(selection.enrollment_ids, ARRAY(Uuid)))]
    conditions = [
        of_course,
        col(Enrollment.enrolled_at).is_not(None),
        col(Enrollment.status) != EnrollmentStatus.CANCELED,
    ]
    if selection.enrolled_from is not None:
        conditions.append(col(Enrollment.enrolled_at) >= selection.enrolled_from)
    if selection.enrolled_until is not None:
        conditions.append(col(Enrollment.enrolled_at) < selection.enrolled_until)
    return conditions


def refused_run(selection: BatchSelection, total: int) -> Refused | None:
    """Why there is no run over so many learners: `not_found` (a listed enrollment is not of this course) and
    `invalid_request` (nobody, or more than 10,000)."""
    if selection.listed and total < len(selection.listed):
        return Refused(Reason.NOT_FOUND, f"{len(selection.listed) - total} of the enrollments are not of this course.")
    if not 0 < total <= MAX_LEARNERS:
        count = "nobody" if total == 0 else f"more than {MAX_LEARNERS} learners"
        return Refused(Reason.INVALID_REQUEST, f"This would be a run for {count}.")
    return None


async def batch_preview(session: AsyncSession, selection: BatchSelection) -> BatchPreview | Refused:
    """What a run over these learners would come to now; refused as `refused_run` says. Writes nothing."""
    counted = select(func.count()).select_from(Enrollment).where(*chosen(selection))
    if (refused := refused_run(selection, (await session.execute(counted)).scalar_one())) is not None:
        return refused
    standings = (await standings_of(session, *chosen(selection))).values()
    return BatchPreview(
        total=len(standings),
        outcomes=Counter(each.outcome for each in standings),
        grounds=Counter(ground for each in standings for ground in each.grounds),
    )


async def standing_of(session: AsyncSession, enrollment_id: UUID, origin: CertificateOrigin) -> Standing | None:
    """How one enrollment stands; none if there is none."""
    return (await standings_of(session, col(Enrollment.id) == enrollment_id, origin=origin)).get(enrollment_id)


async def standings_of_all(session: AsyncSession, enrollment_ids: Collection[UUID]) -> Mapping[UUID, Standing]:
    """How these enrollments stand."""
    return await standings_of(session, col(Enrollment.id).in_(enrollment_ids))


async def standings_of(
    session: AsyncSession, *conditions: ColumnElement[bool], origin: CertificateOrigin = CertificateOrigin.COMPLETION
) -> Mapping[UUID, Standing]:
    """How the enrollments stand that meet the conditions, in one statement."""
    is_lapsed = _is_lapsed(now())
    may_be_followed = is_lapsed & (
        true()
        if origin is CertificateOrigin.EXCEPTION
        else func.coalesce(col(Enrollment.completed_at) > col(Certificate.issued_at), false())
    )
    latest = exists().where(
        col(Certificate.enrollment_id) == col(Enrollment.id),
        col(Certificate.template_id).is_not(None),
        ~exists().where(col(_SUCCESSOR.predecessor_id) == col(Certificate.id)),
    )
    of_kind = latest.where(col(Certificate.template_id) == col(CourseCertificate.template_id))
    of_kind = of_kind.correlate(Enrollment, CourseCertificate)
    kinds = select(func.count()).where(col(CourseCertificate.course_id) == col(Course.id))
    kinds = kinds.correlate(Course, Enrollment)
    counts_or_did = col(Certificate.status).in_((CertificateStatus.ISSUED, CertificateStatus.EXPIRED))
    query = (
        select(
            col(Enrollment.id),
            col(Enrollment.status),
            col(Enrollment.completed_at).is_not(None),
            col(Person.legal_name_confirmed_at).is_not(None),
            kinds.scalar_subquery(),
            kinds.where(~of_kind.where(~may_be_followed)).scalar_subquery(),
            latest.where(counts_or_did, ~is_lapsed),
            kinds.where(of_kind.where(is_lapsed, ~may_be_followed)).scalar_subquery() > 0,
            ends_by_refund(),
        )
        .join(Person, col(Person.id) == col(Enrollment.student_id))
        .join(Course, col(Course.id) == col(Enrollment.course_id))
        .where(*conditions)
    )
    standings = {}
    for enrollment_id, status, *stands in await session.execute(query):
        candidate = Candidate(EnrollmentStatus(status), *stands)
        grounds = grounds_against(candidate, origin)
        standings[enrollment_id] = Standing(outcome_of(candidate, grounds), grounds)
    return standings


def _is_lapsed(moment: datetime) -> ColumnElement[bool]:
    """As rules.certificates.is_lapsed, also of what nobody has looked at since its time was over."""
    ends_at = func.coalesce(col(Certificate.renewable_until), col(Certificate.expires_at))
    is_over = col(Certificate.status).in_((CertificateStatus.ISSUED, CertificateStatus.EXPIRED)) & (ends_at < moment)
    return func.coalesce(is_over, false())
