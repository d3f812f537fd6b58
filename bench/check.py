"""Whether what was measured was also right: every order once charged, seated, receipted, mailed, and some paid back."""

from sqlalchemy import func, select
from sqlmodel import col

from activities.database import Sessions
from bench.contenders import COURSE_ID
from models.tables import Document, Enrollment, Mail, Order, Refund
from models.vocabulary import (
    DocumentKind,
    EnrollmentStatus,
    MailStatus,
    MailTemplate,
    OrderStatus,
    RefundStatus,
)
from sandbox.stripe_double import StripeDoubleControl


async def what_is_wrong(sessions: Sessions, double: StripeDoubleControl, orders: int, refunds: int) -> list[str]:
    """A sentence for each fact that does not agree with the number of orders, and of those that were paid back."""
    count, sent = select(func.count()), col(Mail.status) == MailStatus.SENT
    stored = col(Document.file_key).is_not(None)
    facts = {
        "orders completed": (count.where(col(Order.status) == OrderStatus.COMPLETED), orders - refunds),
        "orders refunded": (count.where(col(Order.status) == OrderStatus.REFUNDED), refunds),
        "seats active": (
            count.where(col(Enrollment.course_id) == COURSE_ID, col(Enrollment.status) == EnrollmentStatus.ACTIVE),
            orders - refunds,
        ),
        "receipts stored": (count.where(stored, col(Document.kind) == DocumentKind.RECEIPT), orders),
        "credit notes stored": (count.where(stored, col(Document.kind) == DocumentKind.CREDIT_NOTE), refunds),
        "refunds succeeded": (count.where(col(Refund.status) == RefundStatus.SUCCEEDED), refunds),
        "confirmations sent": (count.where(sent, col(Mail.template) == MailTemplate.ORDER_CONFIRMATION), orders),
        "refund mails sent": (count.where(sent, col(Mail.template) == MailTemplate.REFUND), refunds),
    }
    async with sessions() as session:
        found = {name: ((await session.execute(query)).scalar_one(), due) for name, (query, due) in facts.items()}
    found["orders charged once"] = (sum(money.charges_succeeded == 1 for money in await double.orders()), orders)
    return [f"{name}: {number} of {due}" for name, (number, due) in found.items() if number != due]
