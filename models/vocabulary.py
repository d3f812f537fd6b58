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


class DripUnit(StrEnum):
    """What the wait of a drip rule is counted in (Academy of Mine `drip_interval_unit`, and hours)."""

    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"


class DripKind(StrEnum):
    """When a lesson opens (reference list 10.5); `all` is the latest of several rules, `any` the earliest."""

    IMMEDIATELY = "immediately"
    FIXED_DATE = "fixed_date"
    AFTER_REGISTRATION = "after_registration"
    AFTER_START = "after_start"
    AFTER_COHORT_START = "after_cohort_start"
    AFTER_MEETING = "after_meeting"
    AFTER_LESSON = "after_lesson"
    AFTER_MODULE = "after_module"
    MANUAL = "manual"
    ALL = "all"
    ANY = "any"


class ReleaseStatus(StrEnum):
    """How a lesson stands in the plan of an enrollment: to open, open, left out, or frozen with the enrollment."""

    PLANNED = "planned"
    RELEASED = "released"
    SKIPPED = "skipped"
    PAUSED = "paused"


class ReleaseMails(StrEnum):
    """How learners hear that lessons have opened: with each opening, once a day, or not at all."""

    EACH = "each"
    DAILY = "daily"
    NONE = "none"


class AccessRule(StrEnum):
    """How long a course stays open (Academy of Mine `durationRule`)."""

    UNLIMITED = "unlimited"
    UNTIL_DATE = "until_date"
    DAYS_AFTER_ENROLLMENT = "days_after_enrollment"
    DAYS_AFTER_START = "days_after_start"


class GradeRule(StrEnum):
    """Which of several attempts counts (LMS Service `attemptsGrade`)."""

    HIGHEST = "highest"
    AVERAGE = "average"
    FIRST = "first"
    LAST = "last"


