"""How jobs that several layers start are named, and listed from their start on (models/search.py)."""

from uuid import UUID

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from models import search
from models.vocabulary import BatchStatus, CertificateStatus, EnrollmentStatus, WaitingFor

DRIP_WORKFLOW = "DripWorkflow"
DRIP_SUMMARY = "The lessons of an enrollment, as long as there is access"
CERTIFICATE_WORKFLOW = "CertificateWorkflow"
CERTIFICATE_SUMMARY = "The certificates of an enrollment"
BATCH_SUMMARY = "Certificates for many learners"


def drip_attributes(enrollment_id: UUID) -> TypedSearchAttributes:
    """The search attributes of `DripWorkflow` at its start. Whatever opens next, it is the learner's turn."""
    return search.at_start("drip", EnrollmentStatus.ACTIVE, WaitingFor.LEARNER, _of(enrollment_id))


def certificate_attributes(enrollment_id: UUID) -> TypedSearchAttributes:
    """The search attributes of `CertificateWorkflow` at its start."""
    return search.at_start("certificate", CertificateStatus.ISSUED, WaitingFor.NOTHING, _of(enrollment_id))


def batch_attributes(course_id: UUID) -> TypedSearchAttributes:
    """The search attributes of `CertificateBatchWorkflow` at its start."""
    of_course = SearchAttributePair(search.COURSE_ID, [str(course_id)])
    return search.at_start("certificate_batch", BatchStatus.RUNNING, WaitingFor.NOTHING, of_course)


def _of(enrollment_id: UUID) -> SearchAttributePair[str]:
    return SearchAttributePair(search.ENROLLMENT_ID, str(enrollment_id))
