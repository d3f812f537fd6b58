"""What is said to the learning platform about a place in a course."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.messages.message import Message, WorkflowId


class ProvisionEnrollment(Message):
    """Have the learning platform open a course to a student."""

    enrollment_id: UUID
    workflow_id: WorkflowId


class Provisioned(Message):
    """When the platform confirmed it; none if the enrollment is no longer active, so there was nothing to open."""

    provisioned_at: datetime | None = Field(default=None)