class LessonStatus(StrEnum):
    """How far a learner is with a lesson, or what became of one attempt; a graded one is passed or failed."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    PASSED = "passed"
    FAILED = "failed"


class CompletionRule(StrEnum):
    """What completes a course (LMS Service `certificate_term`, and Eduframe's judgement)."""

    NA = "na"
    COMPLETE_ALL = "complete_all"
    PASS_ALL = "pass_all"  # noqa: S105
    JUDGED = "judged"


class Judgement(StrEnum):
    """What staff says of a learner whose course is judged (Eduframe `graduation_state`)."""

    PASSED = "passed"
    FAILED = "failed"


class Attendance(StrEnum):
    """Who came to a meeting or a booked hour (Eduframe's attendance, and the tutor's own absence)."""

    ATTENDED = "attended"
    LATE = "late"
    ABSENT = "absent"
    EXCUSED = "excused"
    TUTOR_NO_SHOW = "tutor_no_show"


class EnrollmentChange(StrEnum):
    """What staff can change of an enrollment while it runs, or of all those of a course."""

    PAUSE = "pause"
    RESUME = "resume"
    RELEASE = "release"
    RESET = "reset"
    RESTART_CLOCK = "restart_clock"
    MOVE_START = "move_start"
    SET_ACCESS = "set_access"
    SUSPEND = "suspend"
    REACTIVATE = "reactivate"
    JUDGE = "judge"


class ContentChange(StrEnum):
    """What can change of a course that people learn in already."""

    ADD_LESSON = "add_lesson"
    EDIT_LESSON = "edit_lesson"
    REMOVE_LESSON = "remove_lesson"
    REORDER_LESSONS = "reorder_lessons"
    MOVE_MEETING = "move_meeting"
    CANCEL_MEETING = "cancel_meeting"
    EDIT_COURSE = "edit_course"


class CourseChangeStatus(StrEnum):
    """How far a change of a course has come: enrollment by enrollment, until all are done or it is stopped."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    REFUSED = "refused"


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


class CertificateOrigin(StrEnum):
    """Why a certificate was issued: the course is completed, staff wanted it, another one was renewed or corrected."""

    COMPLETION = "completion"
    EXCEPTION = "exception"
    RENEWAL = "renewal"
    CORRECTION = "correction"


class CertificateGround(StrEnum):
    """What stands between an enrollment and its certificate."""

    NOT_COMPLETED = "not_completed"
    NAME_UNCONFIRMED = "name_unconfirmed"
    NO_TEMPLATE = "no_template"
    ENROLLMENT_CANCELED = "enrollment_canceled"
    REVOKED_BEFORE = "revoked_before"
    EXPIRED_BEFORE = "expired_before"


class RevocationReason(StrEnum):
    """Why a certificate no longer counts. A closed list: it is shown to whoever checks the certificate."""

    REFUNDED = "refunded"
    ISSUED_IN_ERROR = "issued_in_error"
    MISCONDUCT = "misconduct"
    HOLDERS_WISH = "holders_wish"
    OTHER = "other"


class CorrectionStatus(StrEnum):
    """What became of a wish for another name on a certificate."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"


class BatchStatus(StrEnum):
    """How far a run that certifies many learners is."""

    RUNNING = "running"
    DONE = "done"
    CANCELED = "canceled"


class BatchOutcome(StrEnum):
    """What became of one learner in such a run."""

    ISSUED = "issued"
    EXISTING = "existing"
    WAITING = "waiting"
    NOT_ELIGIBLE = "not_eligible"


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
    COMPLETION_JUDGEMENT = "completion_judgement"
    CERTIFICATE_NAME_MISSING = "certificate_name_missing"
    NAME_CORRECTION = "name_correction"
    RECONCILIATION = "reconciliation"
    CRITICAL_MAIL = "critical_mail"
    STUCK_JOB = "stuck_job"


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
    LESSONS_RELEASED = "lessons_released"
    ACCESS_ENDING = "access_ending"
    ACCESS_ENDED = "access_ended"
    CERTIFICATE_ISSUED = "certificate_issued"
    CERTIFICATE_NAME_NEEDED = "certificate_name_needed"
    CERTIFICATE_EXPIRING = "certificate_expiring"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_REVOKED = "certificate_revoked"
    CERTIFICATE_CORRECTION_REJECTED = "certificate_correction_rejected"
    DOCUMENT_COPY = "document_copy"
    EXPORT_READY = "export_ready"


class StripeEventStatus(StrEnum):
    """What became of a webhook: to be passed on, passed to its workflow, of no interest, or without an owner."""

    RECEIVED = "received"
    SIGNALED = "signaled"
    IGNORED = "ignored"
    UNMATCHED = "unmatched"


class ExportReport(StrEnum):
    """What can be exported: lists with a line for each thing, and reports on a span of time that add up."""

    ORDERS = "orders"
    PAYMENTS = "payments"
    ENROLLMENTS = "enrollments"
    USERS = "users"
    TUTOR_APPLICATIONS = "tutor_applications"
    CARTS = "carts"
    CERTIFICATES = "certificates"
    MAILS = "mails"
    AUDIT = "audit"
    SALES = "sales"
    FINANCE = "finance"
    STATEMENT = "statement"


class ExportFormat(StrEnum):
    XLSX = "xlsx"
    CSV = "csv"
    PDF = "pdf"


class ExportStatus(StrEnum):
    """How far an export is; what is done keeps its file until it is expired."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


class CheckKind(StrEnum):
    """What looks over the record again and again: against Stripe, for mails, and for jobs."""

    RECONCILIATION = "reconciliation"
    CRITICAL_MAIL = "critical_mail"
    STUCK_JOBS = "stuck_jobs"


class CheckStatus(StrEnum):
    RUNNING = "running"
    DONE = "done"


class FindingKind(StrEnum):
    """What a check has found wrong (reference list 10.7)."""

    # The record and Stripe.
    PAID_NOT_FULFILLED = "paid_not_fulfilled"
    FULFILLED_NOT_PAID = "fulfilled_not_paid"
    AMOUNT_MISMATCH = "amount_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"
    DOUBLE_PAYMENT = "double_payment"
    UNKNOWN_PAYMENT = "unknown_payment"
    ORPHAN_REFUND = "orphan_refund"
    REFUND_MISMATCH = "refund_mismatch"
    REFUND_NOT_REVOKED = "refund_not_revoked"
    UNKNOWN_DISPUTE = "unknown_dispute"
    FEE_MISMATCH = "fee_mismatch"
    # Mails that people rely on, and the papers in them.
    MAIL_MISSING = "mail_missing"
    MAIL_NOT_SENT = "mail_not_sent"
    PAPER_MISSING = "paper_missing"
    # Jobs.
    JOB_WEDGED = "job_wedged"
    JOB_FAILING = "job_failing"
    JOB_OVERDUE = "job_overdue"
    JOB_BROKEN = "job_broken"


class FindingStatus(StrEnum):
    """A finding is open until it is not so any more, or somebody has said that it is right as it is."""

    OPEN = "open"
    RESOLVED = "resolved"
    ACCEPTED = "accepted"


class JobAction(StrEnum):
    """What an operator can do to a job, or to many at once."""

    RETRY = "retry"
    CANCEL = "cancel"
    SKIP = "skip"


class JobActionStatus(StrEnum):
    """How far an action on many jobs is."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


class JobActionOutcome(StrEnum):
    """What became of one job: it was acted on, it had nothing to act on, or it was over or not reached."""

    DONE = "done"
    NOTHING = "nothing"
    REFUSED = "refused"
    GONE = "gone"


class WaitingFor(StrEnum):
    """Whom a job waits for; the value of the search attribute `RegistrarWaitingFor`."""

    PAYMENT = "payment"
    REVIEWER = "reviewer"
    APPLICANT = "applicant"
    LEARNER = "learner"
    OPERATOR = "operator"
    TIMER = "timer"
    STRIPE = "stripe"
    NOTHING = "nothing"
