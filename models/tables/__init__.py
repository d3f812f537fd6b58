"""The tables, the record of everything (DESIGN §3.1). Importing this package fills `SQLModel.metadata`."""

from models.tables.applications import (
    ApplicationDecision,
    ApplicationDocument,
    Reviewer,
    RoleGrant,
    Subject,
    TutorApplication,
    TutorProfile,
)
from models.tables.carts import Cart, CartLine, CartSettings, Consent, Subscription
from models.tables.cascades import Cascade, CascadePlace
from models.tables.catalog import (
    BundleCourse,
    ClassSession,
    Course,
    Lesson,
    LessonSlot,
    ScreeningMeeting,
    TaxRate,
)
from models.tables.certificates import Certificate
from models.tables.coupons import Coupon, CouponUse
from models.tables.disputes import Dispute
from models.tables.documents import Document, NumberSeries
from models.tables.enrollments import Enrollment
from models.tables.invoices import Invoice, InvoicePayment
from models.tables.ledgers import AuditEntry, Mail, StripeEvent
from models.tables.lessons import LessonRecord
from models.tables.orders import Order, OrderLine, Payment
from models.tables.people import Academy, Person, StripeCustomer
from models.tables.refunds import Refund, RefundRequest
from models.tables.tasks import HumanTask, Note, TaskContact

__all__ = [
    "Academy",
    "ApplicationDecision",
    "ApplicationDocument",
    "AuditEntry",
    "BundleCourse",
    "Cart",
    "CartLine",
    "CartSettings",
    "Cascade",
    "CascadePlace",
    "Certificate",
    "ClassSession",
    "Consent",
    "Coupon",
    "CouponUse",
    "Course",
    "Dispute",
    "Document",
    "Enrollment",
    "HumanTask",
    "Invoice",
    "InvoicePayment",
    "Lesson",
    "LessonRecord",
    "LessonSlot",
    "Mail",
    "Note",
    "NumberSeries",
    "Order",
    "OrderLine",
    "Payment",
    "Person",
    "Refund",
    "RefundRequest",
    "Reviewer",
    "RoleGrant",
    "ScreeningMeeting",
    "StripeCustomer",
    "StripeEvent",
    "Subject",
    "Subscription",
    "TaskContact",
    "TaxRate",
    "TutorApplication",
    "TutorProfile",
]
