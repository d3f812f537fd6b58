"""When a dispute goes on, when it has to be answered, and when to look at it again."""

from datetime import datetime, timedelta

from models.vocabulary import DisputeStatus

# Its bank has not decided yet. Inquiries (`warning_…`) have taken no money yet.
OPEN = frozenset(
    {
        DisputeStatus.WARNING_NEEDS_RESPONSE,
        DisputeStatus.WARNING_UNDER_REVIEW,
        DisputeStatus.NEEDS_RESPONSE,
        DisputeStatus.UNDER_REVIEW,
    }
)
TO_ANSWER = frozenset({DisputeStatus.WARNING_NEEDS_RESPONSE, DisputeStatus.NEEDS_RESPONSE})

LOOK_AGAIN_AFTER = timedelta(days=1)


def next_look(moment: datetime, evidence_due_at: datetime | None) -> datetime:
    """When to read an open dispute again if nobody tells of it: daily, and when the time to answer is over (UTC)."""
    tomorrow = moment + LOOK_AGAIN_AFTER
    return tomorrow if evidence_due_at is None or evidence_due_at <= moment else min(tomorrow, evidence_due_at)
