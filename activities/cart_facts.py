"""What has to be known of a cart to decide whether its owner is reminded of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from activities.place_endings import CARTS_QUIET
from activities.subscriptions import standing_of
from models.tables import (
    BundleCourse,
    Cart,
    CartLine,
    CartSettings,
    Course,
    Dispute,
    Enrollment,
    Order,
    OrderLine,
    Payment,
    Person,
)
from models.vocabulary import (
    CartStatus,
    ConsentMode,
    CourseKind,
    CourseStatus,
    EnrollmentStatus,
    MailList,
    PaymentMethod,
    PaymentStatus,
)
from rules.cart import CartFacts, is_watched
from rules.disputes import OPEN
from rules.marketing import refused_because

_GIVES_ACCESS = (EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED)
# Asked for already, and in somebody else's hands.
_ON_ITS_WAY = (EnrollmentStatus.PENDING_APPROVAL, EnrollmentStatus.WAITLISTED, EnrollmentStatus.SUSPENDED)


async def cart_facts(
    session: AsyncSession, cart_id: UUID, settings: CartSettings, moment: datetime
) -> CartFacts | None:
    """The facts at `moment` (UTC), in two statements however full the cart is; none if there is no such cart."""
    other, lines = aliased(Cart), col(CartLine.cart_id) == col(Cart.id)
    other_reminded_at = select(func.max(other.reminded_at)).where(
        col(other.person_id) == col(Cart.person_id), col(other.id) != col(Cart.id)
    )
    query = (
        select(
            Cart,
            col(Person.cart_mails_quiet_until),
            exists().where(lines),
            exists().where(lines, _is_theirs(moment)),
            exists().where(lines, _is_on_its_way()),
            exists().where(lines, _is_gone(moment)),
            _last_purchase(),
            _has_dispute(moment),
            other_reminded_at.scalar_subquery(),
        )
        .join(Person, col(Person.id) == col(Cart.person_id))
        .where(col(Cart.id) == cart_id)
    )
    found = (await session.execute(query.execution_options(populate_existing=True))).one_or_none()
    if found is None:
        return None
    cart, quiet_until, is_filled, is_theirs, is_on_its_way, is_gone, purchase, has_dispute, other_at = found
    standing = await standing_of(session, cart.person_id, MailList.CART)
    return CartFacts(
        status=CartStatus(cart.status),
        is_watched=is_watched(settings.is_enabled, settings.tracks_staff, cart.is_staff),
        is_empty=not is_filled,
        is_bought=is_theirs or cart.status in (CartStatus.RECOVERED, CartStatus.ORDERED),
        is_sold_out=is_gone,
        refused_because=refused_because(standing, ConsentMode(settings.consent_mode)),
        last_purchase_at=purchase,
        quiet_until=quiet_until,
        has_dispute=has_dispute,
        other_reminded_at=other_at,
        reminded_at=cart.reminded_at,
        is_being_bought=is_on_its_way,
    )


def _is_theirs(moment: datetime) -> ColumnElement[bool]:
    """Whether the person of the cart has the course of the line: by itself, or as the bundle that they bought.

    A pack whose lessons are all held may be bought again (`rules/entitlement.py`).
    """
    is_used_up = and_(
        col(Enrollment.status) == EnrollmentStatus.COMPLETED,
        exists().where(col(Course.id) == col(Enrollment.course_id), col(Course.kind) == CourseKind.TUTOR_PACK),
    )
    enrolled = exists().where(
        col(Enrollment.student_id) == col(Cart.person_id),
        col(OrderLine.id) == col(Enrollment.order_line_id),
        or_(col(Enrollment.course_id) == col(CartLine.course_id), col(OrderLine.course_id) == col(CartLine.course_id)),
        col(Enrollment.status).in_(_GIVES_ACCESS),
        ~is_used_up,
        col(Enrollment.access_ends_at).is_(None) | (col(Enrollment.access_ends_at) > moment),
    )
    # Two levels down, the cart is not found by itself: it would be anybody's.
    return enrolled.correlate(Cart, CartLine)


def _is_on_its_way() -> ColumnElement[bool]:
    """Whether they have ordered the course of the line, and now others have to act: who approves, who is to be paid by
    invoice, or a bank. An order that waits for a card is no reason, as it may be what was given up.
    """
    waits = and_(
        col(Enrollment.status) == EnrollmentStatus.PENDING_PAYMENT,
        or_(
            col(Order.payment_method) == PaymentMethod.INVOICE,
            exists().where(col(Payment.order_id) == col(Order.id), col(Payment.status) == PaymentStatus.PROCESSING),
        ),
    )
    ordered = exists().where(
        col(Enrollment.student_id) == col(Cart.person_id),
        col(OrderLine.id) == col(Enrollment.order_line_id),
        col(Order.id) == col(OrderLine.order_id),
        or_(col(Enrollment.course_id) == col(CartLine.course_id), col(OrderLine.course_id) == col(CartLine.course_id)),
        col(Enrollment.status).in_(_ON_ITS_WAY) | waits,
    )
    return ordered.correlate(Cart, CartLine)


def _is_gone(moment: datetime) -> ColumnElement[bool]:
    """Whether the course of the line cannot be bought: not on sale, too late or full; a bundle if one of its courses is
    so, or if it has none."""
    included = aliased(Course)
    of_bundle = col(BundleCourse.bundle_id) == col(Course.id)
    part_is_gone = exists().where(
        of_bundle, col(included.id) == col(BundleCourse.course_id), _cannot_be_had(included, moment)
    )
    is_hollow = and_(col(Course.kind) == CourseKind.BUNDLE, ~exists().where(of_bundle))
    return exists().where(
        col(Course.id) == col(CartLine.course_id), or_(_cannot_be_had(Course, moment), is_hollow, part_is_gone)
    )


def _cannot_be_had(course: type[Course], moment: datetime) -> ColumnElement[bool]:
    """A seat that is held for them by an order which they have not paid is theirs to take."""
    held = aliased(Enrollment)
    holds_seat = exists().where(
        col(held.student_id) == col(Cart.person_id),
        col(held.course_id) == col(course.id),
        col(held.status) == EnrollmentStatus.PENDING_PAYMENT,
    )
    return or_(
        col(course.status) != CourseStatus.PUBLISHED,
        func.coalesce(col(course.enrollment_closes_at) <= moment, False),
        func.coalesce(col(course.access_until) <= moment, False),
        func.coalesce(col(course.seats_taken) >= col(course.capacity), False) & ~holds_seat,
    )


def _last_purchase() -> ColumnElement[datetime | None]:
    """When an order was completed last that they paid for or learn by."""
    paid = select(func.max(Order.completed_at)).where(col(Order.payer_id) == col(Cart.person_id)).correlate(Cart)
    of_student = (
        select(func.max(Order.completed_at))
        .join(OrderLine, col(OrderLine.order_id) == col(Order.id))
        .where(col(OrderLine.student_id) == col(Cart.person_id))
        .correlate(Cart)
    )
    return func.greatest(paid.scalar_subquery(), of_student.scalar_subquery())


def _has_dispute(moment: datetime) -> ColumnElement[bool]:
    """Whether a bank takes, or took within 30 days, money of theirs back."""
    return exists().where(
        col(Order.id) == col(Dispute.order_id),
        col(Order.payer_id) == col(Cart.person_id),
        col(Dispute.status).in_(OPEN) | (col(Dispute.opened_at) > moment - CARTS_QUIET),
    )
