"""How the jobs of certificates are listed from their start on, whoever starts them."""

from uuid import UUID

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from models import search
from models.vocabulary import BatchStatus, CertificateStatus, WaitingFor

CERTIFICATE_SUMMARY = "The certificates of an enrollment"
BATCH_SUMMARY = "Certificates for many learners"


def certificate_attributes(enrollment_id: UUID) -> TypedSearchAttributes:
    """The search attributes of `CertificateWorkflow` at its start."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(search.JOB, "certificate"),
            SearchAttributePair(search.STATE, CertificateStatus.ISSUED.value),
            SearchAttributePair(search.WAITING_FOR, WaitingFor.NOTHING.value),
            SearchAttributePair(search.NEEDS_HUMAN, False),
            SearchAttributePair(search.ENROLLMENT_ID, str(enrollment_id)),
        ]
    )


def batch_attributes(course_id: UUID) -> TypedSearchAttributes:
    """The search attributes of `CertificateBatchWorkflow` at its start."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(search.JOB, "certificate_batch"),
            SearchAttributePair(search.STATE, BatchStatus.RUNNING.value),
            SearchAttributePair(search.WAITING_FOR, WaitingFor.NOTHING.value),
            SearchAttributePair(search.NEEDS_HUMAN, False),
            SearchAttributePair(search.COURSE_ID, [str(course_id)]),
        ]
    )


def listed_so_far() -> tuple[str, WaitingFor]:
    """From within a workflow: state and whom it waits for, as this run found itself listed; saying it again would cost
    an event."""
    listed = workflow.info().typed_search_attributes
    return listed.get(search.STATE, ""), WaitingFor(listed.get(search.WAITING_FOR, WaitingFor.NOTHING.value))
