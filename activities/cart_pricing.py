"""What is in a cart priced as of now, by the code that prices orders."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from activities.sale import load_sale
from models.errors import Reason
from models.messages.orders import OrderLineRequest
from models.quote import Quote
from rules.decision import Refused


async def quote_courses(
    session: AsyncSession, person_id: UUID, course_ids: Sequence[UUID], coupon_code: str | None, moment: datetime
) -> Quote | Refused:
    """What the courses would cost this person at `moment` (UTC), or why they cannot be bought together.

    Seats are not looked at. A coupon that is not good takes nothing off. An unknown course or person is told before
    anything else (`unknown_course`, `unknown_person`), and nothing costs nothing (`cart_empty`).
    """
    if not course_ids:
        return Refused(Reason.CART_EMPTY, "There is nothing in the cart.")
    lines = [OrderLineRequest(course_id=course_id, student_id=person_id) for course_id in course_ids]
    sale = await load_sale(session, person_id, lines, coupon_code)
    if isinstance(sale, Refused):
        if sale.reason is not Reason.UNKNOWN_COUPON:
            return sale
        return await quote_courses(session, person_id, course_ids, None, moment)
    if unknown := [str(course_id) for course_id in course_ids if course_id not in sale.offers]:
        return Refused(Reason.UNKNOWN_COURSE, f"There is no course {unknown[0]}.")
    quoted = sale.quoted(lines, moment, has_slots=False)
    if isinstance(quoted, Refused) and sale.coupon is not None:
        quoted = sale.without_coupon.quoted(lines, moment, has_slots=False)
    return quoted if isinstance(quoted, Refused) else quoted[1]
