"""The shape of a rule's no."""

from dataclasses import dataclass

from models.errors import Reason


@dataclass(frozen=True)
class Refused:
    """Why a rule said no: a reason code, and a sentence for the caller that holds no personal data."""

    reason: Reason
    detail: str
