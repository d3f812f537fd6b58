"""What every step of an enrollment that is learned in carries with it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Step:
    """When, by which workflow, and who is behind it."""

    moment: datetime
    workflow_id: str
    actor: str = "system"
