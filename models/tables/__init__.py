"""The tables, the record of everything (DESIGN §3.1). Importing this package fills `SQLModel.metadata`."""

from models.tables.catalog import Coupon, Course, Lesson, LessonSlot
from models.tables.enrollments import Enrollment
from models.tables.ledgers import AuditEntry, Mail, StripeEvent
from models.tables.orders import NumberSeries, Order, OrderLine, Payment, Receipt
from models.tables.people import Academy, Person, StripeCustomer

__all__ = [
    "Academy",
    "AuditEntry",
    "Coupon",
    "Course",
    "Enrollment",
    "Lesson",
    "LessonSlot",
    "Mail",
    "NumberSeries",
    "Order",
    "OrderLine",
    "Payment",
    "Person",
    "Receipt",
    "StripeCustomer",
    "StripeEvent",
]
