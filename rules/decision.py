"""The shape of a rule's no."""

from dataclasses import dataclass
from datetime import datetime

from models.errors import Reason


@dataclass(frozen=True)
class Refused:
    """Why a rule said no: a reason code, and a sentence for the caller that holds no personal data."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class DatedRefusal(Refused):
    """A no that has to do with a moment (UTC), if that is known: until when, or since when."""

    moment: datetime | None = None
