"""How long a seat or slot is kept for somebody who has not paid yet."""

from collections.abc import Iterable
from datetime import timedelta

from models.vocabulary import CourseKind

CARD_HOLD = timedelta(minutes=15)
PACK_HOLD = timedelta(minutes=60)  # TutorHub R30: pending enrollments are cleaned up after 60 minutes
PROCESSING_HOLD = timedelta(days=14)
APPROVAL_HOLD = timedelta(days=14)


def hold_length(kinds: Iterable[CourseKind]) -> timedelta:
    """The hold of an order: as long as its most patient line."""
    return PACK_HOLD if CourseKind.TUTOR_PACK in set(kinds) else CARD_HOLD
