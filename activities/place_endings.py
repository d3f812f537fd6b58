"""What follows from a place that ends, or whose money goes back, within the transaction that writes it.

Each is done once, however often the step is repeated: only what is still there ends.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, exists, func, insert, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from activities.access import access_days_from_start, access_end
from activities.audit import StateChange
from activities.coupon_uses import release_coupon
from activities.holds import SEATED, end_places, seat_again
from models.identifiers import new_id
from models.tables import (
    Academy,
    BundleCourse,
    Certificate,
    Course,
    Enrollment,
    EnrollmentPause,
    LessonAttempt,
    LessonProgress,
    LessonRecord,
    LessonRelease,
    Order,
    OrderLine,
    Person,
    RefundRequest,
)
from models.tables.columns import now
from models.vocabulary import (
    AccessRule,
    CertificateStatus,
    EnrollmentStatus,
    OrderStatus,
    RefundAccess,
    RefundCause,
    RefundPolicy,
    RefundRequestStatus,
    RevocationReason,
)
from rules.refund import STAFFS_CAUSES

CARTS_QUIET = timedelta(days=30)
GIVES_ACCESS = (EnrollmentStatus.ACTIVE, EnrollmentStatus.SUSPENDED, EnrollmentStatus.COMPLETED)
_WAS_HAD = (*GIVES_ACCESS, EnrollmentStatus.EXPIRED)
_PAID = (OrderStatus.COMPLETED, OrderStatus.PARTIALLY_REFUNDED)
_STUDENTS_CAUSES = tuple(cause for cause in RefundCause if cause not in STAFFS_CAUSES)
_OWN, _SIBLING = aliased(Enrollment), aliased(Enrollment)


@dataclass(frozen=True)
class _Entitlement:
    """A line of another order that brings the course of a place too, and has brought no place of its own for it."""

    place_id: UUID
    line_id: UUID
    course_id: UUID
    student_id: UUID
    refund_policy: RefundPolicy
    enrolled_at: datetime | None
    access_ends_at: datetime | None
    provisioned_at: datetime | None
    access_days_from_start: int | None
    counts_days: bool
    place: Enrollment

    @property
    def goes_on(self) -> bool:
        """Whether the days of access count from the first start, and count already."""
        return self.access_days_from_start is not None and self.place.started_at is not None


async def end_with_all(
    session: AsyncSession, order: Order, places: Sequence[Enrollment], *, is_course_gone: bool = False
) -> list[StateChange]:
    """End the places of a locked order: their seats, and the lessons to come, are free; certificates fall where the
    academy wants it. A place that the student has bought a second time lives on as that of the other order.

    Nothing was charged for the other line, as there was access already; what is paid back here was not for it.
    """
    if not is_course_gone:
        await _lock_orders(session, await _entitlements(session, order.id, [place.id for place in places]))
    if any(place.status in _WAS_HAD for place in places):
        await keep_cart_mails_quiet(session, order.payer_id)
    changes = await end_places(session, [place.id for place in places])
    ended = {
        change.subject_id: EnrollmentStatus(change.from_state)
        for change in changes
        if change.subject_kind == "enrollment" and change.from_state in _WAS_HAD
    }
    # A course or a tutor that is gone is gone for the buyers of bundles, too; and nobody goes on where access is over.
    lives_on = [] if is_course_gone else [place_id for place_id, was in ended.items() if was in GIVES_ACCESS]
    entitled = await _entitlements(session, order.id, lives_on)
    changes += await _hand_over(session, entitled, ended)
    return changes + await _revoke_certificates(session, ended.keys() - {other.place_id for other in entitled})


async def keep_cart_mails_quiet(session: AsyncSession, payer_id: UUID) -> None:
    """Who has just got money back is not asked to buy for a while. Locks the person, so it comes before courses."""
    until = now() + CARTS_QUIET
    await session.execute(
        update(Person)
        .where(col(Person.id) == payer_id)
        .values(cart_mails_quiet_until=func.greatest(col(Person.cart_mails_quiet_until), until))
        .execution_options(synchronize_session=False)
    )


async def release_coupon_by_policy(session: AsyncSession, order: Order) -> None:
    """The order is refunded in full: its use of a coupon is free again, unless all of its places ended because students
    asked for it and the academy lets such uses count.
    """
    if order.coupon_id is None:
        return
    asked_for = exists().where(
        col(RefundRequest.enrollment_id) == col(Enrollment.id),
        col(RefundRequest.status) == RefundRequestStatus.APPROVED,
        col(RefundRequest.access) == RefundAccess.REVOKED,
        col(RefundRequest.cause).in_(_STUDENTS_CAUSES),
    )
    query = select(
        select(col(Academy.refund_releases_coupon)).scalar_subquery()
        | exists().where(
            col(OrderLine.order_id) == order.id, col(Enrollment.order_line_id) == col(OrderLine.id), ~asked_for
        )
    )
    if (await session.execute(query)).scalar_one():
        await release_coupon(session, order.id)


async def _entitlements(session: AsyncSession, order_id: UUID, place_ids: Collection[UUID]) -> list[_Entitlement]:
    """For each place at most one line of another paid order that brings its course: a bundle that still stands. The
    one that was bought first counts. Access by it must not be over already.

    A line that cost nothing since the student held this very place is no entitlement: nobody has paid for it, and the
    money of the place goes back.
    """
    if not place_ids:
        return []
    in_bundle = exists().where(
        col(BundleCourse.bundle_id) == col(OrderLine.course_id),
        col(BundleCourse.course_id) == col(Enrollment.course_id),
    )
    has_own_place = exists().where(
        col(_OWN.order_line_id) == col(OrderLine.id), col(_OWN.course_id) == col(Enrollment.course_id)
    )
    stands = exists().where(col(_SIBLING.order_line_id) == col(OrderLine.id), col(_SIBLING.status).in_(GIVES_ACCESS))
    ends_at = access_end(col(Order.completed_at))
    query = (
        select(
            col(Enrollment.id),
            col(OrderLine.id),
            col(Enrollment.course_id),
            col(Enrollment.student_id),
            col(Enrollment.refund_policy),
            col(Order.completed_at),
            ends_at,
            col(Enrollment.provisioned_at),
            access_days_from_start(),
            col(Course.access_rule) == AccessRule.DAYS_AFTER_ENROLLMENT,
            Enrollment,
        )
        .ext(distinct_on(col(Enrollment.id)))
        .join(Course, col(Course.id) == col(Enrollment.course_id))
        .join(OrderLine, col(OrderLine.student_id) == col(Enrollment.student_id))
        .join(Order, col(Order.id) == col(OrderLine.order_id))
        .where(
            col(Enrollment.id).in_(place_ids),
            col(Order.id) != order_id,
            col(Order.status).in_(_PAID),
            in_bundle,
            ~has_own_place,
            stands,
            ends_at.is_(None) | (ends_at > now()),
        )
        .order_by(col(Enrollment.id), col(Order.completed_at), col(OrderLine.id))
    )
    return [_Entitlement(*row) for row in (await session.execute(query)).all()]


async def _lock_orders(session: AsyncSession, entitled: Sequence[_Entitlement]) -> None:
    """Nobody takes the other orders back while places are handed over to them."""
    if entitled:
        lines = {other.line_id for other in entitled}
        orders = select(col(OrderLine.order_id)).where(col(OrderLine.id).in_(lines))
        locked = select(col(Order.id)).where(col(Order.id).in_(orders)).order_by(col(Order.id)).with_for_update()
        await session.execute(locked)


async def _hand_over(
    session: AsyncSession, entitled: Sequence[_Entitlement], before: Mapping[UUID, EnrollmentStatus]
) -> list[StateChange]:
    """Bring each place anew as one of the other order, without a share in its money, with the lessons that were had.

    Its seat was given back a moment ago, under a lock that is still held. What is open and what was learned moves with
    it, and the clock of the place it was goes on.
    """
    if not entitled:
        return []
    prolonged = await _move_prolongations(session, entitled)
    places: list[dict[str, object]] = [
        {
            "id": new_id(),
            "order_line_id": other.line_id,
            "course_id": other.course_id,
            "student_id": other.student_id,
            "status": before[other.place_id],
            "refund_policy": other.refund_policy,
            "share_amount": 0,
            "enrolled_at": other.enrolled_at,
            "access_ends_at": _access_end(other, prolonged.get(other.place_id, timedelta())),
            "access_days_from_start": None if other.goes_on else other.access_days_from_start,
            "provisioned_at": other.provisioned_at,
            "clock_started_at": other.place.clock_started_at or other.place.enrolled_at,
            "started_at": other.place.started_at,
            "completed_at": other.place.completed_at,
            "judgement": other.place.judgement,
        }
        for other in entitled
    ]
    new_ids = {other.place_id: UUID(str(place["id"])) for other, place in zip(entitled, places, strict=True)}
    await session.execute(insert(Enrollment), places)
    await seat_again(session, [other.course_id for other in entitled if before[other.place_id] in SEATED])
    had = select(LessonRecord).where(col(LessonRecord.enrollment_id).in_(new_ids))
    records = [
        {
            "enrollment_id": new_ids[record.enrollment_id],
            "lesson_id": record.lesson_id,
            "slot_id": record.slot_id,
            "meeting_id": record.meeting_id,
            "outcome": record.outcome,
            "attendance": record.attendance,
            "recorded_by": record.recorded_by,
        }
        for record in (await session.execute(had)).scalars()
    ]
    if records:
        await session.execute(insert(LessonRecord), records)
    await _move_learning(session, new_ids)
    return [StateChange("enrollment", new, None, before[old]) for old, new in new_ids.items()]


def _access_end(other: _Entitlement, prolonged: timedelta) -> datetime | None:
    """As the other order grants it; where the days count from the first start, as they have counted."""
    if other.goes_on:
        return other.place.access_ends_at
    return other.access_ends_at and other.access_ends_at + prolonged


async def _move_prolongations(session: AsyncSession, entitled: Sequence[_Entitlement]) -> Mapping[UUID, timedelta]:
    """By how much longer access of the new places lasts for the pauses of the old ones, which are kept in line.

    The days of the other order passed from when it was complete: what a place stood still before is none of theirs.
    """
    anew = {each.place_id: each for each in entitled if not each.goes_on}
    query = select(EnrollmentPause).where(
        col(EnrollmentPause.enrollment_id).in_(anew), col(EnrollmentPause.prolonged_by) > timedelta()
    )
    prolonged: dict[UUID, timedelta] = {}
    for pause in (await session.execute(query)).scalars():
        other = anew[pause.enrollment_id]
        before = max(timedelta(), (other.enrolled_at or pause.paused_at) - pause.paused_at)
        pause.prolonged_by = max(timedelta(), pause.prolonged_by - before) if other.counts_days else timedelta()
        prolonged[other.place_id] = prolonged.get(other.place_id, timedelta()) + pause.prolonged_by
    await session.flush()
    return prolonged


async def _move_learning(session: AsyncSession, new_ids: Mapping[UUID, UUID]) -> None:
    """What opened, was tried, learned, paused and certified is that of the new places. Mails told of it already."""
    for table in (LessonRelease, LessonProgress, LessonAttempt, EnrollmentPause, Certificate):
        moved: dict[str, object] = {
            "enrollment_id": case(dict(new_ids), value=col(table.enrollment_id), else_=col(table.enrollment_id))
        }
        if table is LessonRelease:
            moved["mail_key"] = None
        if table is Certificate:
            moved["wakes_at"] = now()
        await session.execute(
            update(table)
            .where(col(table.enrollment_id).in_(new_ids))
            .values(moved)
            .execution_options(synchronize_session=False)
        )


async def _revoke_certificates(session: AsyncSession, place_ids: Collection[UUID]) -> list[StateChange]:
    """What was certified falls with the place, where the academy wants it so; else it stays."""
    if not place_ids:
        return []
    revoked = (
        update(Certificate)
        .where(
            col(Certificate.enrollment_id).in_(place_ids),
            col(Certificate.status) == CertificateStatus.ISSUED,
            select(col(Academy.refund_revokes_certificate)).scalar_subquery(),
        )
        .values(
            status=CertificateStatus.REVOKED,
            revocation_reason=RevocationReason.REFUNDED,
            revoked_at=now(),
            wakes_at=now(),
            updated_at=now(),
        )
        .returning(col(Certificate.id))
        .execution_options(synchronize_session=False)
    )
    return [
        StateChange("certificate", row, CertificateStatus.ISSUED, CertificateStatus.REVOKED)
        for row in (await session.execute(revoked)).scalars()
    ]
