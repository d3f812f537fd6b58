"""Uses of coupons: reserved with the order, confirmed when it is paid, given back when it is not. Exact under races.

The counter on the coupon always is the number of its uses that are not released. Whoever counts holds the coupon's row
until the transaction ends, so the limit per person needs no lock of its own.
"""

from uuid import UUID

from sqlalchemy import func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.errors import Reason
from models.identifiers import new_id
from models.tables import Coupon, CouponUse
from models.tables.columns import now
from models.vocabulary import CouponUseStatus
from rules.decision import Refused


async def reserve_coupon(session: AsyncSession, coupon_id: UUID) -> Refused | None:
    """Count one more use of the coupon, or refuse if somebody else took the last one. Locks the coupon."""
    reserved = (
        update(Coupon)
        .where(col(Coupon.id) == coupon_id)
        .where(col(Coupon.usage_limit).is_(None) | (col(Coupon.uses) < col(Coupon.usage_limit)))
        .values(uses=col(Coupon.uses) + 1)
        .returning(col(Coupon.id))
    )
    if (await session.execute(reserved)).first() is None:
        return Refused(Reason.COUPON_USED_UP, "The coupon has been used as often as it may be.")
    return None


async def write_coupon_use(session: AsyncSession, coupon_id: UUID, order_id: UUID, person_id: UUID) -> Refused | None:
    """Write whose use was reserved, or refuse if the payer has used the coupon as often as one person may.

    Wants the coupon locked by `reserve_coupon`, and the order written.
    """
    of_payer = (
        select(func.count())
        .select_from(CouponUse)
        .where(
            col(CouponUse.coupon_id) == coupon_id,
            col(CouponUse.person_id) == person_id,
            col(CouponUse.status) != CouponUseStatus.RELEASED,
        )
        .scalar_subquery()
    )
    moment = now()
    allowed = select(
        literal(new_id()),
        literal(moment),
        literal(moment),
        col(Coupon.id),
        literal(order_id),
        literal(person_id),
        literal(CouponUseStatus.RESERVED.value),
    ).where(
        col(Coupon.id) == coupon_id,
        col(Coupon.per_person_limit).is_(None) | (of_payer < col(Coupon.per_person_limit)),
    )
    written = (
        insert(CouponUse)
        .from_select(["id", "created_at", "updated_at", "coupon_id", "order_id", "person_id", "status"], allowed)
        .returning(col(CouponUse.id))
    )
    if (await session.execute(written)).first() is None:
        return Refused(Reason.COUPON_USED_BY_YOU, "The payer has used the coupon as often as one person may.")
    return None


async def confirm_coupon(session: AsyncSession, order_id: UUID) -> None:
    """The order is paid: its use of a coupon, if it has one, stays."""
    await session.execute(
        update(CouponUse)
        .where(col(CouponUse.order_id) == order_id, col(CouponUse.status) == CouponUseStatus.RESERVED)
        .values(status=CouponUseStatus.CONFIRMED, updated_at=now())
    )


async def release_coupon(session: AsyncSession, order_id: UUID) -> None:
    """Give the order's use of a coupon back, if it has one. A second time does nothing."""
    released = (
        update(CouponUse)
        .where(col(CouponUse.order_id) == order_id, col(CouponUse.status) != CouponUseStatus.RELEASED)
        .values(status=CouponUseStatus.RELEASED, updated_at=now())
        .returning(col(CouponUse.coupon_id))
        .cte("released")
    )
    await session.execute(
        update(Coupon)
        .where(col(Coupon.id) == released.c.coupon_id)
        .values(uses=col(Coupon.uses) - 1)
        .execution_options(synchronize_session=False)
    )
