"""How the job of an enrollment is listed from its start on, whoever starts it."""

from uuid import UUID

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from models import search
from models.vocabulary import EnrollmentStatus, WaitingFor

DRIP_SUMMARY = "The lessons of an enrollment, as long as there is access"


def drip_attributes(enrollment_id: UUID, course_id: UUID | None = None) -> TypedSearchAttributes:
    """The search attributes of `DripWorkflow` at its start; with its course where that is known."""
    of_course = [] if course_id is None else [SearchAttributePair(search.COURSE_ID, [str(course_id)])]
    return TypedSearchAttributes(
        [
            SearchAttributePair(search.JOB, "drip"),
            SearchAttributePair(search.STATE, EnrollmentStatus.ACTIVE.value),
            SearchAttributePair(search.WAITING_FOR, WaitingFor.LEARNER.value),
            SearchAttributePair(search.NEEDS_HUMAN, False),
            SearchAttributePair(search.ENROLLMENT_ID, str(enrollment_id)),
            *of_course,
        ]
    )


def listed_so_far() -> tuple[str, WaitingFor, bool]:
    """From within a workflow: state, whom it waits for and whether a person has to act, as this run found it listed.

    A run that continues another finds what that one had listed last.
    """
    listed = workflow.info().typed_search_attributes
    waiting_for = WaitingFor(listed.get(search.WAITING_FOR, WaitingFor.NOTHING.value))
    return listed.get(search.STATE, ""), waiting_for, listed.get(search.NEEDS_HUMAN, False)
