"""Who calls the API in tests: tokens and headers."""

from datetime import timedelta
from uuid import UUID

from models.vocabulary import Role
from routes.authentication import issue_token
from settings import Settings


def as_(settings: Settings, subject: UUID | str, *roles: Role) -> dict[str, str]:
    """The headers of a caller with these roles."""
    token = issue_token(settings, str(subject), roles, timedelta(minutes=5))
    return {"Authorization": f"Bearer {token}"}


def as_student(settings: Settings, person_id: UUID) -> dict[str, str]:
    """The headers of a student."""
    return as_(settings, person_id, Role.STUDENT)


def as_staff(settings: Settings) -> dict[str, str]:
    """The headers of somebody at the academy."""
    return as_(settings, "frida", Role.STAFF)
