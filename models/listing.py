"""How jobs that several layers start are named, and listed from their start on (models/search.py)."""

from collections.abc import Sequence
from uuid import UUID

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from models import search
from models.vocabulary import BatchStatus, CertificateStatus, EnrollmentStatus, ExportStatus, WaitingFor

DRIP_WORKFLOW = "DripWorkflow"
DRIP_SUMMARY = "The lessons of an enrollment, as long as there is access"
CERTIFICATE_WORKFLOW = "CertificateWorkflow"
CERTIFICATE_SUMMARY = "The certificates of an enrollment"
BATCH_SUMMARY = "Certificates for many learners"
EXPORT_WORKFLOW = "ExportWorkflow"
EXPORT_SUMMARY = "A file of what is on record"


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


def _of(enrollment_id: UUID) -> SearchAttributePair[str]:
    return SearchAttributePair(search.ENROLLMENT_ID, str(enrollment_id))


def _of_course(course_id: UUID) -> SearchAttributePair[Sequence[str]]:
    return SearchAttributePair(search.COURSE_ID, [str(course_id)])
