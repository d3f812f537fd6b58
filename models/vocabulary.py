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
    BUNDLE = "bundle"


class CostScheme(StrEnum):
    """What the price of a course is for (Eduframe `cost_scheme`): each student, the whole order, or nothing."""

    STUDENT = "student"
    ORDER = "order"
    FREE = "free"


class TaxBehavior(StrEnum):
    """Whether prices hold the tax already or it comes on top (Stripe's words)."""

    INCLUSIVE = "inclusive"
    EXCLUSIVE = "exclusive"


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


class LessonOutcome(StrEnum):
    """What became of a lesson, as its tutor or staff recorded it."""

    COMPLETED = "completed"
    STUDENT_NO_SHOW = "student_no_show"
    TUTOR_NO_SHOW = "tutor_no_show"
    CANCELED = "canceled"


class RefundGround(StrEnum):
    """What speaks for or against a refund, or for asking a person."""

    FIRST_LESSON_DONE = "first_lesson_done"
    TUTOR_NO_SHOW = "tutor_no_show"
    WITHIN_WINDOW = "within_window"
    ABOVE_LIMIT = "above_limit"
    REFUNDED_BEFORE = "refunded_before"
    POLICY_NONE = "policy_none"
    ENROLLMENT_NOT_ACTIVE = "enrollment_not_active"
    NOTHING_PAID = "nothing_paid"
    NO_LESSON_DONE = "no_lesson_done"
    SECOND_LESSON_DONE = "second_lesson_done"
    LESSON_UNCONFIRMED = "lesson_unconfirmed"
    CERTIFICATE_ISSUED = "certificate_issued"
    DISPUTE_OPEN = "dispute_open"
    DISPUTE_LOST = "dispute_lost"
    OVERRIDDEN = "overridden"
    WINDOW_CLOSED = "window_closed"
    TOO_MUCH_USED = "too_much_used"


class RefundDecider(StrEnum):
    """Who approves a refund that may be had."""

    RULE = "rule"
    PERSON = "person"


class RefundRequestStatus(StrEnum):
    """Whether a refund that was asked for may go ahead; how its money fares is the refund's own status."""

    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REJECTED = "rejected"


class RefundCause(StrEnum):
    """Why somebody wants their money back. A closed list, since it is kept in the history."""

    CHANGED_MIND = "changed_mind"
    NOT_AS_EXPECTED = "not_as_expected"
    TUTOR_NO_SHOW = "tutor_no_show"
    NO_TIME = "no_time"
    ILLNESS = "illness"
    OTHER = "other"
    # Staff's own, not a student's.
    GOODWILL = "goodwill"
    TUTOR_BANNED = "tutor_banned"
    TUTOR_SUSPENDED = "tutor_suspended"
    COURSE_REMOVED = "course_removed"


class RefundShare(StrEnum):
    """How much of what was paid for a place goes back: all of it, that of the lessons not had, or what staff names."""

    FULL = "full"
    PRO_RATA = "pro_rata"
    AMOUNT = "amount"


class RefundAccess(StrEnum):
    """Whether the student keeps the place; apart from how the money fares."""

    KEPT = "kept"
    REVOKED = "revoked"


class ScreeningDecision(StrEnum):
    """What the tutor decided after the screening meeting (TutorHub PreliminaryMeeting.tutorDecision)."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


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
    INVOICE = "invoice"


class OfflineMethod(StrEnum):
    """How money reached the academy outside of Stripe."""

    BANK_TRANSFER = "bank_transfer"
    CASH = "cash"
    CHEQUE = "cheque"
    OTHER = "other"


class PaymentStatus(StrEnum):
    """Stripe's words for a PaymentIntent."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class InvoiceStatus(StrEnum):
    OPEN = "open"
    PAID = "paid"
    VOID = "void"


class RefundStatus(StrEnum):
    """Stripe's words for a refund."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class DisputeStatus(StrEnum):
    """Stripe's words for a dispute."""

    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"


class CertificateStatus(StrEnum):
    ISSUED = "issued"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"


class CascadeKind(StrEnum):
    """Why many enrollments end at once."""

    TUTOR_BANNED = "tutor_banned"
    TUTOR_SUSPENDED = "tutor_suspended"
    COURSE_REMOVED = "course_removed"


