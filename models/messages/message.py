"""The kind of model every message is."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Actor = Annotated[str, StringConstraints(pattern=r"^[a-z_]+(:[A-Za-z0-9._|-]{1,64})?$", max_length=80)]
ReasonText = Annotated[str, StringConstraints(min_length=1, max_length=200)]
StripeId = Annotated[str, StringConstraints(pattern=r"^[a-z]+_[A-Za-z0-9_]+$", max_length=255)]
WorkflowId = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Message(BaseModel):
    """Frozen, and tolerant of fields that a newer version adds: sleeping workflows can be upgraded (DESIGN §3.13)."""

    model_config = ConfigDict(frozen=True, extra="ignore")
