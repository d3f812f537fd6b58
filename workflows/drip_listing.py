"""How a drip job is listed from its start on, whoever starts it."""

from uuid import UUID

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from models import search
from models.vocabulary import EnrollmentStatus, WaitingFor

DRIP_SUMMARY = "The lessons of an enrollment, as long as there is access"


def drip_attributes(enrollment_id: UUID) -> TypedSearchAttributes:
    """The search attributes of `DripWorkflow` at its start."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(search.JOB, "drip"),
            SearchAttributePair(search.STATE, EnrollmentStatus.ACTIVE.value),
            SearchAttributePair(search.WAITING_FOR, WaitingFor.TIMER.value),
            SearchAttributePair(search.NEEDS_HUMAN, False),
            SearchAttributePair(search.ENROLLMENT_ID, str(enrollment_id)),
        ]
    )