class CascadeStatus(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"


class ApplicationStatus(StrEnum):
    """How far the application of a tutor is; the reviewers' clock runs in `submitted` and `in_review` alone."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"
    INFO_REQUESTED = "info_requested"
    INACTIVE = "inactive"
    APPROVED = "approved"
    REJECTED_SOFT = "rejected_soft"
    REJECTED_HARD = "rejected_hard"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class ApplicationDocumentKind(StrEnum):
    """What an applicant shows; a video is a link, everything else a file."""

    CERTIFICATION = "certification"
    IDENTITY = "identity"
    VIDEO = "video"


class DocumentVerdict(StrEnum):
    """What a reviewer says of one document."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class ReviewReason(StrEnum):
    """Why a document or an application is not good enough. A closed list, since it is kept in the history."""

    DOCUMENT_UNREADABLE = "document_unreadable"
    DOCUMENT_EXPIRED = "document_expired"
    DOCUMENT_UNSUITABLE = "document_unsuitable"
    NAME_DIFFERS = "name_differs"
    QUALIFICATION_UNPROVEN = "qualification_unproven"
    EXPERIENCE_TOO_LITTLE = "experience_too_little"
    PROFILE_TOO_THIN = "profile_too_thin"
    VIDEO_UNSUITABLE = "video_unsuitable"
    SUBJECT_NOT_NEEDED = "subject_not_needed"
    DOCUMENT_FORGED = "document_forged"
    CONDUCT = "conduct"
    OTHER = "other"


class TutorProfileStatus(StrEnum):
    """Whether the profile of a tutor is shown; it exists once an application is being approved (TutorHub G31)."""

    PENDING = "pending"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"


class CartStatus(StrEnum):
    OPEN = "open"
    ABANDONED = "abandoned"
    RECOVERED = "recovered"
    LOST = "lost"
    ORDERED = "ordered"
    CLEARED = "cleared"


class MailList(StrEnum):
    """The kinds of marketing mail that a person can have or refuse, one by one."""

    CART = "cart"
    LEARNING = "learning"
    ANNOUNCEMENTS = "announcements"


class ConsentMode(StrEnum):
    """Who may get marketing mail: whoever said yes, customers too as long as they do not object, or whoever did not."""

    OPT_IN = "opt_in"
    SOFT_OPT_IN = "soft_opt_in"
    OFF = "off"


class ConsentSource(StrEnum):
    """How somebody said yes or no to a list."""

    CHECKOUT = "checkout"
    ACCOUNT = "account"
    IMPORT = "import"
    STAFF = "staff"
    UNSUBSCRIBE_PAGE = "unsubscribe_page"
    ONE_CLICK = "one_click"
    COMPLAINT = "complaint"


class DocumentKind(StrEnum):
    """The numbered papers of an order."""

    RECEIPT = "receipt"
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


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


class CouponUseStatus(StrEnum):
    """A use counts from its reservation on, until it is released."""

    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    RELEASED = "released"


class TaskKind(StrEnum):
    """Why a person has to decide."""

    AMOUNT_DIFFERS = "amount_differs"
    DOUBLE_PAYMENT = "double_payment"
    UNKNOWN_PAYMENT = "unknown_payment"
    PAY_BACK = "pay_back"
    PROVISIONING_FAILED = "provisioning_failed"
    REFUND_FAILED = "refund_failed"
    REFUND_REVIEW = "refund_review"
    REFUND_DELAYED = "refund_delayed"
    ALTERNATIVE_PAYOUT = "alternative_payout"
    DISPUTE = "dispute"
    TUTOR_REVIEW = "tutor_review"
    TUTOR_SECOND_OPINION = "tutor_second_opinion"
    TUTOR_PROVISIONING_FAILED = "tutor_provisioning_failed"


class TaskQueue(StrEnum):
    """Which people a task is for."""

    FINANCE = "finance"
    SUPPORT = "support"
    REVIEW = "review"


class TaskStatus(StrEnum):
    OPEN = "open"
    DONE = "done"


class TaskAction(StrEnum):
    """What a person can decide; which of them a task allows is written on the task."""

    ACCEPT = "accept"
    REFUND = "refund"
    RETRY = "retry"
    DISMISS = "dismiss"
    APPROVE = "approve"
    REJECT = "reject"
    REQUEST_INFO = "request_info"
    REJECT_SOFT = "reject_soft"
    REJECT_HARD = "reject_hard"


class MailStatus(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    UNKNOWN = "unknown"
    BOUNCED = "bounced"
    SKIPPED = "skipped"


class MailTemplate(StrEnum):
    """Every mail Registrar can write; each has a pair in `templates/mail/`."""

    ORDER_CONFIRMATION = "order_confirmation"
    ORDER_APPROVED = "order_approved"
    ORDER_DENIED = "order_denied"
    ORDER_CANCELLED = "order_cancelled"
    APPROVAL_REQUESTED = "approval_requested"
    PAYMENT_ACTION_REQUIRED = "payment_action_required"
    PAYMENT_PROCESSING = "payment_processing"
    PAYMENT_DECLINED = "payment_declined"
    INVOICE = "invoice"
    INVOICE_REMINDER = "invoice_reminder"
    REFUND = "refund"
    REFUND_REJECTED = "refund_rejected"
    REFUND_ACTION_REQUIRED = "refund_action_required"
    REFUND_RETURNED = "refund_returned"
    REFUND_NOTICE = "refund_notice"
    PLACE_ENDED = "place_ended"
    TASK_REMINDER = "task_reminder"
    APPLICATION_DRAFT_REMINDER = "application_draft_reminder"
    APPLICATION_RECEIVED = "application_received"
    APPLICATION_INFO_REQUESTED = "application_info_requested"
    APPLICATION_INFO_REMINDER = "application_info_reminder"
    APPLICATION_LATE = "application_late"
    APPLICATION_APPROVED = "application_approved"
    APPLICATION_REJECTED = "application_rejected"
    APPLICATION_CLOSED = "application_closed"
    APPLICATION_ASSIGNED = "application_assigned"
    CART_REMINDER = "cart_reminder"
    DOCUMENT_COPY = "document_copy"


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
