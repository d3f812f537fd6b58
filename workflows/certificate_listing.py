"""How the jobs of certificates are listed from their start on, whoever starts them."""

from uuid import UUID

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from models import search
from models.vocabulary import BatchStatus, CertificateStatus, WaitingFor

CERTIFICATE_SUMMARY = "The certificates of an enrollment"
BATCH_SUMMARY = "Certificates for many learners"
# What a run says of itself before it knows more: saying it again would cost an event.
LISTED = (CertificateStatus.ISSUED.value, WaitingFor.NOTHING)
BATCH_LISTED = (BatchStatus.RUNNING.value, WaitingFor.NOTHING)


def certificate_attributes(enrollment_id: UUID) -> TypedSearchAttributes:
    """The search attributes of `CertificateWorkflow` at its start."""
    state, waiting_for = LISTED
    return TypedSearchAttributes(
        [
            SearchAttributePair(search.JOB, "certificate"),
            SearchAttributePair(search.STATE, state),
            SearchAttributePair(search.WAITING_FOR, waiting_for.value),
            SearchAttributePair(search.NEEDS_HUMAN, False),
            SearchAttributePair(search.ENROLLMENT_ID, str(enrollment_id)),
        ]
    )


def batch_attributes(course_id: UUID) -> TypedSearchAttributes:
    """The search attributes of `CertificateBatchWorkflow` at its start."""
    state, waiting_for = BATCH_LISTED
    return TypedSearchAttributes(
        [
            SearchAttributePair(search.JOB, "certificate_batch"),
            SearchAttributePair(search.STATE, state),
            SearchAttributePair(search.WAITING_FOR, waiting_for.value),
            SearchAttributePair(search.NEEDS_HUMAN, False),
            SearchAttributePair(search.COURSE_ID, [str(course_id)]),
        ]
    )
