"""How the application of a tutor is listed from its start on."""

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from models import search
from models.messages.applications import ApplicationRef
from models.vocabulary import ApplicationStatus, WaitingFor

SUMMARY = "Tutor application"


def application_attributes() -> TypedSearchAttributes:
    """The search attributes of `TutorApplicationWorkflow` at its start."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(search.JOB, "tutor_application"),
            SearchAttributePair(search.STATE, ApplicationStatus.DRAFT.value),
            SearchAttributePair(search.WAITING_FOR, WaitingFor.APPLICANT.value),
            SearchAttributePair(search.NEEDS_HUMAN, False),
        ]
    )


def application_details(application: ApplicationRef) -> str:
    """Whose application it is, for the Web UI."""
    return f"Of `{application.applicant_id}`, begun by `{application.actor}`."
