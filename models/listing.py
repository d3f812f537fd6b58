"""How jobs that several layers start are named, and listed from their start on (models/search.py)."""

from collections.abc import Sequence
from uuid import UUID

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from models import search
from models.vocabulary import (
    BatchStatus,
    CertificateStatus,
    EnrollmentStatus,
    ExportStatus,
    JobAction,
    JobActionStatus,
    RefundStatus,
    WaitingFor,
)

DRIP_WORKFLOW = "DripWorkflow"
DRIP_SUMMARY = "The lessons of an enrollment, as long as there is access"
CERTIFICATE_WORKFLOW = "CertificateWorkflow"
CERTIFICATE_SUMMARY = "The certificates of an enrollment"
BATCH_SUMMARY = "Certificates for many learners"
EXPORT_WORKFLOW = "ExportWorkflow"
EXPORT_SUMMARY = "A file of what is on record"
PAYMENT_WORKFLOW = "UnmatchedPaymentWorkflow"
PAYMENT_SUMMARY = "A payment that no running order waits for"
REFUND_WATCH_WORKFLOW = "RefundWatchWorkflow"
REFUND_WATCH_SUMMARY = "A refund at Stripe, watched to its end"
REFUND_SWEEP_WORKFLOW = "RefundSweepWorkflow"
REFUND_SWEEP_SUMMARY = "Refunds of a payment that are not in the record"
DISPUTE_WORKFLOW = "DisputeWorkflow"
DISPUTE_SUMMARY = "A payer has disputed a payment at their bank"


def drip_attributes(enrollment_id: UUID, course_id: UUID) -> TypedSearchAttributes:
    """The search attributes of `DripWorkflow` at its start. Whatever opens next, it is the learner's turn."""
    ids = (_of(enrollment_id), _of_course(course_id))
    return search.at_start("drip", EnrollmentStatus.ACTIVE, WaitingFor.LEARNER, *ids)


def certificate_attributes(enrollment_id: UUID) -> TypedSearchAttributes:
    """The search attributes of `CertificateWorkflow` at its start."""
    return search.at_start("certificate", CertificateStatus.ISSUED, WaitingFor.NOTHING, _of(enrollment_id))


def batch_attributes(course_id: UUID) -> TypedSearchAttributes:
    """The search attributes of `CertificateBatchWorkflow` at its start."""
    return search.at_start("certificate_batch", BatchStatus.RUNNING, WaitingFor.NOTHING, _of_course(course_id))


def export_attributes() -> TypedSearchAttributes:
    """The search attributes of `ExportWorkflow` at its start."""
    return search.at_start("export", ExportStatus.RUNNING, WaitingFor.NOTHING)


def job_action_attributes() -> TypedSearchAttributes:
    """The search attributes of `JobActionWorkflow` at its start."""
    return search.at_start("job_action", JobActionStatus.RUNNING, WaitingFor.NOTHING)


def job_action_summary(action: JobAction) -> str:
    """What the Web UI shows of an action on many jobs."""
    return f"Many jobs: {action}"


def payment_attributes(order_id: UUID | None) -> TypedSearchAttributes:
    """The search attributes of `UnmatchedPaymentWorkflow` at its start; of an order, if the payment names one."""
    return search.at_start("payment", "open", WaitingFor.STRIPE, *_of_order(order_id))


def refund_watch_attributes(status: RefundStatus | None = None, order_id: UUID | None = None) -> TypedSearchAttributes:
    """The search attributes of `RefundWatchWorkflow` at its start, for a refund that has this status if it is known."""
    return search.at_start("refund_watch", *refund_watch_state(status), *_of_order(order_id))


def refund_watch_state(status: RefundStatus | None) -> tuple[RefundStatus, WaitingFor]:
    """What a refund's watch says at first of the refund, and of what it waits for."""
    if status is RefundStatus.SUCCEEDED:
        return RefundStatus.SUCCEEDED, WaitingFor.TIMER
    return RefundStatus.PENDING, WaitingFor.STRIPE


def refund_sweep_attributes() -> TypedSearchAttributes:
    """The search attributes of a `RefundSweepWorkflow` that looks at one payment."""
    return TypedSearchAttributes([SearchAttributePair(search.JOB, "refund_sweep")])


def dispute_attributes() -> TypedSearchAttributes:
    """The search attributes of `DisputeWorkflow` at its start."""
    return search.at_start("dispute", "open", WaitingFor.STRIPE)


def _of_order(order_id: UUID | None) -> tuple[SearchAttributePair[str], ...]:
    return () if order_id is None else (SearchAttributePair(search.ORDER_ID, str(order_id)),)


def _of(enrollment_id: UUID) -> SearchAttributePair[str]:
    return SearchAttributePair(search.ENROLLMENT_ID, str(enrollment_id))


def _of_course(course_id: UUID) -> SearchAttributePair[Sequence[str]]:
    return SearchAttributePair(search.COURSE_ID, [str(course_id)])
