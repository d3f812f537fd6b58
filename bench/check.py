"""Whether what was timed was also right: every order once charged, seated, receipted and mailed."""

from sqlalchemy import func, select
from sqlmodel import col

from activities.database import Sessions
from bench.contenders import COURSE_ID
from models.tables import Document, Enrollment, Mail, Order
from models.vocabulary import EnrollmentStatus, MailStatus, OrderStatus
from sandbox.stripe_double import StripeDoubleControl


async def what_is_wrong(sessions: Sessions, double: StripeDoubleControl, orders: int) -> list[str]:
    """A sentence for each fact that does not agree with the number of orders."""
    facts = {
        "orders completed": select(func.count()).where(col(Order.status) == OrderStatus.COMPLETED),
        "seats active": select(func.count()).where(
            col(Enrollment.course_id) == COURSE_ID, col(Enrollment.status) == EnrollmentStatus.ACTIVE
        ),
        "receipts stored": select(func.count()).where(col(Document.file_key).is_not(None)),
        "mails sent": select(func.count()).where(col(Mail.status) == MailStatus.SENT),
    }
    async with sessions() as session:
        found = {name: (await session.execute(query)).scalar_one() for name, query in facts.items()}
    found["orders charged once"] = sum(money.charges_succeeded == 1 for money in await double.orders())
    return [f"{name}: {count} of {orders}" for name, count in found.items() if count != orders]
