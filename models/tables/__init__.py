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
from models.tables.bookkeeping import BalanceTransaction, StripeEventCursor
from models.tables.carts import Cart, CartLine, CartSettings, Consent, Subscription
from models.tables.cascades import Cascade, CascadePlace
from models.tables.catalog import (
    BundleCourse,
    ClassSession,
    Course,
    CourseModule,
    Lesson,
    LessonSlot,
    ScreeningMeeting,
    TaxRate,
)
from models.tables.certificates import (
    Certificate,
    CertificateBatch,
    CertificateBatchLine,
    CertificateTemplate,
    CertificateTemplateVersion,
    CourseCertificate,
    NameCorrection,
)
from models.tables.checks import CheckRun, CheckRunFinding, Finding
from models.tables.coupons import Coupon, CouponUse
from models.tables.disputes import Dispute
from models.tables.documents import Document, NumberSeries
from models.tables.enrollments import Enrollment
from models.tables.exports import Export, ExportChunk, ExportPart, ReportRecipient
from models.tables.invoices import Invoice, InvoicePayment
from models.tables.job_actions import BulkJobAction, BulkJobActionLine
from models.tables.learning import (
    AppliedChange,
    CourseChange,
    EnrollmentPause,
    LessonAttempt,
    LessonProgress,
    LessonRelease,
)
from models.tables.ledgers import AuditEntry, Mail, StripeEvent
from models.tables.lessons import LessonRecord
from models.tables.orders import Order, OrderLine, Payment
from models.tables.people import Academy, CustomField, Person, PersonField, StripeCustomer
from models.tables.refunds import Refund, RefundRequest
from models.tables.tasks import HumanTask, Note, TaskContact

__all__ = [
    "Academy",
    "ApplicationDecision",
    "ApplicationDocument",
    "AppliedChange",
    "AuditEntry",
    "BalanceTransaction",
    "BulkJobAction",
    "BulkJobActionLine",
    "BundleCourse",
    "Cart",
    "CartLine",
    "CartSettings",
    "Cascade",
    "CascadePlace",
    "Certificate",
    "CertificateBatch",
    "CertificateBatchLine",
    "CertificateTemplate",
    "CertificateTemplateVersion",
    "CheckRun",
    "CheckRunFinding",
    "ClassSession",
    "Consent",
    "Coupon",
    "CouponUse",
    "Course",
    "CourseCertificate",
    "CourseChange",
    "CourseModule",
    "CustomField",
    "Dispute",
    "Document",
    "Enrollment",
    "EnrollmentPause",
    "Export",
    "ExportChunk",
    "ExportPart",
    "Finding",
    "HumanTask",
    "Invoice",
    "InvoicePayment",
    "Lesson",
    "LessonAttempt",
    "LessonProgress",
    "LessonRecord",
    "LessonRelease",
    "LessonSlot",
    "Mail",
    "NameCorrection",
    "Note",
    "NumberSeries",
    "Order",
    "OrderLine",
    "Payment",
    "Person",
    "PersonField",
    "Refund",
    "RefundRequest",
    "ReportRecipient",
    "Reviewer",
    "RoleGrant",
    "ScreeningMeeting",
    "StripeCustomer",
    "StripeEvent",
    "StripeEventCursor",
    "Subject",
    "Subscription",
    "TaskContact",
    "TaxRate",
    "TutorApplication",
    "TutorProfile",
]
