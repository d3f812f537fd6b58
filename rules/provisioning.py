"""How long the learning platform may take: to open a course that is paid for (reference list 10.1), or for a tutor."""

from datetime import timedelta

TRIED_FOR = timedelta(hours=24)
REFUNDED_AFTER = timedelta(hours=72)
TAKEN_BACK_WITHIN = timedelta(hours=1)
