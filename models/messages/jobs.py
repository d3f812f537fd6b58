"""What every job says of itself to whoever asks by the query `status`."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.messages.message import Message
from models.vocabulary import WaitingFor


class JobState(Message):
    """Where a job stands, what it waits for, until when, and who has to act."""

    status: str | None = Field(default=None, description="the state of the business thing")
    waiting_for: WaitingFor
    since: datetime
    next_action: str
    needs_human: bool = False
    due_at: datetime | None = Field(default=None, description="until when it waits")
    task_id: UUID | None = Field(default=None, description="the open task that a person has to decide")
