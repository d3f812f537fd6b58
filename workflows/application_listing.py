"""How the application of a tutor is listed from its start on."""

from temporalio.common import TypedSearchAttributes

from models import search
from models.messages.applications import ApplicationRef
from models.vocabulary import ApplicationStatus, WaitingFor

SUMMARY = "Tutor application"


def application_attributes() -> TypedSearchAttributes:
    """The search attributes of `TutorApplicationWorkflow` at its start."""
    return search.at_start("tutor_application", ApplicationStatus.DRAFT, WaitingFor.APPLICANT)


def application_details(application: ApplicationRef) -> str:
    """Whose application it is, for the Web UI."""
    return f"Of `{application.applicant_id}`, begun by `{application.actor}`."
