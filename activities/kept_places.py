"""Places that still give access though the money of them is back, and ending them."""

from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import write_audit
from activities.place_endings import GIVES_ACCESS, end_with_all
from activities.received_money import lost_in_disputes
from activities.refund_record import GOES_BACK
from models.identifiers import finding_id_for
from models.tables import Enrollment, Finding, Order, OrderLine, Payment, Refund, RefundRequest
from models.vocabulary import FindingKind, FindingStatus, RefundAccess, RefundRequestStatus

NOT_REVOKED = "refund_not_revoked"


def kept_places(order_ids: ColumnElement[bool]) -> Select[UUID, UUID, str | None, int, str]:
    """Of the orders that the condition on `Order.id` selects: place, order, refund at Stripe, amount and currency.

    A place should have ended if a refund of it was granted that ends it, or if all that came in for its completed order
    has gone back, unless a refund was granted that keeps it.
    """
    gone = (
        select(func.coalesce(func.sum(col(Refund.amount)), 0))
        .where(
            col(Refund.order_id) == col(Order.id),
            col(Refund.payment_intent_id) == col(Payment.payment_intent_id),
            col(Refund.status).in_(GOES_BACK),
            col(Refund.stripe_refund_id).is_not(None),
        )
        .scalar_subquery()
    )
    granted = (
        select(col(RefundRequest.id))
        .where(
            col(RefundRequest.enrollment_id) == col(Enrollment.id),
            col(RefundRequest.status) == RefundRequestStatus.APPROVED,
        )
        .correlate(Enrollment)
    )
    ends = granted.join(Refund, col(Refund.request_id) == col(RefundRequest.id)).where(
        col(RefundRequest.access) == RefundAccess.REVOKED, col(Refund.status).in_(GOES_BACK)
    )
    keeps = granted.where(col(RefundRequest.access) == RefundAccess.KEPT)
    is_all_back = (
        (col(Payment.captured_amount) > 0) & (gone > 0) & (gone + lost_in_disputes() >= col(Payment.captured_amount))
    )
    latest = (
        select(col(Refund.stripe_refund_id), col(Refund.amount))
        .where(
            col(Refund.order_id) == col(Order.id),
            col(Refund.status).in_(GOES_BACK),
            (col(Refund.enrollment_id) == col(Enrollment.id)) | col(Refund.enrollment_id).is_(None),
        )
        .order_by(col(Refund.stripe_refund_id).is_(None), col(Refund.created_at).desc(), col(Refund.id))
        .limit(1)
        .lateral("latest")
    )
    return (
        select(
            col(Enrollment.id),
            col(Order.id),
            latest.c.stripe_refund_id,
            func.coalesce(latest.c.amount, 0),
            col(Order.currency),
        )
        .join(OrderLine, col(OrderLine.order_id) == col(Order.id))
        .join(Enrollment, col(Enrollment.order_line_id) == col(OrderLine.id))
        .join(Payment, col(Payment.order_id) == col(Order.id), isouter=True)
        .join(latest, latest.c.amount.is_not(None), isouter=True)
        .where(
            order_ids,
            col(Order.completed_at).is_not(None),
            col(Enrollment.status).in_(GIVES_ACCESS),
            or_(ends.exists(), is_all_back & ~keeps.exists()),
        )
        .order_by(col(Enrollment.id))
    )


async def end_kept_places(session: AsyncSession, order: Order, *, workflow_id: str) -> int:
    """End the places of a locked order that should have ended with their money, and say how many. No money moves.

    Those that a person has decided to leave as they are stay.
    """
    kept = [row[0] for row in (await session.execute(kept_places(col(Order.id) == order.id))).all()]
    findings = {finding_id_for(FindingKind.REFUND_NOT_REVOKED, str(place)): place for place in kept}
    accepted = select(col(Finding.id)).where(
        col(Finding.id).in_(findings), col(Finding.status) == FindingStatus.ACCEPTED
    )
    left = {findings[each] for each in (await session.execute(accepted)).scalars()} if kept else set()
    ids = [place for place in kept if place not in left]
    if not ids:
        return 0
    places = (
        (await session.execute(select(Enrollment).where(col(Enrollment.id).in_(ids)).order_by(col(Enrollment.id))))
        .scalars()
        .all()
    )
    changes = await end_with_all(session, order, places)
    await write_audit(session, changes, actor="system", reason=NOT_REVOKED, workflow_id=workflow_id)
    return len(ids)
