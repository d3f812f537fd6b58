"""The closed word lists of the state machines and kinds; the same words in table, message, API, UI and docs."""

from enum import StrEnum


class Role(StrEnum):
    """Who a caller is; carried in the access token."""

    STUDENT = "student"
    TUTOR = "tutor"
    STAFF = "staff"
    ADMIN = "admin"
    SERVICE = "service"


class CourseKind(StrEnum):
    SELF_PACED = "self_paced"
    COHORT = "cohort"
    TUTOR_PACK = "tutor_pack"


class CourseStatus(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    RETIRED = "retired"


class SchedulingType(StrEnum):
    """How a tutor's pack may be booked (TutorHub CoursePack.schedulingType)."""

    FLEXIBLE = "flexible"
    STRICT = "strict"


class PeriodUnit(StrEnum):
    WEEKS = "weeks"
    MONTHS = "months"


class RefundPolicy(StrEnum):
    """Which refund rule a purchase carries with it; pinned at purchase."""

    FIRST_LESSON = "first_lesson"
    WINDOW = "window"
    NONE = "none"


class SlotStatus(StrEnum):
    FREE = "free"
    HELD = "held"
    BOOKED = "booked"
    COMPLETED = "completed"
    CANCELED = "canceled"


class OrderStatus(StrEnum):
    PENDING_PAYMENT = "pending_payment"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


class PaymentMethod(StrEnum):
    """How the payer chose to pay."""

    CHECKOUT = "checkout"
    PAYMENT_INTENT = "payment_intent"


class PaymentStatus(StrEnum):
    """Stripe's words for a PaymentIntent."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class EnrollmentStatus(StrEnum):
    PENDING_APPROVAL = "pending_approval"
    WAITLISTED = "waitlisted"
    PENDING_PAYMENT = "pending_payment"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    CANCELED = "canceled"
    EXPIRED = "expired"


class CouponKind(StrEnum):
    FIXED_AMOUNT = "fixed_amount"
    PERCENT_AMOUNT = "percent_amount"


class MailStatus(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    UNKNOWN = "unknown"
    BOUNCED = "bounced"
    SKIPPED = "skipped"


class MailTemplate(StrEnum):
    """Every mail Registrar can write; each has a pair in `templates/mail/`."""

    ORDER_CONFIRMATION = "order_confirmation"


class StripeEventStatus(StrEnum):
    """What became of a webhook: to be passed on, passed to its workflow, of no interest, or without an owner."""

    RECEIVED = "received"
    SIGNALED = "signaled"
    IGNORED = "ignored"
    UNMATCHED = "unmatched"


class WaitingFor(StrEnum):
    """Whom a job waits for; the value of the search attribute `RegistrarWaitingFor`."""

    PAYMENT = "payment"
    REVIEWER = "reviewer"
    APPLICANT = "applicant"
    OPERATOR = "operator"
    TIMER = "timer"
    STRIPE = "stripe"
    NOTHING = "nothing"
