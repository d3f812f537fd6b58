"""The closed list of refusals. A refusal is an answer, not a defect: it has a reason code and never a retry."""

from enum import StrEnum

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory


class Reason(StrEnum):
    """Why something was refused; the `reason` of every problem document."""

    # the request
    INVALID_REQUEST = "invalid_request"
    IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    REQUEST_TOO_SLOW = "request_too_slow"
    # the caller
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a reason code
    TOKEN_INVALID = "token_invalid"  # noqa: S105
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    ROLE_NOT_ALLOWED = "role_not_allowed"
    NOT_YOURS = "not_yours"
    # orders
    UNKNOWN_COURSE = "unknown_course"
    UNKNOWN_PERSON = "unknown_person"
    COURSE_NOT_PUBLISHED = "course_not_published"
    COURSE_FULL = "course_full"
    ENROLLMENT_CLOSED = "enrollment_closed"
    ALREADY_ENROLLED = "already_enrolled"
    MIXED_CURRENCIES = "mixed_currencies"
    UNKNOWN_COUPON = "unknown_coupon"
    COUPON_EXPIRED = "coupon_expired"
    COUPON_USED_UP = "coupon_used_up"
    COUPON_CURRENCY = "coupon_currency"
    COUPON_NOT_YOURS = "coupon_not_yours"
    COUPON_NOT_APPLICABLE = "coupon_not_applicable"
    COUPON_MINIMUM = "coupon_minimum"
    COUPON_USED_BY_YOU = "coupon_used_by_you"
    AMOUNT_TOO_SMALL = "amount_too_small"
    SLOTS_REQUIRED = "slots_required"
    SLOTS_NOT_ALLOWED = "slots_not_allowed"
    SLOTS_UNAVAILABLE = "slots_unavailable"
    TOO_MANY_LESSONS_A_DAY = "too_many_lessons_a_day"
    TOO_FEW_LESSONS_A_WEEK = "too_few_lessons_a_week"
    LESSONS_TOO_FAR_APART = "lessons_too_far_apart"
    STUDENT_DOUBLE_BOOKED = "student_double_booked"
    TUTOR_DOUBLE_BOOKED = "tutor_double_booked"
    SCREENING_REQUIRED = "screening_required"
    INVOICE_NOT_ALLOWED = "invoice_not_allowed"
    PAYMENT_REFUSED = "payment_refused"
    ORDER_NOT_CANCELABLE = "order_not_cancelable"
    ORDER_NOT_WAITING_FOR_APPROVAL = "order_not_waiting_for_approval"
    INVOICE_NOT_OPEN = "invoice_not_open"
    # lessons and refunds
    ENROLLMENT_NOT_ACTIVE = "enrollment_not_active"
    LESSON_NOT_BEGUN = "lesson_not_begun"
    LESSON_ALREADY_RECORDED = "lesson_already_recorded"
    REFUND_NOT_ELIGIBLE = "refund_not_eligible"
    REFUND_IN_PROGRESS = "refund_in_progress"
    CASCADE_NOT_RUNNING = "cascade_not_running"
    # tutor applications
    ALREADY_TUTOR = "already_tutor"
    APPLICATION_EXISTS = "application_exists"
    REAPPLY_TOO_SOON = "reapply_too_soon"
    TOO_MANY_APPLICATIONS = "too_many_applications"
    APPLICATION_INCOMPLETE = "application_incomplete"
    APPLICATION_NOT_EDITABLE = "application_not_editable"
    APPLICATION_NOT_IN_REVIEW = "application_not_in_review"
    APPLICATION_OVER = "application_over"
    NO_INFO_REQUESTED = "no_info_requested"
    TOO_MANY_INFO_ROUNDS = "too_many_info_rounds"
    UNKNOWN_SUBJECT = "unknown_subject"
    UNSUPPORTED_FILE = "unsupported_file"
    TOO_MANY_DOCUMENTS = "too_many_documents"
    VERDICTS_MISSING = "verdicts_missing"
    REASONS_REQUIRED = "reasons_required"
    NOT_A_REVIEWER = "not_a_reviewer"
    OWN_APPLICATION = "own_application"
    FOUR_EYES_REQUIRED = "four_eyes_required"
    # carts and mail lists
    CART_OVER = "cart_over"
    CART_EMPTY = "cart_empty"
    LINK_INVALID = "link_invalid"
    LINK_EXPIRED = "link_expired"
    LINK_USED = "link_used"
    # learning
    ENROLLMENT_EXPIRED = "enrollment_expired"
    ENROLLMENT_SUSPENDED = "enrollment_suspended"
    ENROLLMENT_PAUSED = "enrollment_paused"
    ENROLLMENT_NOT_PAUSED = "enrollment_not_paused"
    PAUSE_TOO_LONG = "pause_too_long"
    LESSON_NOT_OPEN = "lesson_not_open"
    ATTEMPTS_USED_UP = "attempts_used_up"
    SCORE_REQUIRED = "score_required"
    SCORE_NOT_ALLOWED = "score_not_allowed"
    NOT_JUDGED = "not_judged"
    DRIP_RULE_INVALID = "drip_rule_invalid"
    MEETING_OVER = "meeting_over"
    COURSE_CHANGE_NOT_RUNNING = "course_change_not_running"
    # certificates
    CERTIFICATE_NOT_ELIGIBLE = "certificate_not_eligible"
    CERTIFICATE_NOT_ISSUED = "certificate_not_issued"
    CERTIFICATE_NOT_REVOKED = "certificate_not_revoked"
    CERTIFICATE_NOT_RENEWABLE = "certificate_not_renewable"
    TEMPLATE_INVALID = "template_invalid"
    NAME_INVALID = "name_invalid"
    NAME_UNCHANGED = "name_unchanged"
    NAME_ALREADY_CONFIRMED = "name_already_confirmed"
    EVIDENCE_REQUIRED = "evidence_required"
    CORRECTION_IN_PROGRESS = "correction_in_progress"
    TOO_MANY_CORRECTIONS = "too_many_corrections"
    BATCH_NOT_RUNNING = "batch_not_running"
    TOO_MANY_REQUESTS = "too_many_requests"
    # documents
    DOCUMENT_NOT_READY = "document_not_ready"
    RECEIPT_NOT_READY = "receipt_not_ready"
    # exports
    FORMAT_NOT_AVAILABLE = "format_not_available"
    TOO_MANY_ROWS = "too_many_rows"
    EXPORT_NOT_RUNNING = "export_not_running"
    EXPORT_EXPIRED = "export_expired"
    # jobs
    JOB_OVER = "job_over"
    NOTHING_TO_RETRY = "nothing_to_retry"
    NOTHING_TO_SKIP = "nothing_to_skip"
    JOB_NOT_CANCELABLE = "job_not_cancelable"
    TOO_MANY_JOBS = "too_many_jobs"
    JOB_ACTION_NOT_RUNNING = "job_action_not_running"
    # tasks
    TASK_NOT_OPEN = "task_not_open"
    ACTION_NOT_ALLOWED = "action_not_allowed"
    # webhooks
    SIGNATURE_INVALID = "signature_invalid"
    SIGNATURE_TOO_OLD = "signature_too_old"
    WRONG_MODE = "wrong_mode"
    # us
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


def refusal(reason: Reason, detail: str, *items: str) -> ApplicationError:
    """A refusal as Temporal carries it: never retried, and not counted as a failure of ours.

    `detail` is a sentence for the caller, and `items` are what is wrong one by one, in words of ours, if there is more
    to say; neither holds personal data, since both are stored in the history.
    """
    return ApplicationError(
        detail, *items, type=reason.value, non_retryable=True, category=ApplicationErrorCategory.BENIGN
    )


class IllegalTransitionError(ApplicationError):
    """A state change was asked for that the state machine does not have: a defect or a lost race, never retried."""

    def __init__(self, thing: str, from_state: str, to_state: str) -> None:
        super().__init__(
            f"{thing} cannot go from {from_state} to {to_state}", type="illegal_transition", non_retryable=True
        )
